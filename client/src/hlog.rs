//! Interval logs in the HdrHistogram V2 format: written by `client load --hdr`, read by `client
//! merge`, and by other tools.
//!
//! One line for each interval and tag: its start, its length, its greatest value, and a compressed
//! histogram. A histogram can be added to another without losing anything, which percentiles
//! cannot.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, LogIteratorError, Tag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};

use crate::load::{Counts, Interval, histogram};

/// Tag of response times.
pub(crate) const RESPONSE: &str = "response";

/// Tag of service times.
pub(crate) const SERVICE: &str = "service";

/// The greatest value of each line is written in milliseconds, for people; histograms have
/// nanoseconds.
const MAX_VALUE_DIVISOR: f64 = 1e6;

/// Timestamps that are this much before the log's start count from it, in seconds: the rule of
/// HdrHistogram's own log reader.
const YEAR: f64 = 365.0 * 24.0 * 3600.0;

/// Significant digits of a merged histogram.
const DIGITS: u8 = 3;

/// Writes a log of the intervals of a measurement that began at `started`.
///
/// # Errors
/// What `out` says.
pub(crate) fn write(out: &mut impl Write, started: SystemTime, intervals: &[Interval]) -> Result<()> {
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Response and service times in nanoseconds, by client load]")
        .add_comment("[Histogram log format version 1.3]")
        .with_start_time(started)
        .with_base_time(started)
        .with_max_value_divisor(MAX_VALUE_DIVISOR)
        .begin_log_with(out, &mut serializer)?;
    log.write_comment(
        "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"",
    )?;
    let mut whole = histogram();
    for interval in intervals {
        let tagged = [(RESPONSE, Some(&interval.response)), (SERVICE, interval.service.as_ref())];
        for (tag, counts) in tagged {
            let Some(counts) = counts else { continue };
            fill(&mut whole, counts);
            log.write_histogram(&whole, interval.start, interval.length, Tag::new(tag))
                .map_err(|error| anyhow!("{error}"))?;
        }
    }
    Ok(())
}

fn fill(histogram: &mut Histogram<u64>, counts: &Counts) {
    histogram.reset();
    for (value, count) in counts {
        histogram.saturating_record_n(*value, *count);
    }
}

/// What several logs have shown together.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// One histogram for each tag; the empty tag stands for lines that have none.
    pub(crate) tags: BTreeMap<String, Histogram<u64>>,
    /// From when until when the logs tell, in seconds since 1970, or since what the logs call zero.
    span: Option<(f64, f64)>,
    /// From when until when all of the logs tell; ends before it begins if there is no such time.
    common: Option<(f64, f64)>,
}

impl Merged {
    /// From the first interval's start to the last one's end.
    pub(crate) fn span(&self) -> Duration {
        let seconds = self.span.map_or(0.0, |(start, end)| end - start);
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }

    /// The part of [`Merged::span`] that all logs cover, from 0 to 1.
    pub(crate) fn overlap(&self) -> f64 {
        let (Some((first, last)), Some((start, end))) = (self.span, self.common) else { return 1.0 };
        if last > first { ((end - start) / (last - first)).max(0.0) } else { 1.0 }
    }

    /// Adds the log in a file.
    ///
    /// # Errors
    /// One line that names the file: if it cannot be read, is no log, is broken, or has no
    /// intervals.
    pub(crate) fn add_file(&mut self, path: &Path) -> Result<()> {
        let name = path.display();
        let mut bytes = std::fs::read(path).with_context(|| format!("cannot read {name}"))?;
        // A last line without its end is complete if its histogram is.
        if bytes.last() != Some(&b'\n') {
            bytes.push(b'\n');
        }
        self.add_log(&bytes).with_context(|| format!("cannot merge {name}"))
    }

    fn add_log(&mut self, bytes: &[u8]) -> Result<()> {
        let (mut start_time, mut base_time, mut intervals) = (None, None, 0_u64);
        let mut covered: Option<(f64, f64)> = None;
        for entry in IntervalLogIterator::new(bytes) {
            match entry {
                Ok(LogEntry::StartTime(time)) => start_time = Some(time.as_secs_f64()),
                Ok(LogEntry::BaseTime(time)) => base_time = Some(time.as_secs_f64()),
                Ok(LogEntry::Interval(interval)) => {
                    let line = || format!("interval {} is broken; is the file complete?", intervals + 1);
                    let histogram = decode(interval.encoded_histogram()).with_context(line)?;
                    let tag = interval.tag().map(|tag| tag.as_str().to_owned()).unwrap_or_default();
                    self.add_histogram(tag, &histogram)?;
                    let start = interval.start_timestamp().as_secs_f64();
                    let start = start + zero(start, start_time, base_time);
                    let end = start + interval.duration().as_secs_f64();
                    covered = Some(covered.map_or((start, end), |(from, to)| (from.min(start), to.max(end))));
                    intervals += 1;
                }
                Err(LogIteratorError::ParseError { offset }) => {
                    let line = 1 + bytes[..offset].iter().filter(|byte| **byte == b'\n').count();
                    bail!(
                        "line {line} is not part of an HdrHistogram interval log; is it the right file, and complete?"
                    );
                }
            }
        }
        let Some(covered) = covered else { bail!("it has no intervals; was the run that wrote it stopped?") };
        self.cover(covered);
        Ok(())
    }

    fn add_histogram(&mut self, tag: String, histogram: &Histogram<u64>) -> Result<()> {
        use std::collections::btree_map::Entry;
        let merged = match self.tags.entry(tag) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let mut empty =
                    Histogram::new(DIGITS.max(histogram.sigfig())).map_err(|error| anyhow!("{error}"))?;
                empty.auto(true);
                entry.insert(empty)
            }
        };
        merged.add(histogram).map_err(|error| anyhow!("{error}"))
    }

    fn cover(&mut self, (start, end): (f64, f64)) {
        self.span = Some(self.span.map_or((start, end), |(first, last)| (first.min(start), last.max(end))));
        self.common = Some(self.common.map_or((start, end), |(from, to)| (from.max(start), to.min(end))));
    }
}

/// What an interval's timestamp counts from, in seconds since 1970.
fn zero(timestamp: f64, start_time: Option<f64>, base_time: Option<f64>) -> f64 {
    match (base_time, start_time) {
        (Some(base), _) => base,
        (None, Some(start)) if timestamp < start - YEAR => start,
        _ => 0.0,
    }
}

fn decode(text: &str) -> Result<Histogram<u64>> {
    let bytes = STANDARD.decode(text)?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|error| anyhow!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(start: u64, response: Counts, service: Option<Counts>) -> Interval {
        Interval { start: Duration::from_secs(start), length: Duration::from_secs(1), response, service }
    }

    fn log(intervals: &[Interval], started: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, SystemTime::UNIX_EPOCH + Duration::from_secs(started), intervals).unwrap();
        bytes
    }

    fn merged(logs: &[&[u8]]) -> Merged {
        let mut merged = Merged::default();
        logs.iter().for_each(|log| merged.add_log(log).unwrap());
        merged
    }

    #[test]
    fn what_is_written_is_read() {
        let counts = vec![(1_000, 5), (2_000_000, 3), (3_000_000_000, 1)];
        let merged = merged(&[&log(&[interval(0, counts.clone(), Some(vec![(77, 1)]))], 1_700_000_000)]);
        let mut expected = histogram();
        fill(&mut expected, &counts);
        assert_eq!(merged.tags.keys().collect::<Vec<_>>(), [RESPONSE, SERVICE]);
        let (found, sum) = (&merged.tags[RESPONSE], merged.tags[SERVICE].len());
        assert_eq!((found.len(), found.max(), found.min(), sum), (9, expected.max(), expected.min(), 1));
    }

    #[test]
    fn the_merged_histogram_is_the_one_of_all_values_and_percentiles_are_never_averaged() {
        let slow: Counts = (1..=100).map(|value| (value * 1_000_000, 1)).collect();
        let fast: Counts = (1..=900).map(|value| (value * 100, 1)).collect();
        let merged = merged(&[
            &log(&[interval(0, slow.clone(), None)], 1_000_000),
            &log(&[interval(0, fast.clone(), None), interval(1, vec![], None)], 1_000_001),
        ]);
        let mut all = histogram();
        for (value, count) in slow.iter().chain(&fast) {
            all.record_n(*value, *count).unwrap();
        }
        let found = &merged.tags[RESPONSE];
        assert_eq!(found.len(), all.len());
        for quantile in [0.1, 0.5, 0.89, 0.9, 0.91, 0.99, 1.0] {
            assert_eq!(found.value_at_quantile(quantile), all.value_at_quantile(quantile), "{quantile}");
        }
        assert_eq!(merged.span(), Duration::from_secs(3));
        assert_eq!(merged.overlap(), 0.0);
    }

    #[test]
    fn a_log_of_another_writer_is_read() {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 100_000, 2).unwrap();
        histogram.record(500).unwrap();
        let (mut bytes, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
        IntervalLogWriterBuilder::new()
            .begin_log_with(&mut bytes, &mut serializer)
            .unwrap()
            .write_histogram(&histogram, Duration::from_millis(1_500), Duration::from_secs(2), None)
            .unwrap();
        let line = String::from_utf8(bytes).unwrap();
        let text = format!(
            "#[Logged with jHiccup version 2.0.7]\n#[StartTime: 1441812279.474 (seconds since epoch), Wed Sep 09 2015]\n\
             \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n{line}"
        );
        let merged = merged(&[text.as_bytes()]);
        assert_eq!((merged.tags[""].len(), merged.span()), (1, Duration::from_secs(2)));
    }

    #[test]
    fn broken_logs_are_refused_in_one_line() {
        let whole = log(&[interval(0, vec![(1_000, 5)], None)], 1);
        let cut = &whole[..whole.len() - 20];
        let mut cut = cut.to_vec();
        cut.push(b'\n');
        for broken in [b"".as_slice(), b"hello\n", b"#only a comment\n", b"0.1,1.0,2.0,not base64\n", &cut] {
            let error = Merged::default().add_log(broken).unwrap_err();
            assert!(!format!("{error:#}").contains('\n'), "{error:#}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

        #[test]
        fn a_damaged_log_is_merged_or_refused_but_never_a_panic(
            place in proptest::prelude::any::<proptest::sample::Index>(),
            byte in proptest::prelude::any::<u8>(),
        ) {
            let mut bytes = log(&[interval(0, vec![(1_000, 5), (70_000, 2)], None)], 1);
            let place = place.index(bytes.len());
            bytes[place] = byte;
            let _ = Merged::default().add_log(&bytes);
        }
    }
}
