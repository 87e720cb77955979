//! One result out of many clients' logs, so that many machines can load one server.
//!
//! The histograms are added and the percentiles read off the sum. Percentiles of several results
//! cannot be averaged: the average of two p99 is the p99 of nothing. What else there is to know of
//! each load, its log says: so nothing that one client has found is lost in the sum.

mod doubt;
mod merged;
mod report;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::hlog;
use crate::latency::write_distribution;
use crate::output::{self, Output};
use merged::{Merged, Missing, Named};

/// What to merge, and where to.
#[derive(Debug, Clone, Args)]
pub struct MergeOptions {
    /// Interval logs, as `client load --hdr FILE` and other HdrHistogram writers make them; a
    /// folder stands for the files in it, - for standard input, which may have several
    #[arg(value_name = "LOG", required = true)]
    pub logs: Vec<PathBuf>,

    /// So many logs are expected; each that is missing is a failure
    #[arg(long, value_name = "N")]
    pub expect: Option<NonZeroUsize>,

    /// Merge loads that are not alike too
    #[arg(long)]
    pub force: bool,

    /// What values count in logs that `client load` has not written
    #[arg(long, value_enum, value_name = "UNIT", default_value = "ns")]
    pub unit: Unit,

    /// Write the result as JSON; - is standard output, and the text then goes to standard error
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub json: Option<PathBuf>,

    /// Write the percentile distribution for the HdrHistogram plotter, in milliseconds
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub hgrm: Option<PathBuf>,
}

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Unit {
    /// Nanoseconds
    Ns,
    /// Microseconds
    Us,
    /// Milliseconds
    Ms,
}

impl Unit {
    fn nanoseconds(self) -> u64 {
        match self {
            Self::Ns => 1,
            Self::Us => 1_000,
            Self::Ms => 1_000_000,
        }
    }
}

/// Merges the logs and shows the result. The exit code is 1 if a log is missing, or a load failed.
///
/// # Errors
/// One line: if no log can be read, two are the same, the loads are not alike, or a result cannot be
/// written.
pub fn run(options: &MergeOptions) -> Result<ExitCode> {
    let (logs, missing) = read(&options.logs, options.unit.nanoseconds())?;
    let merged = Merged::new(logs, missing, options.expect.map(NonZeroUsize::get), options.force)?;
    // Not before the logs are read: a log must not be lost because somebody gave its name twice.
    let [json, hgrm] =
        Output::open_all([("--json", options.json.as_deref()), ("--hgrm", options.hgrm.as_deref())])?;
    let is_taken = [&json, &hgrm].into_iter().flatten().any(Output::is_stdout);
    output::show(is_taken, |out| report::write_text(out, &merged))?;
    if let Some(json) = json {
        json.write(|out| report::write_json(out, &merged))?;
    }
    if let (Some(hgrm), Some(histogram)) = (hgrm, merged.main_histogram()) {
        hgrm.write(|out| write_distribution(out, histogram))?;
    }
    Ok(if merged.ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads all logs; those that cannot be read are missing.
///
/// # Errors
/// If none can be read: why the first cannot. If two are the same.
fn read(paths: &[PathBuf], unit: u64) -> Result<(Vec<Named>, Vec<Missing>)> {
    let (mut logs, mut missing, mut first) = (Vec::new(), Vec::new(), None);
    let mut known: Vec<(String, Vec<u8>)> = Vec::new();
    for path in files(paths)? {
        let name = output::harmless(&path.display().to_string());
        let read = match contents(&path) {
            Ok(bytes) => {
                if let Some((other, _)) = known.iter().find(|(_, known)| *known == bytes && !bytes.is_empty())
                {
                    bail!("{other} and {name} are the same log: give each once");
                }
                let read = hlog::read(&bytes, unit);
                known.push((name.clone(), bytes));
                read
            }
            Err(error) => vec![Err(error)],
        };
        let several = read.len() > 1;
        for (number, log) in (1..).zip(read) {
            let name = if several { format!("{name} ({number})") } else { name.clone() };
            match log {
                Ok(log) => logs.push(Named { name, log }),
                Err(error) => {
                    missing.push(Missing { name: name.clone(), why: format!("{error:#}") });
                    first.get_or_insert(error.context(format!("cannot merge {name}")));
                }
            }
        }
    }
    match first {
        Some(error) if logs.is_empty() => Err(error),
        _ => Ok((logs, missing)),
    }
}

/// The files that are meant: of a folder those in it, by name, but for hidden ones.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let cannot = || format!("cannot read {}", path.display());
        let mut inside = Vec::new();
        for entry in fs::read_dir(path).with_context(cannot)? {
            let file = entry.with_context(cannot)?.path();
            let is_hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if file.is_file() && !is_hidden {
                inside.push(file);
            }
        }
        if inside.is_empty() {
            bail!("there is no log in {}", path.display());
        }
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

/// What is done with these logs, see [`crate::fuzz`].
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(read: Vec<Result<hlog::Log>>, force: bool) {
    let (mut logs, mut missing) = (Vec::new(), Vec::new());
    for (number, log) in read.into_iter().enumerate() {
        let name = number.to_string();
        match log {
            Ok(log) => logs.push(Named { name, log }),
            Err(error) => missing.push(Missing { name, why: format!("{error:#}") }),
        }
    }
    let merged = match Merged::new(logs, missing, None, force) {
        Err(error) => return assert!(is_plain(&format!("{error:#}")), "{error:#}"),
        Ok(merged) => merged,
    };
    let written = |write: &dyn Fn(&mut Vec<u8>) -> io::Result<()>| {
        let mut bytes = Vec::new();
        write(&mut bytes).expect("memory takes it");
        String::from_utf8(bytes).expect("it is text")
    };
    let text = written(&|out| report::write_text(out, &merged));
    assert!(is_plain(&text), "{text:?}");
    let json = written(&|out| report::write_json(out, &merged));
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert!(json["span_seconds"].is_f64() && json["overlap"].is_f64(), "{json}");
    if let Some(histogram) = merged.main_histogram() {
        write_distribution(&mut Vec::new(), histogram).expect("memory takes it");
    }
}

/// Whether a terminal obeys nothing of it but its lines.
#[cfg(any(test, fuzzing))]
fn is_plain(text: &str) -> bool {
    !text.contains(|it: char| it.is_control() && it != '\n')
}

fn contents(path: &Path) -> Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).context("cannot read standard input")?;
        return Ok(bytes);
    }
    fs::read(path).context("cannot read it")
}
