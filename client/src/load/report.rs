//! A result for people and for programs.

use std::io::{self, Write};
use std::time::SystemTime;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::doubts::Doubt;
use super::options::LoadOptions;
use super::results::{Errors, Results};
use crate::latency::{Summary, seconds, write_table};

/// Version of the JSON form. Fields may be added to it; whoever changes or removes one changes the
/// version.
const VERSION: u32 = 1;

/// Writes a result for a person.
///
/// # Errors
/// What `out` says.
pub(super) fn write_text(out: &mut dyn Write, options: &LoadOptions, results: &Results) -> io::Result<()> {
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let how = match options.rate {
        Some(rate) => format!("open loop at {rate} requests/s"),
        None => "closed loop".to_owned(),
    };
    let each = if options.new_connection_each { " at a time, a new one for each request" } else { "" };
    let pipeline = match options.pipeline {
        1 => String::new(),
        many => format!(", {many} requests in flight on each"),
    };
    let (connections, threads, bytes) = (options.connections, results.threads, options.request_bytes());
    writeln!(
        out,
        "{}: {how}, {connections} connection{}{each}{pipeline}, {bytes} byte{} per request, {threads} thread{}",
        options.address,
        plural(connections),
        plural(bytes),
        plural(threads)
    )?;
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

/// The JSON form. Units are the last part of each name; `_ns` are nanoseconds, `null` where there
/// is no value.
#[derive(Debug, Serialize)]
struct Json<'a> {
    /// [`VERSION`].
    version: u32,
    /// Every answer was right, and no connection was lost.
    ok: bool,
    load: JsonLoad,
    /// When the measurement began, since 1970.
    started_unix_seconds: f64,
    /// How long it took.
    elapsed_seconds: f64,
    /// Requests answered within it.
    requests: u64,
    requests_per_second: f64,
    /// In one direction.
    mebibytes_per_second: f64,
    /// Open loop: from when a request should have been sent; closed loop: from when it was.
    response_ns: Option<Summary>,
    /// From when a request was sent; open loop only.
    service_ns: Option<Summary>,
    /// To open a connection.
    connect_ns: Option<Summary>,
    /// Counts by kind.
    errors: Errors,
    first_error: Option<&'a str>,
    /// Requests answered in the second after the measurement: in the times, not in the rate.
    late: u64,
    /// Requests not answered even then.
    unanswered: u64,
    /// CPU time of the generator's threads within the measurement.
    generator_cpu_seconds: f64,
    /// The same as a share of what its threads could have used, from 0 to 1.
    generator_cpu_share: f64,
    doubts: Vec<JsonDoubt>,
}

/// What was asked for.
#[derive(Debug, Serialize)]
struct JsonLoad {
    address: String,
    connections: usize,
    threads: usize,
    size_bytes: usize,
    pipeline: usize,
    /// `null` in a closed loop.
    target_requests_per_second: Option<f64>,
    new_connection_each: bool,
    echo: bool,
    message: Option<String>,
    seed: u64,
    duration_seconds: f64,
    warm_up_seconds: f64,
}

#[derive(Debug, Serialize)]
struct JsonDoubt {
    kind: &'static str,
    text: String,
}

impl JsonLoad {
    fn of(options: &LoadOptions) -> Self {
        Self {
            address: options.address.to_string(),
            connections: options.connections,
            threads: options.useful_threads(),
            size_bytes: options.request_bytes(),
            pipeline: options.pipeline,
            target_requests_per_second: options.rate,
            new_connection_each: options.new_connection_each,
            echo: options.echo,
            message: options.message.clone(),
            seed: options.seed,
            duration_seconds: options.duration.as_secs_f64(),
            warm_up_seconds: options.warm_up.as_secs_f64(),
        }
    }
}

/// Writes a result for a program, as one JSON object and the end of its line.
///
/// # Errors
/// What `out` says.
pub(super) fn write_json(out: &mut dyn Write, options: &LoadOptions, results: &Results) -> io::Result<()> {
    let since_1970 = results.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let doubts = results
        .doubts(options)
        .iter()
        .map(|doubt: &Doubt| JsonDoubt { kind: doubt.kind(), text: doubt.to_string() })
        .collect();
    let json = Json {
        version: VERSION,
        ok: results.ok(),
        load: JsonLoad::of(options),
        started_unix_seconds: since_1970.as_secs_f64(),
        elapsed_seconds: results.elapsed.as_secs_f64(),
        requests: results.requests,
        requests_per_second: results.rate(),
        mebibytes_per_second: results.mebibytes_per_second(),
        response_ns: Summary::of(&results.response),
        service_ns: results.service.as_ref().and_then(Summary::of),
        connect_ns: Summary::of(&results.connect),
        errors: results.errors,
        first_error: results.first_error.as_deref(),
        late: results.late,
        unanswered: results.unanswered,
        generator_cpu_seconds: results.cpu.as_secs_f64(),
        generator_cpu_share: results.cpu_share(),
        doubts,
    };
    serde_json::to_writer_pretty(&mut *out, &json)?;
    writeln!(out)
}
