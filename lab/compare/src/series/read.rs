//! A time series of one client, read from its file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use client::load::Errors;
use serving::UsageError;

/// The largest file that is read, in bytes: a month of seconds has less.
const MOST_BYTES: u64 = 1 << 29;

/// With more intervals than these, neighbours are joined: a screen has no more columns.
pub const MOST_ROWS: usize = 600;

/// No value is larger: 2^53 counts, or a hundred days of nanoseconds.
const MOST: f64 = 9_007_199_254_740_992.0;

/// How many kinds of errors there are.
pub const KINDS: usize = 8;

/// What happened in an interval.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// In seconds since 1970.
    pub start: f64,
    /// In seconds; 0 for what came after the end.
    pub length: f64,
    /// Answers; a fraction where an interval was divided.
    pub answered: f64,
    /// In nanoseconds; `None` if nothing was answered.
    pub p50: Option<f64>,
    /// As `p50`.
    pub p99: Option<f64>,
    /// Connections at its end.
    pub open: f64,
    /// Requests that were sent and not yet answered, at its end.
    pub in_flight: f64,
    /// Counts, in the order of [`Errors::by_kind`].
    pub errors: [f64; KINDS],
}

/// The intervals of one client, in the order of time, at least one.
#[derive(Debug)]
pub struct Series {
    /// The name of its file.
    pub name: String,
    /// At most [`MOST_ROWS`].
    pub rows: Vec<Row>,
    /// Whether its last line was not whole, and is left out.
    pub is_cut: bool,
    /// How many intervals of the file are a row.
    pub joined: usize,
}

impl Row {
    /// In seconds since 1970.
    pub fn end(&self) -> f64 {
        self.start + self.length
    }

    /// Answers per second; `None` for an interval of no length.
    pub fn rate(&self) -> Option<f64> {
        (self.length > 0.0).then(|| self.answered / self.length)
    }

    fn of(values: &BTreeMap<String, Option<f64>>) -> Result<Self, String> {
        let get = |name: &str| {
            let value = *values.get(name).ok_or_else(|| format!("it has no \"{name}\""))?;
            match value {
                Some(value) if !(0.0..=MOST).contains(&value) => Err(format!("{name} cannot be {value}")),
                value => Ok(value),
            }
        };
        let some = |name: &str| get(name)?.ok_or_else(|| format!("{name} has no value"));
        let start = some("unix_seconds")?;
        let mut errors = [0.0; KINDS];
        for (count, (name, _)) in errors.iter_mut().zip(Errors::default().by_field()) {
            *count = some(name)?;
        }
        Ok(Self {
            start,
            length: some("length_seconds")?,
            answered: some("answered")?,
            p50: get("p50_ns")?,
            p99: get("p99_ns")?,
            open: some("open_connections")?,
            in_flight: some("in_flight")?,
            errors,
        })
    }

    /// Neighbours as one: counts are added, of percentiles and of what is open the highest is kept.
    fn join(rows: &[Self]) -> Self {
        let mut joined = rows[0].clone();
        for row in &rows[1..] {
            joined.length = row.end() - joined.start;
            joined.answered += row.answered;
            // `None` is below every value.
            joined.p50 = if row.p50 > joined.p50 { row.p50 } else { joined.p50 };
            joined.p99 = if row.p99 > joined.p99 { row.p99 } else { joined.p99 };
            joined.open = joined.open.max(row.open);
            joined.in_flight = joined.in_flight.max(row.in_flight);
            for (sum, count) in joined.errors.iter_mut().zip(row.errors) {
                *sum += count;
            }
        }
        joined
    }
}

impl Series {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or a [`UsageError`] that says why it is no series.
    pub fn read(path: &Path) -> Result<Self> {
        let (mut bytes, name) = (Vec::new(), path.display().to_string());
        let file = File::open(path).with_context(|| format!("cannot read {name:?}"))?;
        file.take(MOST_BYTES + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {name:?}"))?;
        Self::of(&name, &bytes)
            .map_err(|why| UsageError(format!("{name:?} is no series of `client load`: {why}")).into())
    }

    /// The series in these bytes.
    ///
    /// # Errors
    /// Why it is none, in half a sentence.
    pub fn of(name: &str, bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() {
            return Err("it is empty".to_owned());
        }
        if bytes.len() as u64 > MOST_BYTES {
            return Err(format!("it is longer than {MOST_BYTES} bytes"));
        }
        // The client ends every line; one without an end was cut when it was killed, and its last
        // number may have lost digits.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let text = str::from_utf8(&bytes[..whole]).map_err(|_| "it is not text".to_owned())?;
        let mut rows = if text.starts_with('{') { ndjson(text)? } else { csv(text)? };
        if rows.is_empty() {
            return Err("it has no whole interval".to_owned());
        }
        rows.sort_by(|one, other| one.start.total_cmp(&other.start));
        trim_end(&mut rows);
        let joined = rows.len().div_ceil(MOST_ROWS);
        let rows = rows.chunks(joined).map(Row::join).collect();
        Ok(Self { name: name.to_owned(), rows, is_cut: whole < bytes.len(), joined })
    }
}

/// The last interval ends with the load, so it can be too short for a rate of its own: then it
/// belongs to the one before. What came after the end is an interval of no length.
fn trim_end(rows: &mut Vec<Row>) {
    let usual = rows[0].length;
    let late = rows.pop_if(|last| last.length == 0.0);
    if let Some(stump) = rows.pop_if(|last| last.length < usual / 2.0) {
        match rows.last_mut() {
            Some(last) => *last = Row::join(&[last.clone(), stump]),
            None => rows.push(stump),
        }
    }
    rows.extend(late);
}

fn ndjson(text: &str) -> Result<Vec<Row>, String> {
    let row = |(index, line)| {
        let values = serde_json::from_str(line).map_err(|_| "it is not an object of numbers".to_owned());
        values.and_then(|values| Row::of(&values)).map_err(|why| format!("line {}: {why}", index + 1))
    };
    text.lines().enumerate().map(row).collect()
}

fn csv(text: &str) -> Result<Vec<Row>, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names = reader.headers().map_err(|error| error.to_string())?.clone();
    if !text.is_empty() && !names.iter().any(|name| name == "unix_seconds") {
        return Err("its first line does not name \"unix_seconds\"".to_owned());
    }
    let number = |(name, value): (&str, &str)| match value {
        "" => Ok((name.to_owned(), None)),
        value => match value.parse() {
            Ok(number) => Ok((name.to_owned(), Some(number))),
            Err(_) => Err(format!("{value:?} is not a number")),
        },
    };
    let row = |(index, record): (usize, csv::Result<csv::StringRecord>)| {
        let values = record.map_err(|_| "it has not as many values as the first line names".to_owned());
        let values = values.and_then(|record| names.iter().zip(&record).map(number).collect());
        values.and_then(|values| Row::of(&values)).map_err(|why| format!("line {}: {why}", index + 2))
    };
    reader.records().enumerate().map(row).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const NAMES: &str = "unix_seconds,start_seconds,length_seconds,sent,answered,answered_per_second,p50_ns,p90_ns,p99_ns,max_ns,\
                         open_connections,in_flight,errors,refused,reset,closed_early,timed_out,wrong_bytes,no_port,no_descriptor,other\n";

    /// A series with a line for each start, with as many answers and connections closed early.
    pub(crate) fn series(name: &str, rows: &[(f64, u32, u32)]) -> Series {
        Series::of(name, text(rows).as_bytes()).unwrap()
    }

    fn text(rows: &[(f64, u32, u32)]) -> String {
        let line = |(start, answered, early): &(f64, u32, u32)| {
            let quantiles = if *answered == 0 { ",,,".to_owned() } else { format!("10,20,{answered},40") };
            format!("{start},0,1,9,{answered},{answered},{quantiles},5,2,{early},0,0,{early},0,0,0,0,0\n")
        };
        NAMES.to_owned() + &rows.iter().map(line).collect::<String>()
    }

    #[test]
    fn csv_and_json_say_the_same_and_a_cut_last_line_is_left_out() {
        let csv = text(&[(100.5, 7, 22), (101.5, 0, 0)]) + "102.5,0,1,9,9,9,1,1,1,1,5,2,0,0,0,0,0,0,0,0,1";
        let series = Series::of("a", csv.as_bytes()).unwrap();
        let row = Row {
            start: 100.5,
            length: 1.0,
            answered: 7.0,
            p50: Some(10.0),
            p99: Some(7.0),
            open: 5.0,
            in_flight: 2.0,
            errors: [0.0, 0.0, 22.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        };
        assert!(series.is_cut);
        assert_eq!((&series.rows[0], series.rows[1].p99, series.rows.len()), (&row, None, 2));
        let json = r#"{"unix_seconds":100.5,"length_seconds":1,"answered":7,"p50_ns":10,"p99_ns":7,"open_connections":5,"in_flight":2,
            "refused":0,"reset":0,"closed_early":22,"timed_out":0,"wrong_bytes":0,"no_port":0,"no_descriptor":0,"other":0}"#;
        let json = json.replace('\n', "") + "\n{\"unix_sec";
        let series = Series::of("a", json.as_bytes()).unwrap();
        assert_eq!((series.rows, series.is_cut), (vec![row], true));
    }

    #[test]
    fn what_is_no_series_is_told_so() {
        let line = |number: &str| text(&[(1.0, 1, 0)]).replace("\n1,", &format!("\n{number},"));
        for (bytes, why) in [
            (String::new(), "it is empty"),
            ("hello".to_owned(), "it has no whole interval"),
            ("hello\nworld\n".to_owned(), "its first line does not name \"unix_seconds\""),
            (NAMES.to_owned(), "it has no whole interval"),
            (line("x"), "line 2: \"x\" is not a number"),
            (line("-1"), "line 2: unix_seconds cannot be -1"),
            (line("NaN"), "line 2: unix_seconds cannot be NaN"),
            (line(""), "line 2: unix_seconds has no value"),
            (line("1,1"), "line 2: it has not as many values as the first line names"),
            ("{\"unix_seconds\":1}\n".to_owned(), "line 1: it has no \"refused\""),
            ("{}\n".to_owned(), "line 1: it has no \"unix_seconds\""),
            ("{\"unix_seconds\":\"x\"}\n".to_owned(), "line 1: it is not an object of numbers"),
        ] {
            assert_eq!(Series::of("a", bytes.as_bytes()).unwrap_err(), why);
        }
    }

    #[test]
    fn the_end_of_a_load_makes_no_rate_of_its_own_and_loses_no_error() {
        let text = text(&[(1.0, 5, 0), (2.0, 4, 1), (3.0, 1, 2), (3.25, 3, 4)]);
        let text = text.replace("\n3,0,1,", "\n3,0,0.25,").replace("\n3.25,0,1,", "\n3.25,0,0,");
        let rows = Series::of("a", text.as_bytes()).unwrap().rows;
        let seen: Vec<_> = rows.iter().map(|row| (row.rate(), row.errors[2])).collect();
        assert_eq!(seen, [(Some(5.0), 0.0), (Some(4.0), 3.0), (None, 4.0)]);
    }

    #[test]
    fn neighbours_of_a_long_series_are_joined_and_no_error_is_lost() {
        let rows: Vec<_> = (0..1500).map(|second| (f64::from(second), second, 1)).collect();
        let series = series("a", &rows);
        assert_eq!((series.rows.len(), series.joined), (500, 3));
        let last = &series.rows[499];
        assert_eq!((last.length, last.rate(), last.p99), (3.0, Some(1498.0), Some(1499.0)));
        assert_eq!(series.rows.iter().map(|row| row.errors[2]).sum::<f64>(), 1500.0);
    }
}
