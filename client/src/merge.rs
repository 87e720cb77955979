//! One result out of many clients' logs, so that many machines can load one server.
//!
//! The histograms are added and the percentiles read off the sum. Percentiles of several results
//! cannot be averaged: the average of two p99 is the p99 of nothing.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::hlog::{Merged, RESPONSE};
use crate::latency::{Summary, seconds, write_distribution, write_table};
use crate::output::{self, Output};

/// Version of the JSON form, as in `client load`.
const VERSION: u32 = 1;

/// The share of the time that all logs should cover, from 0 to 1.
const TOGETHER: f64 = 0.9;

/// What to merge, and where to.
#[derive(Debug, Clone, Args)]
pub struct MergeOptions {
    /// Interval logs, as `client load --hdr FILE` and other HdrHistogram writers make them
    #[arg(value_name = "LOG", required = true)]
    pub logs: Vec<PathBuf>,

    /// Write the result as JSON; - is standard output, and the text then goes to standard error
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub json: Option<PathBuf>,

    /// Write the percentile distribution for the HdrHistogram plotter, in milliseconds
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub hgrm: Option<PathBuf>,
}

/// Merges the logs and shows the result.
///
/// # Errors
/// One line that names the file: if it cannot be read or written, or is not a whole log.
pub fn run(options: &MergeOptions) -> Result<ExitCode> {
    let mut merged = Merged::default();
    for log in &options.logs {
        merged.add_file(log)?;
    }
    // Not before the logs are read: a log must not be lost because somebody gave its name twice.
    let [json, hgrm] =
        Output::open_all([("--json", options.json.as_deref()), ("--hgrm", options.hgrm.as_deref())])?;
    let is_taken = [&json, &hgrm].into_iter().flatten().any(Output::is_stdout);
    output::show(is_taken, |out| write_text(out, options, &merged))?;
    if let Some(json) = json {
        json.write(|out| write_json(out, options, &merged))?;
    }
    if let (Some(hgrm), Some(histogram)) = (hgrm, main_histogram(&merged)) {
        hgrm.write(|out| write_distribution(out, histogram))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The one histogram that a distribution can show: of the response times, or of whatever comes
/// first.
fn main_histogram(merged: &Merged) -> Option<&Histogram<u64>> {
    merged.tags.get(RESPONSE).or_else(|| merged.tags.values().next())
}

/// How a tag is called in the table.
fn title(tag: &str) -> String {
    if tag.is_empty() { "no tag".to_owned() } else { format!("{tag} time") }
}

fn per_second(histogram: &Histogram<u64>, merged: &Merged) -> f64 {
    let seconds = merged.span().as_secs_f64();
    if seconds > 0.0 { histogram.len() as f64 / seconds } else { 0.0 }
}

fn write_text(out: &mut dyn Write, options: &MergeOptions, merged: &Merged) -> io::Result<()> {
    let count = options.logs.len();
    let plural = if count == 1 { "" } else { "s" };
    writeln!(out, "{count} log{plural} that cover {}", seconds(merged.span()))?;
    if let Some(histogram) = main_histogram(merged) {
        writeln!(out, "  {} requests: {:.1} requests/s", histogram.len(), per_second(histogram, merged))?;
    }
    let titles: Vec<_> = merged.tags.keys().map(|tag| title(tag)).collect();
    let rows: Vec<_> = titles.iter().map(String::as_str).zip(merged.tags.values()).collect();
    write_table(out, &rows)?;
    if merged.overlap() < TOGETHER {
        writeln!(
            out,
            "doubt: all logs together cover only {:.0} % of this time, so the rate is not that of all clients at once: \
             begin together (--start-at), and leave out old logs",
            merged.overlap() * 100.0
        )?;
    }
    Ok(())
}

/// The JSON form; units are the last part of each name.
#[derive(Debug, Serialize)]
struct Json {
    version: u32,
    logs: usize,
    span_seconds: f64,
    /// The part of it that all logs cover, from 0 to 1.
    overlap: f64,
    tags: Vec<JsonTag>,
}

#[derive(Debug, Serialize)]
struct JsonTag {
    /// Empty for intervals without one.
    tag: String,
    count: u64,
    per_second: f64,
    /// `null` if there are no values. Nanoseconds, if the logs are `client load`'s; otherwise
    /// whatever their writer counts in.
    values_ns: Option<Summary>,
}

fn write_json(out: &mut dyn Write, options: &MergeOptions, merged: &Merged) -> io::Result<()> {
    let tags = merged.tags.iter().map(|(tag, histogram)| JsonTag {
        tag: tag.clone(),
        count: histogram.len(),
        per_second: per_second(histogram, merged),
        values_ns: Summary::of(histogram),
    });
    let json = Json {
        version: VERSION,
        logs: options.logs.len(),
        span_seconds: merged.span().as_secs_f64(),
        overlap: merged.overlap(),
        tags: tags.collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &json)?;
    writeln!(out)
}
