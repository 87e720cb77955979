//! The load as a time series: a row for each interval, as CSV and as lines of JSON.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use serde::Serializer;

use super::recorder::histogram_of;
use super::results::Interval;
use crate::units::{counted, grouped, rate, time};

/// What the rows of a series are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Values with commas between them, and one line with their names.
    Csv,
    /// An object in each line.
    Ndjson,
}

/// A series that is being written.
pub(super) struct Series {
    form: Form,
    out: Box<dyn Write>,
    has_names: bool,
}

/// The names of a row's values, and these; `None` is unknown.
type Row = Vec<(&'static str, Option<f64>)>;

impl Series {
    /// Nothing written yet.
    pub(super) fn new(form: Form, out: Box<dyn Write>) -> Self {
        Self { form, out, has_names: false }
    }

    /// Writes a row, at once.
    ///
    /// # Errors
    /// What the file says.
    pub(super) fn write(&mut self, started: SystemTime, interval: &Interval) -> Result<()> {
        let row = row(started, interval);
        match self.form {
            Form::Csv => {
                if !std::mem::replace(&mut self.has_names, true) {
                    let names: Vec<&str> = row.iter().map(|(name, _)| *name).collect();
                    writeln!(self.out, "{}", names.join(","))?;
                }
                let values = row.iter().map(|(_, value)| value.map(|value| value.to_string()));
                let values: Vec<String> = values.map(Option::unwrap_or_default).collect();
                writeln!(self.out, "{}", values.join(","))?;
            }
            Form::Ndjson => {
                let mut line = Vec::new();
                serde_json::Serializer::new(&mut line).collect_map(row.into_iter().map(whole))?;
                line.push(b'\n');
                self.out.write_all(&line)?;
            }
        }
        Ok(self.out.flush()?)
    }
}

/// JSON tells 5 from 5.0.
fn whole((name, value): (&'static str, Option<f64>)) -> (&'static str, serde_json::Value) {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are exact up to 2^53")]
    let value = match value {
        Some(count) if count.fract() == 0.0 && (0.0..9e15).contains(&count) => (count as u64).into(),
        value => value.into(),
    };
    (name, value)
}

fn row(started: SystemTime, interval: &Interval) -> Row {
    let response = histogram_of(&interval.response);
    let unix = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + interval.start;
    let quantile = |quantile| (!response.is_empty()).then(|| response.value_at_quantile(quantile) as f64);
    let count = |count: u64| Some(count as f64);
    // After the measurement there is no time that a rate could be of.
    let length = if interval.is_late { Duration::ZERO } else { interval.length };
    let mut row = vec![
        ("unix_seconds", Some(rounded(unix))),
        ("start_seconds", Some(rounded(interval.start))),
        ("length_seconds", Some(rounded(length))),
        ("sent", count(interval.sent)),
        ("answered", count(response.len())),
        ("answered_per_second", per_second(response.len(), length)),
        ("p50_ns", quantile(0.5)),
        ("p90_ns", quantile(0.9)),
        ("p99_ns", quantile(0.99)),
        ("max_ns", quantile(1.0)),
        ("open_connections", count(interval.open)),
        ("in_flight", count(interval.in_flight)),
        ("errors", count(interval.errors.total())),
    ];
    row.extend(interval.errors.by_field().map(|(name, errors)| (name, count(errors))));
    row
}

/// In seconds, to the microsecond.
fn rounded(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}

fn per_second(count: u64, length: Duration) -> Option<f64> {
    let per_second = count as f64 / length.as_secs_f64();
    (!length.is_zero()).then(|| (per_second * 10.0).round() / 10.0)
}

/// An interval in a line, for a log that a person reads.
pub(super) fn line(interval: &Interval) -> String {
    let row = row(SystemTime::UNIX_EPOCH, interval);
    let value = |name: &str| row.iter().find(|(known, _)| *known == name).and_then(|(_, value)| *value);
    let end = if interval.is_late { interval.start } else { interval.start + interval.length };
    let p99 = value("p99_ns").map_or_else(|| "none".to_owned(), time);
    format!(
        "{:.1} s: {} requests/s, p99 {p99}, {} open, {} in flight, {}",
        end.as_secs_f64(),
        rate(value("answered_per_second").unwrap_or_default()),
        grouped(interval.open),
        grouped(interval.in_flight),
        counted(interval.errors.total(), "error")
    )
}

/// Writes a line to stderr; nobody may read it any more.
pub(super) fn say(interval: &Interval) {
    let _ = writeln!(io::stderr(), "{}", line(interval));
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::results::Errors;
    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn interval(response: Vec<(u64, u64)>) -> Interval {
        Interval {
            start: Duration::from_secs(2),
            is_late: false,
            length: Duration::from_millis(500),
            sent: 7,
            errors: Errors { reset: 2, ..Errors::default() },
            open: 3,
            in_flight: 1,
            response,
            service: None,
        }
    }

    fn written(form: Form) -> String {
        let out = Shared::default();
        let mut series = Series::new(form, Box::new(out.clone()));
        let started = SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_250);
        series.write(started, &interval(vec![(1_000, 4), (2_000_000, 2)])).unwrap();
        series.write(started, &interval(vec![])).unwrap();
        let bytes = out.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn csv_has_its_names_once_and_nothing_where_there_is_no_value() {
        let csv = written(Form::Csv);
        let lines: Vec<&str> = csv.lines().collect();
        assert!(lines[0].starts_with("unix_seconds,start_seconds,") && lines[0].ends_with(",other"));
        assert!(lines[1].starts_with("1002.25,2,0.5,7,6,12,1000,"), "{}", lines[1]);
        assert!(lines[2].starts_with("1002.25,2,0.5,7,0,0,,,,,3,1,2,0,2,0,"), "{}", lines[2]);
        let names = lines[0].split(',').count();
        assert!(lines.iter().all(|line| line.split(',').count() == names) && lines.len() == 3);
    }

    #[test]
    fn a_line_of_json_has_the_same_values() {
        let ndjson = written(Form::Ndjson);
        let rows: Vec<serde_json::Value> =
            ndjson.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&rows[0]["sent"], &rows[0]["reset"], rows.len()), (&7.into(), &2.into(), 2));
        assert_eq!(rows[1]["p99_ns"], serde_json::Value::Null);
        assert!(ndjson.starts_with("{\"unix_seconds\":1002.25,\"start_seconds\":2,"), "{ndjson}");
    }

    #[test]
    fn a_line_for_people_has_units() {
        let said = line(&interval(vec![(2_000_000, 20)]));
        assert_eq!(said, "2.5 s: 40.0 requests/s, p99 2.00 ms, 3 open, 1 in flight, 2 errors");
    }
}
