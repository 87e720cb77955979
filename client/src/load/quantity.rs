//! Numbers and stretches of time as they are written on the command line of a load.

use std::fmt;
use std::thread;
use std::time::Duration;

use bytesize::ByteSize;
use serving::options::{parse_count, parse_duration};

/// The most bytes that one request may have.
pub(super) const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// The highest rate that can be asked for, per second.
const MOST_PER_SECOND: f64 = 1e9;

/// The most threads of a load.
const MOST_THREADS: usize = 1024;

/// Reads a number of threads; `auto` is one for each core that this process may use, or for a
/// `SHARE`th of them.
///
/// # Errors
/// A line that says what the option takes.
pub fn parse_threads<const SHARE: usize>(text: &str) -> Result<usize, String> {
    if text == "auto" {
        let cores = thread::available_parallelism().map_or(1, Into::into);
        return Ok((cores / SHARE).clamp(1, MOST_THREADS));
    }
    parse_count::<MOST_THREADS>(text).map_err(|error| error + ", or auto")
}

/// Reads a size in bytes from 1 to 64 MiB, such as `64`, `64KiB` or `1MB`.
///
/// # Errors
/// A line that says what the option takes.
pub fn parse_size(text: &str) -> Result<usize, String> {
    match text.parse::<ByteSize>() {
        Ok(ByteSize(bytes @ 1..=MOST_BYTES)) => Ok(usize::try_from(bytes).expect("64 MiB fit")),
        _ => Err("takes a number of bytes from 1 to 64MiB, such as 64, 16KiB or 1MiB".to_owned()),
    }
}

/// Reads a number per second above zero, such as `500`, `0.5` or `20k`.
///
/// # Errors
/// A line that says what the option takes.
pub(super) fn parse_rate(text: &str) -> Result<f64, String> {
    match scaled(text) {
        Some(rate) if rate > 0.0 && rate <= MOST_PER_SECOND => Ok(rate),
        _ => Err("takes a number per second above 0, such as 5000, 0.5 or 20k".to_owned()),
    }
}

/// Reads a whole number from 1, such as `500`, `20k` or `1.5M`.
///
/// # Errors
/// A line that says what the option takes.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and whole")]
pub(super) fn parse_number(text: &str) -> Result<u64, String> {
    let exact = text.parse::<u64>().ok();
    // Up to here a number with a fraction in 64 bits has every whole one.
    let whole = scaled(text).filter(|number| number.fract() == 0.0 && *number < 9e15);
    match exact.or(whole.map(|number| number as u64)) {
        Some(number @ 1..) => Ok(number),
        _ => Err("takes a whole number from 1, such as 500, 20k or 3M".to_owned()),
    }
}

/// A number, of thousands with `k`, of millions with `M`.
fn scaled(text: &str) -> Option<f64> {
    let (digits, scale) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1e3),
        b'M' => (&text[..text.len() - 1], 1e6),
        _ => (text, 1.0),
    };
    // "inf", "nan" and "1e9k" are no numbers that anybody would write here.
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit() || b".e+-".contains(&byte));
    let number = digits.parse::<f64>().ok().filter(|_| is_plain)? * scale;
    // 1.1k is 1100, and not 1100.0000000000001.
    Some((number * 1e3).round() / 1e3).filter(|rounded| scale > 1.0 && *rounded > 0.0).or(Some(number))
}

/// How long a connection waits between an answer and its next request: a time between two bounds,
/// each as likely as any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Think {
    least: Duration,
    most: Duration,
}

impl Think {
    /// A time from `least` to `most`; the other way around means the same.
    pub fn new(least: Duration, most: Duration) -> Self {
        Self { least: least.min(most), most: least.max(most) }
    }

    /// Both bounds in nanoseconds.
    pub(super) fn nanos(self) -> (u64, u64) {
        (super::schedule::nanos(self.least), super::schedule::nanos(self.most))
    }
}

impl fmt::Display for Think {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", humantime::format_duration(self.least))?;
        if self.most > self.least {
            write!(f, " to {}", humantime::format_duration(self.most))
        } else {
            Ok(())
        }
    }
}

/// Reads a time to think, such as `10ms` or `5ms..20ms`.
///
/// # Errors
/// A line that says what the option takes.
pub(super) fn parse_think(text: &str) -> Result<Think, String> {
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    match (parse_duration(least), parse_duration(most)) {
        (Ok(least), Ok(most)) if least <= most && !most.is_zero() => Ok(Think::new(least, most)),
        _ => Err("takes a time, or two of which the first is shorter, such as 10ms or 5ms..20ms".to_owned()),
    }
}

/// A part of an open loop: the rate stays for that long, or changes steadily.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// How long it is; not zero.
    pub length: Duration,
    /// Requests per second at its start.
    pub from: f64,
    /// Requests per second at its end.
    pub to: f64,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", humantime::format_duration(self.length), self.from)?;
        if self.to == self.from { Ok(()) } else { write!(f, "..{}", self.to) }
    }
}

/// Reads a stage, such as `30s:1000` or `1m:1000..5000`.
///
/// # Errors
/// A line that says what the option takes.
pub(super) fn parse_stage(text: &str) -> Result<Stage, String> {
    let rate = |text: &str| if scaled(text) == Some(0.0) { Ok(0.0) } else { parse_rate(text) };
    let read = || -> Result<Stage, String> {
        let (length, rates) = text.split_once(':').ok_or_else(String::new)?;
        let (from, to) = rates.split_once("..").unwrap_or((rates, rates));
        Ok(Stage { length: parse_duration(length)?, from: rate(from)?, to: rate(to)? })
    };
    read().ok().filter(|stage| !stage.length.is_zero()).ok_or_else(|| {
        "takes TIME:RATE or TIME:RATE..RATE, with commas between them, such as 30s:1000,1m:1000..5000,10s:0"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_a_number_or_as_many_as_there_are_cores() {
        let cores = thread::available_parallelism().map_or(1, Into::into);
        assert_eq!(parse_threads::<1>("auto"), Ok(cores));
        assert_eq!(parse_threads::<2>("auto"), Ok((cores / 2).max(1)));
        assert_eq!(parse_threads::<2>("3"), Ok(3));
        for nonsense in ["", "0", "all", "1025"] {
            assert!(parse_threads::<1>(nonsense).is_err_and(|error| error.ends_with("1024, or auto")));
        }
    }

    #[test]
    fn sizes_take_units_and_refuse_nonsense() {
        assert_eq!(parse_size("64"), Ok(64));
        assert_eq!(parse_size("64 KiB"), Ok(65_536));
        assert_eq!(parse_size("1MB"), Ok(1_000_000));
        for nonsense in ["", "0", "KiB", "-1", "64 gallons", "65MiB", "99999999999999999999"] {
            assert!(parse_size(nonsense).is_err(), "{nonsense:?} was taken");
        }
    }

    #[test]
    fn numbers_take_thousands_and_millions() {
        assert_eq!(
            [parse_number("1k"), parse_number("1.1k"), parse_number("2M")],
            [Ok(1000), Ok(1100), Ok(2_000_000)]
        );
        assert_eq!(parse_number("18446744073709551615"), Ok(u64::MAX));
        for nonsense in ["", "0", "k", "1.5", "-1", "1e99", "inf", "nan", "1kk", "0.0001k", "1 k"] {
            assert!(parse_number(nonsense).is_err(), "{nonsense:?} was taken");
        }
        assert_eq!(
            [parse_rate("0.5"), parse_rate("20k"), parse_rate("1e9")],
            [Ok(0.5), Ok(20_000.0), Ok(1e9)]
        );
        assert!(["0", "-1", "nan", "inf", "2e9", ""].iter().all(|nonsense| parse_rate(nonsense).is_err()));
    }

    #[test]
    fn stages_and_times_to_think_have_one_or_two_values() {
        let stage = |seconds, from, to| Ok(Stage { length: Duration::from_secs(seconds), from, to });
        assert_eq!(parse_stage("30s:1k"), stage(30, 1000.0, 1000.0));
        assert_eq!(parse_stage("1m:1000..0"), stage(60, 1000.0, 0.0));
        let [ten, twenty] = [10, 20].map(Duration::from_millis);
        assert_eq!(parse_think("10ms"), Ok(Think::new(ten, ten)));
        assert_eq!(parse_think("10ms..20ms"), Ok(Think::new(ten, twenty)));
        for nonsense in ["", "1s", "1s:", ":5", "0s:5", "1s:-5", "5:1s", "1s:5..", "1s:5..6..7"] {
            assert!(parse_stage(nonsense).is_err(), "{nonsense:?} was taken");
        }
        for nonsense in ["", "0s", "5", "20ms..10ms", "10ms..", "..10ms"] {
            assert!(parse_think(nonsense).is_err(), "{nonsense:?} was taken");
        }
    }
}
