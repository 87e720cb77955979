//! Histograms as they are encoded in logs, in the versions 0, 1 and 2 of HdrHistogram's encoding.

use std::io::Read;

use anyhow::{Context, Result, anyhow, bail, ensure};
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;

/// The first four bytes without the word size, which is in the bits of [`WORD`].
const V0: u32 = 0x1c84_9308;
const V0_COMPRESSED: u32 = V0 + 1;
const V1: u32 = 0x1c84_9301;
const V1_COMPRESSED: u32 = V1 + 1;
const V2: u32 = 0x1c84_9303;
const V2_COMPRESSED: u32 = V2 + 1;

/// The bits of the first four bytes that tell the size of a count.
const WORD: u32 = 0xf0;

/// The most bytes of a histogram that is not compressed any more; more than the greatest one has.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// The bytes before the counts, with the first four: in version 2 as in version 1.
const V1_HEADER: usize = 40;

/// Reads a histogram, compressed or not.
///
/// # Errors
/// One line: if it is none, is cut, or has a feature that nobody uses.
pub(crate) fn decode(bytes: &[u8]) -> Result<Histogram<u64>> {
    let (mut bytes, mut plain) = (bytes, Vec::new());
    if matches!(kind(bytes)?, V0_COMPRESSED | V1_COMPRESSED | V2_COMPRESSED) {
        let compressed = bytes.get(8..).context("it is cut")?;
        ZlibDecoder::new(compressed).take(MOST_BYTES).read_to_end(&mut plain)?;
        bytes = &plain;
    }
    match kind(bytes)? {
        V2 => {
            // The length is believed by who reads it.
            let told = number(bytes, 4, 4)?;
            ensure!(told <= bytes.len().saturating_sub(V1_HEADER) as u64, "it is cut");
            // The least number there is, as a count of zeros, which its reader negates.
            ensure!(!bytes.windows(9).any(|word| word == [0xff; 9]), "it is damaged");
            Deserializer::new().deserialize(&mut bytes).map_err(|error| anyhow!("{error}"))
        }
        V1 => {
            ensure!(number(bytes, 8, 4)? == 0, "its values are shifted, which is not supported");
            ensure!(
                f64::from_bits(number(bytes, 32, 8)?) == 1.0,
                "its values are scaled, which is not supported"
            );
            let length = usize::try_from(number(bytes, 4, 4)?)?;
            let counts = bytes.get(V1_HEADER..).and_then(|rest| rest.get(..length)).context("it is cut")?;
            words(bytes, 12, counts)
        }
        V0 => words(bytes, 4, bytes.get(32..).context("it is cut")?),
        _ => bail!("its encoding is not known"),
    }
}

/// The first four bytes, without the word size.
fn kind(bytes: &[u8]) -> Result<u32> {
    Ok(u32::try_from(number(bytes, 0, 4)?)? & !WORD)
}

/// A number of so many bytes, at a place.
fn number(bytes: &[u8], place: usize, size: usize) -> Result<u64> {
    let bytes = bytes.get(place..place + size).context("it is cut")?;
    Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// A histogram whose bounds are at a place of its header, and whose counts all have one size.
fn words(bytes: &[u8], bounds: usize, counts: &[u8]) -> Result<Histogram<u64>> {
    let digits = u8::try_from(number(bytes, bounds, 4)?)?;
    let (low, high) = (number(bytes, bounds + 4, 8)?, number(bytes, bounds + 12, 8)?);
    let mut histogram = Histogram::new_with_bounds(low, high, digits).map_err(|error| anyhow!("{error}"))?;
    let size = usize::try_from((number(bytes, 0, 4)? & u64::from(WORD)) >> 4)? & 0xe;
    ensure!(matches!(size, 2 | 4 | 8), "its counts have {size} bytes");
    // As in HdrHistogram: a bucket has twice as many steps as tell so many digits apart, and each
    // bucket but the first has only its upper half.
    let half_bits = (2 * 10_u64.pow(u32::from(digits))).next_power_of_two().trailing_zeros() - 1;
    let (half, unit) = (1_u64 << half_bits, low.ilog2());
    for (index, count) in (0_u64..).zip(counts.chunks_exact(size)) {
        let count = number(count, 0, size)?;
        if count > 0 {
            let (bucket, step) = match (index >> half_bits).checked_sub(1) {
                Some(bucket) => (bucket, (index & (half - 1)) + half),
                None => (0, index),
            };
            let shift = u32::try_from(bucket)?.saturating_add(unit);
            let value = step
                .checked_mul(1_u64.checked_shl(shift).unwrap_or(0))
                .filter(|value| *value <= high.saturating_mul(2));
            let value = value.context("it has more counts than its bounds allow")?;
            histogram.saturating_record_n(value.max(low.min(value)), count);
        }
    }
    Ok(histogram)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use hdrhistogram::serialization::{Serializer, V2DeflateSerializer, V2Serializer};

    use super::*;

    /// A histogram in an old version, as its writers did it: a count of `size` bytes for each step.
    fn old(version: u32, size: usize, histogram: &Histogram<u64>) -> Vec<u8> {
        let counts: Vec<u8> = (0..histogram.distinct_values())
            .scan(0_u64, |value, _| {
                let count = histogram.count_at(*value);
                *value = histogram.next_non_equivalent(*value);
                Some(count.to_be_bytes()[8 - size..].to_vec())
            })
            .flatten()
            .collect();
        let cookie = version | u32::try_from(size << 4).unwrap();
        let mut bytes = cookie.to_be_bytes().to_vec();
        if version == V1 {
            bytes.extend(u32::try_from(counts.len()).unwrap().to_be_bytes());
            bytes.extend([0; 4]);
        }
        bytes.extend(u32::from(histogram.sigfig()).to_be_bytes());
        bytes.extend(histogram.low().to_be_bytes());
        bytes.extend(histogram.high().to_be_bytes());
        if version == V1 {
            bytes.extend(1.0_f64.to_bits().to_be_bytes());
        } else {
            bytes.extend(histogram.len().to_be_bytes());
        }
        bytes.extend(counts);
        bytes
    }

    fn compressed(version: u32, plain: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        let packed = encoder.finish().unwrap();
        let mut bytes = (version + 1).to_be_bytes().to_vec();
        bytes.extend(u32::try_from(packed.len()).unwrap().to_be_bytes());
        bytes.extend(packed);
        bytes
    }

    #[test]
    fn every_version_is_read() {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 3_600_000_000, 3).unwrap();
        for value in [1, 2047, 2048, 5_000, 123_456, 3_000_000_000] {
            histogram.record_n(value, 3).unwrap();
        }
        let mut all = vec![
            old(V0, 8, &histogram),
            old(V0, 2, &histogram),
            old(V1, 4, &histogram),
            compressed(V0, &old(V0, 4, &histogram)),
            compressed(V1, &old(V1, 2, &histogram)),
        ];
        let (mut plain, mut deflated) = (Vec::new(), Vec::new());
        V2Serializer::new().serialize(&histogram, &mut plain).unwrap();
        V2DeflateSerializer::new().serialize(&histogram, &mut deflated).unwrap();
        all.extend([plain, deflated]);
        for bytes in all {
            assert_eq!(decode(&bytes).unwrap(), histogram, "{:x?}", &bytes[..4]);
            let cut = decode(&bytes[..30]).unwrap_err();
            assert!(!format!("{cut:#}").contains('\n'), "{cut:#}");
        }
    }

    #[test]
    fn a_length_that_is_not_there_is_not_believed() {
        let mut bytes = (V2 | 0x10).to_be_bytes().to_vec();
        bytes.extend(u32::MAX.to_be_bytes());
        bytes.extend([0; 60]);
        assert!(decode(&bytes).is_err());
    }
}
