//! A result for people and for programs.

use std::io::{self, Write};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::facts::Facts;
use super::options::LoadOptions;
use super::results::Results;
use crate::latency::{Summary, seconds, write_table};
use crate::units::counted;

/// Writes a result for a person.
///
/// # Errors
/// What `out` says.
pub(super) fn write_text(out: &mut dyn Write, options: &LoadOptions, results: &Results) -> io::Result<()> {
    writeln!(out, "{}: {}", options.address, how(options, results))?;
    writeln!(
        out,
        "  {} requests in {}: {:.1} requests/s, {:.2} MiB/s in each direction",
        results.requests,
        seconds(results.elapsed),
        results.rate(),
        results.mebibytes_per_second()
    )?;
    let empty = Histogram::new(1).expect("one digit is valid");
    let service = results.service.as_ref().unwrap_or(&empty);
    let rows =
        [("response time", &results.response), ("service time", service), ("connect time", &results.connect)];
    write_table(out, &rows)?;
    writeln!(out, "  errors: {}", results.errors)?;
    if let Some(first) = &results.first_error {
        writeln!(out, "  first error: {first}")?;
    }
    for doubt in results.doubts(options) {
        writeln!(out, "doubt: {doubt}")?;
    }
    Ok(())
}

/// What was asked for, in a line.
fn how(options: &LoadOptions, results: &Results) -> String {
    let mut how = match (options.rate, &options.stages[..], options.think_time) {
        (Some(rate), ..) => format!("open loop at {} requests/s", tenths(rate)),
        (None, [_, ..], _) => {
            let stages: Vec<String> = options.stages.iter().map(ToString::to_string).collect();
            format!("open loop in stages {}", stages.join(","))
        }
        (None, [], Some(think)) => format!("closed loop with {think} to think"),
        (None, [], None) => "closed loop".to_owned(),
    };
    how += &format!(", {}", counted(options.connections as u64, "connection"));
    if options.new_connection_each {
        how += " at a time, a new one for each request";
    }
    if let Some(most) = options.requests_per_connection {
        how += &format!(", each for {}", counted(most.get(), "request"));
    }
    if options.pipeline > 1 {
        how += &format!(", {} requests in flight on each", options.pipeline);
    }
    let bytes = options.request_bytes() as u64;
    how += &match (bytes, options.payload_lines) {
        (bytes, true) => format!(", a line of at most {} per request", counted(bytes, "byte")),
        (bytes, false) => format!(", {} per request", counted(bytes, "byte")),
    };
    how + &format!(", {}", counted(results.threads as u64, "thread"))
}

/// A number with one decimal where it needs one.
fn tenths(number: f64) -> String {
    let rounded = format!("{number:.1}");
    rounded.strip_suffix(".0").map(ToOwned::to_owned).unwrap_or(rounded)
}

/// The JSON form. Units are the last part of each name; `_ns` are nanoseconds, `null` where there
/// is no value.
#[derive(Debug, Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    facts: &'a Facts,
    requests_per_second: f64,
    /// In one direction.
    mebibytes_per_second: f64,
    /// Open loop: from when a request should have been sent; closed loop: from when it was.
    response_ns: Option<Summary>,
    /// From when a request was sent; open loop only.
    service_ns: Option<Summary>,
    /// To open a connection.
    connect_ns: Option<Summary>,
}

/// Writes a result for a program, as one JSON object and the end of its line.
///
/// # Errors
/// What `out` says.
pub(super) fn write_json(out: &mut dyn Write, facts: &Facts, results: &Results) -> io::Result<()> {
    let json = Json {
        facts,
        requests_per_second: results.rate(),
        mebibytes_per_second: results.mebibytes_per_second(),
        response_ns: Summary::of(&results.response),
        service_ns: results.service.as_ref().and_then(Summary::of),
        connect_ns: Summary::of(&results.connect),
    };
    serde_json::to_writer_pretty(&mut *out, &json)?;
    writeln!(out)
}
