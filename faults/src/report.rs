//! What is told, and how.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anyhow::Result;
use client::output::Output;
use harness::text;
use serde::Serialize;

use crate::row::Row;
use crate::verdict::Verdict;

/// How a command that repeats something begins: in the same build, since some libraries check more
/// in a debug build, and abort there.
pub(crate) const COMMAND: &str =
    if cfg!(debug_assertions) { "cargo run -p faults --" } else { "cargo run --release -p faults --" };

/// The most repeating commands that are printed; the JSON has all.
const MOST_COMMANDS: usize = 200;

/// A row, and what was found.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// What was done.
    #[serde(flatten)]
    pub row: Row,
    /// What it showed.
    pub verdict: Verdict,
    /// Why, where that is not plain.
    pub why: String,
    /// Whether it was bad the first time, and good when it was done again alone, twice.
    pub only_once_bad: bool,
}

/// Says something beside the result.
pub fn note(text: &str) {
    // Nobody reads stderr any more: no reason to end.
    let _ = writeln!(io::stderr(), "{text}");
}

/// A line for each call and error of each server, then one for each server, then a command for each
/// bad row.
///
/// # Errors
/// If stdout cannot be written.
pub fn print(found: &[Found], skipped: &BTreeMap<String, Vec<&'static str>>) -> Result<()> {
    let mut by_error: BTreeMap<(&str, &str, &str), BTreeMap<Verdict, usize>> = BTreeMap::new();
    let mut by_server: BTreeMap<&str, BTreeMap<Verdict, usize>> = BTreeMap::new();
    for Found { row, verdict, .. } in found {
        *by_error.entry((&row.server, row.call, row.errno)).or_default().entry(*verdict).or_default() += 1;
        *by_server.entry(&row.server).or_default().entry(*verdict).or_default() += 1;
    }
    let mut text = format!("{:<14}{:<18}{:<16}found\n", "server", "call", "error");
    for ((server, call, errno), counts) in &by_error {
        text += &format!("{server:<14}{call:<18}{errno:<16}{}\n", words(counts));
    }
    for (server, calls) in skipped {
        text += &format!("{server:<14}not called: {}\n", calls.join(" "));
    }
    text.push('\n');
    for (server, counts) in &by_server {
        text += &format!("{server:<14}{:>5} rows: {}\n", counts.values().sum::<usize>(), words(counts));
    }
    let doubtful: Vec<_> = found.iter().filter(|found| found.only_once_bad).collect();
    for Found { row, why, .. } in &doubtful {
        text += &format!("\nbad once, and good when repeated alone: {why}\n    {}\n", row.command());
    }
    let bad: Vec<_> = found.iter().filter(|found| !found.verdict.is_good()).collect();
    for Found { row, verdict, why, .. } in bad.iter().take(MOST_COMMANDS) {
        text += &format!("\n{verdict}: {why}\n    {}\n", row.command());
    }
    text += &format!("\n{} rows, {} bad\n", found.len(), bad.len());
    text::say(&text)
}

fn words(counts: &BTreeMap<Verdict, usize>) -> String {
    let each = counts.iter().map(|(verdict, count)| {
        let mark = if verdict.is_good() { "" } else { "!! " };
        format!("{mark}{count} {verdict}")
    });
    each.collect::<Vec<_>>().join(", ")
}

/// Writes a value as JSON, if that is wanted.
///
/// # Errors
/// If it cannot be written.
pub fn write_json(json: Option<Output>, value: &impl Serialize) -> Result<()> {
    let Some(json) = json else { return Ok(()) };
    json.write(|out| {
        serde_json::to_writer_pretty(&mut *out, value)?;
        Ok::<_, anyhow::Error>(out.write_all(b"\n")?)
    })
}
