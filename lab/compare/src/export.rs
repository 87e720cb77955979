//! The answer for other programs: as Markdown, to be pasted, and as CSV, a line for each server at
//! each point.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::document::{Document, Point, Server};
use crate::matrix::{Cell, Mark, Matrix};
use crate::words;

/// The matrix and what a person would act on, as Markdown.
pub fn markdown(document: &Document) -> String {
    let matrix = Matrix::of(document);
    let mut text = String::from("| model |");
    for question in &matrix.questions {
        let _ = write!(text, " {} |", question.noun());
    }
    text.push_str("\n| :-- |");
    text.push_str(&" --: |".repeat(matrix.questions.len()));
    for (id, cells) in &matrix.rows {
        let _ = write!(text, "\n| {} |", escaped(id));
        for cell in cells {
            let _ = write!(text, " {} |", shown(cell));
        }
    }
    text.push_str(
        "\n\nBold: the best. *Italic*: tied with it (95 %). (?): rounds that differ too much to tell.",
    );
    for (index, footnote) in matrix.footnotes.iter().enumerate() {
        let _ = write!(text, " ({}) {footnote}.", index + 1);
    }
    let _ = write!(text, "\n\nLoad: {}.\n\n", escaped(&matrix.about.join("; ")));
    for finding in document.findings.iter().filter(|finding| finding.key) {
        let _ = writeln!(text, "- {}", escaped(&words::sentence(&finding.claim)));
    }
    for doubt in &document.doubts {
        let _ = writeln!(text, "- Doubt: {}", escaped(&doubt.why));
    }
    let day = document.started.get(..10).unwrap_or_default();
    let _ = writeln!(text, "\nMeasured on {}, {}.", escaped(day), escaped(&document.machine.to_string()));
    text
}

fn shown(cell: &Cell) -> String {
    match (cell.mark, cell.footnote) {
        (_, Some(number)) => format!("{} ({number})", cell.text),
        (Mark::Best, _) => format!("**{}**", cell.text),
        (Mark::Tied, _) => format!("*{}*", cell.text),
        (Mark::Noisy, _) => format!("{} (?)", cell.text),
        (Mark::None, _) => cell.text.clone(),
    }
}

/// Whatever a server is called: text, and no markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if r"\`*_[]<>|#&".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// A line of CSV. Times and sizes as in the JSON, see `docs/results.md`.
#[derive(Debug, Serialize)]
struct Row<'a> {
    scenario: &'a str,
    connections: usize,
    load: Option<f64>,
    server: &'a str,
    workers: Option<usize>,
    rounds: usize,
    requests_per_s: Option<f64>,
    requests_per_s_least: Option<f64>,
    requests_per_s_most: Option<f64>,
    bytes_per_s: Option<f64>,
    p50_ns: Option<u64>,
    p99_ns: Option<u64>,
    p99_9_ns: Option<u64>,
    server_cpu_ns_per_request: Option<f64>,
    server_cores: Option<f64>,
    peak_pss_bytes: Option<u64>,
    idle_pss_bytes: Option<f64>,
    idle_kernel_bytes: Option<f64>,
    processes: Option<usize>,
    threads: Option<usize>,
    failure: Option<&'a str>,
}

/// Every server at every point, as CSV (RFC 4180) with a header.
///
/// # Errors
/// Never in practice: it is written to memory.
pub fn csv(document: &Document) -> Result<String> {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    for point in &document.points {
        for server in &point.servers {
            writer.serialize(row(point, server)).context("cannot make a line of CSV")?;
        }
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error()).context("cannot make CSV")?;
    Ok(String::from_utf8(bytes)?)
}

fn row<'a>(point: &'a Point, server: &'a Server) -> Row<'a> {
    let figures = server.figures.as_ref();
    let rates = || server.rounds.iter().map(|round| round.requests_per_s);
    Row {
        scenario: point.scenario.name(),
        connections: server.connections,
        load: point.load,
        server: &server.id,
        workers: server.workers,
        rounds: server.rounds.len(),
        requests_per_s: figures.map(|it| it.requests_per_s),
        requests_per_s_least: rates().reduce(f64::min),
        requests_per_s_most: rates().reduce(f64::max),
        bytes_per_s: figures.map(|it| it.bytes_per_s),
        p50_ns: figures.map(|it| it.p50_ns),
        p99_ns: figures.map(|it| it.p99_ns),
        p99_9_ns: figures.map(|it| it.p99_9_ns),
        server_cpu_ns_per_request: figures.map(|it| it.server_cpu_ns_per_request),
        server_cores: figures.map(|it| it.server_cores),
        peak_pss_bytes: figures.and_then(|it| it.peak_pss_bytes),
        idle_pss_bytes: figures.and_then(|it| Some(it.idle?.pss_bytes)),
        idle_kernel_bytes: figures.and_then(|it| Some(it.idle?.kernel_bytes())),
        processes: figures.map(|it| it.processes),
        threads: figures.map(|it| it.threads),
        failure: server.failure.as_ref().map(|failure| failure.why.as_str()),
    }
}
