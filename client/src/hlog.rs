//! Interval logs in the HdrHistogram format: written by `client load --hdr`, read by `client merge`,
//! and by other tools.
//!
//! One line for each interval and tag: its start, its length, its greatest value, and a compressed
//! histogram. A histogram can be added to another without losing anything, which percentiles
//! cannot. The first line, a comment to other tools, has all else that is known of the load.

mod encoding;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use serde_json::Value;

use crate::load::{Facts, Results, histogram, histogram_of};
use crate::output::harmless;
pub(crate) use encoding::decode;

/// Tag of response times.
pub(crate) const RESPONSE: &str = "response";

/// Tag of service times.
pub(crate) const SERVICE: &str = "service";

/// How the line with the facts begins; another log begins there too, where several are in one
/// stream.
const FACTS: &str = "#[client load] ";

/// The greatest value of each line is written in milliseconds, for people; histograms have
/// nanoseconds.
const MAX_VALUE_DIVISOR: f64 = 1e6;

/// Timestamps that are this much before the log's start count from it, in seconds: the rule of
/// HdrHistogram's own log reader.
const YEAR: f64 = 365.0 * 24.0 * 3600.0;

/// No time is later, or longer, in seconds.
const MOST_SECONDS: f64 = 1e12;

/// The most values of a histogram: readers of histograms add its counts.
const MOST_VALUES: u64 = u64::MAX / 2;

/// The most bytes of the histograms of all logs in a stream; a thousand clients have less.
const MOST_BYTES: usize = 512 * 1024 * 1024;

/// Significant digits of a merged histogram.
const DIGITS: u8 = 3;

/// Writes the log of a load.
///
/// # Errors
/// What `out` says.
pub(crate) fn write(out: &mut impl Write, facts: &Facts, results: &Results) -> Result<()> {
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment(&format!("{}{}", &FACTS[1..], serde_json::to_string(facts)?))
        .add_comment("[Response and service times in nanoseconds]")
        .add_comment("[Histogram log format version 1.3]")
        .with_start_time(results.started)
        .with_base_time(results.started)
        .with_max_value_divisor(MAX_VALUE_DIVISOR)
        .begin_log_with(out, &mut serializer)?;
    log.write_comment(
        "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"",
    )?;
    for interval in &results.intervals {
        let tagged = [(RESPONSE, Some(&interval.response)), (SERVICE, interval.service.as_ref())];
        for (tag, counts) in tagged {
            let Some(counts) = counts else { continue };
            log.write_histogram(&histogram_of(counts), interval.start, interval.length, Tag::new(tag))
                .map_err(|error| anyhow!("{error}"))?;
        }
    }
    Ok(())
}

/// The histograms of some logs, one for each tag; the empty tag stands for lines that have none.
pub(crate) type Tags = BTreeMap<String, Histogram<u64>>;

/// One log.
#[derive(Debug)]
pub(crate) struct Log {
    /// What `client load` knew of the load; `None` if another program wrote the log.
    pub(crate) facts: Option<Facts>,
    pub(crate) tags: Tags,
    /// From when until when it tells, in seconds since 1970, or since what it calls zero.
    pub(crate) span: (f64, f64),
}

/// Reads the logs in a stream, each of which is broken for itself. A value counts so many
/// nanoseconds, unless the log says that it is one of `client load`.
pub(crate) fn read(bytes: &[u8], unit: u64) -> Vec<Result<Log>> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut starts: Vec<usize> = text
        .match_indices(FACTS)
        .map(|(place, _)| place)
        // Within the facts it may stand too: as what was said.
        .filter(|place| *place == 0 || text.as_bytes()[place - 1] == b'\n')
        .collect();
    // What stands before the first one is a log only where nothing else is.
    if starts.is_empty() {
        starts.push(0);
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let mut room = MOST_BYTES;
    let each = starts.iter().zip(ends).map(|(start, end)| {
        let log = read_one(&text[*start..end], unit, room);
        room -= log.as_ref().map_or(0, |log| log.tags.values().map(size).sum());
        log
    });
    each.collect()
}

/// Bytes of a histogram.
fn size(histogram: &Histogram<u64>) -> usize {
    histogram.distinct_values() * size_of::<u64>()
}

/// Reads a log whose histograms find so much `room`, in bytes.
fn read_one(text: &str, unit: u64, mut room: usize) -> Result<Log> {
    let (mut start_time, mut base_time) = (None, None);
    let (mut facts, mut tags, mut span): (Option<Facts>, Tags, Option<(f64, f64)>) =
        (None, Tags::new(), None);
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if let Some(json) = line.strip_prefix(FACTS) {
            facts = Some(read_facts(json).context("its first line is broken")?);
        } else if let Some(comment) = line.strip_prefix('#') {
            start_time = seconds_in(comment, "[StartTime:").or(start_time);
            base_time = seconds_in(comment, "[BaseTime:").or(base_time);
        } else if !line.is_empty() && !line.starts_with('"') {
            let unit = if facts.is_some() { 1 } else { unit };
            match interval(line, unit) {
                Ok(interval) => {
                    let start = interval.start + zero(interval.start, start_time, base_time);
                    let (first, last) = span.unwrap_or((start, start));
                    span = Some((first.min(start), last.max(start + interval.length)));
                    let grown = add(&mut tags, interval.tag, &interval.histogram)?;
                    let left = room.checked_sub(grown);
                    room = left.context("it has too many tags: their histograms find no room")?;
                }
                // Whoever collects what a program prints may put other lines between; whether
                // something is missing, the facts tell.
                Err(_) if facts.is_some() => {}
                Err(error) => {
                    return Err(error.context(format!(
                        "line {number} is not part of an HdrHistogram interval log; is it the right file, and complete?"
                    )));
                }
            }
        }
    }
    if let Some(facts) = &facts {
        let (there, told) =
            (tags.get(RESPONSE).map_or(0, Histogram::len), facts.requests.saturating_add(facts.late));
        ensure!(there == told, "it is cut or damaged: it has {there} of {told} response times");
        let (start, end) = (facts.started_unix_seconds, facts.ended_unix_seconds());
        ensure!(
            0.0 <= start && start <= end && end < MOST_SECONDS,
            "it is damaged: it is of {start} to {end} seconds"
        );
        return Ok(Log { facts: Some(facts.clone()), tags, span: (start, end) });
    }
    let Some(span) = span else { bail!("it has no intervals; was the run that wrote it stopped?") };
    Ok(Log { facts, tags, span })
}

/// Reads the first line. It may come from anywhere: no text of it does anything to a terminal.
fn read_facts(json: &str) -> Result<Facts> {
    fn clean(value: &mut Value) {
        match value {
            Value::String(text) => *text = harmless(text),
            Value::Array(values) => values.iter_mut().for_each(clean),
            Value::Object(values) => values.values_mut().for_each(clean),
            _ => {}
        }
    }
    let mut value = serde_json::from_str(json)?;
    clean(&mut value);
    Ok(serde_json::from_value(value)?)
}

/// One line of a log.
struct Line {
    tag: String,
    start: f64,
    length: f64,
    histogram: Histogram<u64>,
}

fn interval(line: &str, unit: u64) -> Result<Line> {
    let tagged = line.strip_prefix("Tag=").and_then(|line| line.split_once(','));
    let (tag, line) = tagged.unwrap_or(("", line));
    let mut fields = line.splitn(4, ',').map(str::trim);
    let mut next = || fields.next().context("it has fewer than four fields");
    let (start, length) = (seconds(next()?)?, seconds(next()?)?);
    let _greatest = next()?;
    let encoded = decode(&STANDARD.decode(next()?)?)?;
    let histogram = if unit == 1 { encoded } else { in_nanoseconds(&encoded, unit) };
    Ok(Line { tag: harmless(tag), start, length, histogram })
}

fn seconds(text: &str) -> Result<f64> {
    let seconds: f64 = text.parse()?;
    ensure!((0.0..MOST_SECONDS).contains(&seconds), "{text} is no time in seconds");
    Ok(seconds)
}

fn in_nanoseconds(values: &Histogram<u64>, unit: u64) -> Histogram<u64> {
    let mut scaled = histogram();
    for value in values.iter_recorded() {
        scaled.saturating_record_n(value.value_iterated_to().saturating_mul(unit), value.count_at_value());
    }
    scaled
}

/// The seconds that a comment of this name tells.
fn seconds_in(comment: &str, name: &str) -> Option<f64> {
    let text = comment.trim_start().strip_prefix(name)?.split_whitespace().next()?;
    seconds(text.trim_end_matches(']')).ok()
}

/// What an interval's timestamp counts from, in seconds since 1970.
fn zero(timestamp: f64, start_time: Option<f64>, base_time: Option<f64>) -> f64 {
    match (base_time, start_time) {
        (Some(base), _) => base,
        (None, Some(start)) if timestamp < start - YEAR => start,
        _ => 0.0,
    }
}

/// Adds a histogram to those of its tag. Returns by how many bytes these have grown.
///
/// # Errors
/// If its values, or their number, are beyond what a histogram can have.
pub(crate) fn add(tags: &mut Tags, tag: String, histogram: &Histogram<u64>) -> Result<usize> {
    use std::collections::btree_map::Entry;
    let (merged, before) = match tags.entry(tag) {
        Entry::Occupied(entry) => {
            let before = size(entry.get());
            (entry.into_mut(), before)
        }
        Entry::Vacant(entry) => {
            let digits = DIGITS.max(histogram.sigfig());
            let mut empty = Histogram::new(digits).map_err(|error| anyhow!("{error}"))?;
            empty.auto(true);
            (entry.insert(empty), 0)
        }
    };
    let total = merged.len().saturating_add(histogram.len());
    ensure!(total <= MOST_VALUES, "it has more values than anybody can have measured");
    merged.add(histogram).map_err(|error| anyhow!("{error}"))?;
    Ok(size(merged) - before)
}
