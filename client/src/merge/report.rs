//! A merged result for people and for programs.

use std::io::{self, Write};

use serde::Serialize;

use super::merged::Merged;
use crate::latency::{Summary, write_table};
use crate::load::{Errors, Facts};
use crate::units::{counted, grouped, per_second, rate, time};

/// Version of the JSON form.
const VERSION: u32 = 2;

/// The most clients that are shown one by one, of each kind of doubt and in the table.
const MOST: usize = 64;

/// Writes a result for a person.
///
/// # Errors
/// What `out` says.
pub(super) fn write_text(out: &mut dyn Write, merged: &Merged) -> io::Result<()> {
    let covers = if merged.logs.len() == 1 { "covers" } else { "cover" };
    writeln!(out, "{} that {covers} {:.2} s", counted(merged.logs.len() as u64, "log"), merged.elapsed())?;
    writeln!(out, "  {} requests: {:.1} requests/s", merged.requests, merged.rate())?;
    let titles: Vec<_> = merged.tags.keys().map(|tag| title(tag)).collect();
    let rows: Vec<_> = titles.iter().map(String::as_str).zip(merged.tags.values()).collect();
    write_table(out, &rows)?;
    if merged.logs.iter().any(|named| named.log.facts.is_some()) {
        writeln!(out, "  errors: {}", merged.errors)?;
    }
    if merged.logs.len() > 1 {
        write_clients(out, merged)?;
    }
    for missing in merged.missing.iter().take(MOST) {
        writeln!(out, "missing: {}: {}", missing.name, missing.why)?;
    }
    for named in &merged.logs {
        if let Some(facts) = named.log.facts.as_ref().filter(|facts| !facts.ok) {
            let first = facts.first_error.as_deref().unwrap_or("nothing was answered");
            writeln!(out, "failed: {}: {first}", named.client())?;
        }
    }
    for doubt in merged.doubts().iter().take(MOST) {
        writeln!(out, "doubt: {doubt}")?;
    }
    Ok(())
}

/// How a tag is called in the table.
fn title(tag: &str) -> String {
    if tag.is_empty() { "no tag".to_owned() } else { format!("{tag} time") }
}

/// The clients side by side.
fn write_clients(out: &mut dyn Write, merged: &Merged) -> io::Result<()> {
    let names: Vec<String> = merged.logs.iter().map(super::Named::client).collect();
    let width = names.iter().take(MOST).map(|name| name.chars().count()).max().unwrap_or_default();
    writeln!(
        out,
        "  {:width$}{:>12}{:>11}{:>11}{:>11}{:>9}{:>12}",
        "", "requests/s", "p50", "p99", "max", "errors", "unanswered"
    )?;
    for (name, named) in names.iter().zip(&merged.logs).take(MOST) {
        let at = |quantile: f64| {
            let histogram = named.histogram().filter(|histogram| !histogram.is_empty());
            histogram.map_or_else(|| "none".to_owned(), |one| time(one.value_at_quantile(quantile) as f64))
        };
        let of = |count: fn(&Facts) -> u64| {
            named.log.facts.as_ref().map_or_else(|| "?".to_owned(), |facts| grouped(count(facts)))
        };
        writeln!(
            out,
            "  {name:width$}{:>12}{:>11}{:>11}{:>11}{:>9}{:>12}",
            rate(named.rate()),
            at(0.5),
            at(0.99),
            at(1.0),
            of(|facts| facts.errors.total()),
            of(|facts| facts.unanswered)
        )?;
    }
    if merged.logs.len() > MOST {
        writeln!(out, "  and {} more (--json has all)", grouped((merged.logs.len() - MOST) as u64))?;
    }
    Ok(())
}

/// The JSON form; units are the last part of each name.
#[derive(Debug, Serialize)]
struct Json<'a> {
    version: u32,
    /// No log is missing, and no load has failed.
    ok: bool,
    logs: usize,
    span_seconds: f64,
    /// The part of it that all logs cover, from 0 to 1.
    overlap: f64,
    requests: u64,
    requests_per_second: f64,
    errors: Errors,
    late: u64,
    unanswered: u64,
    tags: Vec<JsonTag<'a>>,
    clients: Vec<JsonClient<'a>>,
    missing: Vec<JsonMissing<'a>>,
    doubts: Vec<JsonDoubt>,
}

#[derive(Debug, Serialize)]
struct JsonTag<'a> {
    /// Empty for intervals without one.
    tag: &'a str,
    count: u64,
    per_second: f64,
    /// `null` if there are no values.
    values_ns: Option<Summary>,
}

#[derive(Debug, Serialize)]
struct JsonClient<'a> {
    log: &'a str,
    requests_per_second: f64,
    response_ns: Option<Summary>,
    /// `null` if another program wrote the log.
    load: Option<&'a Facts>,
}

#[derive(Debug, Serialize)]
struct JsonMissing<'a> {
    log: &'a str,
    why: &'a str,
}

#[derive(Debug, Serialize)]
struct JsonDoubt {
    kind: &'static str,
    text: String,
}

/// Writes a result for a program, as one JSON object and the end of its line.
///
/// # Errors
/// What `out` says.
pub(super) fn write_json(out: &mut dyn Write, merged: &Merged) -> io::Result<()> {
    let tags = merged.tags.iter().map(|(tag, histogram)| JsonTag {
        tag,
        count: histogram.len(),
        per_second: per_second(histogram.len() as f64, merged.elapsed()),
        values_ns: Summary::of(histogram),
    });
    let clients = merged.logs.iter().map(|named| JsonClient {
        log: &named.name,
        requests_per_second: named.rate(),
        response_ns: named.histogram().and_then(Summary::of),
        load: named.log.facts.as_ref(),
    });
    let missing = merged.missing.iter().map(|missing| JsonMissing { log: &missing.name, why: &missing.why });
    let doubts = merged.doubts();
    let json = Json {
        version: VERSION,
        ok: merged.ok(),
        logs: merged.logs.len(),
        span_seconds: merged.elapsed(),
        overlap: merged.overlap(),
        requests: merged.requests,
        requests_per_second: merged.rate(),
        errors: merged.errors,
        late: merged.late,
        unanswered: merged.unanswered,
        tags: tags.collect(),
        clients: clients.collect(),
        missing: missing.collect(),
        doubts: doubts
            .iter()
            .map(|doubt| JsonDoubt { kind: doubt.kind(), text: doubt.to_string() })
            .collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &json)?;
    writeln!(out)
}
