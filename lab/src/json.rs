//! The results for programs. Every name says its unit; `version` changes when a reader would have to.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};

use anyhow::{Context, Result};
use client::load::Errors;
use serde::Serialize;

use crate::machine::Machine;
use crate::notes::Notes;
use crate::options::CompareOptions;
use crate::round::Round;
use crate::summary::{Entry, Failure, Figures};

/// Version of the schema.
const VERSION: u32 = 1;

/// A file that is opened before anything is measured, so that a wrong path is told at once, and written when all is done, so that
/// old results stay until there are new ones.
#[derive(Debug)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// A file, and its name.
    File(File, String),
}

impl Output {
    /// Opens the file; `-` is stdout.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn open(path: &str) -> Result<Self> {
        if path == "-" {
            return Ok(Self::Stdout);
        }
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(path);
        Ok(Self::File(file.with_context(|| format!("cannot write --json {path}"))?, path.to_owned()))
    }

    /// Writes `document`, instead of what the file held.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(self, document: &Document<'_>) -> Result<()> {
        let text =
            serde_json::to_string_pretty(document).context("cannot turn the results into JSON")? + "\n";
        match self {
            Self::Stdout => io::stdout().write_all(text.as_bytes()).context("cannot write to stdout"),
            Self::File(file, path) => {
                replace(file, &text).with_context(|| format!("cannot write --json {path}"))
            }
        }
    }
}

fn replace(mut file: File, text: &str) -> io::Result<()> {
    // A pipe or a device has nothing to forget and no beginning to return to.
    if file.metadata()?.is_file() {
        file.set_len(0)?;
        file.rewind()?;
    }
    file.write_all(text.as_bytes())
}

/// All that was measured.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    version: u32,
    lab_version: &'static str,
    /// In a debug build the figures mean nothing.
    debug_build: bool,
    machine: &'a Machine,
    settings: Settings,
    /// Whether the user ended the comparison early.
    interrupted: bool,
    servers: Vec<Server<'a>>,
    notes: &'a [String],
    doubts: &'a [String],
}

#[derive(Debug, Serialize)]
struct Settings {
    connections: usize,
    size_bytes: usize,
    pipeline: usize,
    generator_threads: usize,
    duration_s: f64,
    warm_up_s: f64,
    rounds: usize,
}

#[derive(Debug, Serialize)]
struct Server<'a> {
    name: &'a str,
    command: String,
    is_foreign: bool,
    echo: bool,
    connections: usize,
    /// Null if no round went well.
    figures: Option<&'a Figures>,
    rounds: Vec<RoundRecord>,
    /// Null if all rounds went well.
    failure: Option<&'a Failure>,
}

#[derive(Debug, Serialize)]
struct RoundRecord {
    elapsed_s: f64,
    requests: u64,
    requests_per_s: f64,
    response_p50_ns: u64,
    response_p99_ns: u64,
    response_p99_9_ns: u64,
    response_max_ns: u64,
    server_cpu_s: f64,
    server_cpu_ns_per_request: f64,
    generator_cpu_s: f64,
    pss_bytes: u64,
    processes: usize,
    threads: usize,
    unanswered: u64,
    errors: Errors,
}

impl<'a> Document<'a> {
    /// What the entries, their figures (one for each, in the same order) and the notes say.
    pub fn new(
        options: &CompareOptions,
        machine: &'a Machine,
        entries: &'a [Entry],
        figures: &'a [Option<Figures>],
        notes: &'a Notes,
        interrupted: bool,
    ) -> Self {
        let servers = entries.iter().zip(figures).map(|(entry, figures)| Server {
            name: &entry.contender.name,
            command: entry.contender.start.to_string(),
            is_foreign: entry.contender.start.is_foreign(),
            echo: entry.contender.echo,
            connections: entry.contender.connections,
            figures: figures.as_ref(),
            rounds: entry.rounds.iter().map(RoundRecord::new).collect(),
            failure: entry.failure.as_ref(),
        });
        Self {
            version: VERSION,
            lab_version: env!("CARGO_PKG_VERSION"),
            debug_build: cfg!(debug_assertions),
            machine,
            settings: Settings {
                connections: options.connections,
                size_bytes: options.size,
                pipeline: options.pipeline,
                generator_threads: options.threads,
                duration_s: options.duration.as_secs_f64(),
                warm_up_s: options.warm_up.as_secs_f64(),
                rounds: options.rounds,
            },
            interrupted,
            servers: servers.collect(),
            notes: &notes.notes,
            doubts: &notes.doubts,
        }
    }
}

impl RoundRecord {
    fn new(round: &Round) -> Self {
        Self {
            elapsed_s: round.elapsed.as_secs_f64(),
            requests: round.requests,
            requests_per_s: round.rate(),
            response_p50_ns: round.response.value_at_quantile(0.5),
            response_p99_ns: round.response.value_at_quantile(0.99),
            response_p99_9_ns: round.response.value_at_quantile(0.999),
            response_max_ns: round.response.max(),
            server_cpu_s: round.server_cpu.as_secs_f64(),
            server_cpu_ns_per_request: round.cpu_ns_per_request(),
            generator_cpu_s: round.generator_cpu.as_secs_f64(),
            pss_bytes: round.footprint.pss_bytes,
            processes: round.footprint.processes,
            threads: round.footprint.threads,
            unanswered: round.unanswered,
            errors: round.errors,
        }
    }
}
