//! `lab compare`: every server under the same loads, in interleaved rounds, side by side.
//!
//! In reading order: [`profile`], the scenarios by name, and [`scenario`], how each is driven;
//! [`plan`], what is measured in which order; [`measure`] carries it out, by a [`trial`] for each
//! server, to what it was [`driven`]; [`document`], all that was found; [`metric`] and [`value`], what can be compared;
//! [`interval`] and [`difference`], how sure a difference is; [`findings`], what the figures say, as
//! [`claims`], and [`words`] in English; [`matrix`] and [`report`], the answer; [`baseline`], the
//! change against an earlier run; [`html`], the page to look at. [`peers`] are Python's, and
//! [`plain`] are the pages that the dependable servers are measured beside. [`choose`] asks what
//! one needs. [`series`] draws what one load was like from moment to moment.
//!
//! Deliberately absent: any import that leads back. What is written as JSON knows nothing of who
//! fills or shows it.
#![forbid(unsafe_code)]

pub mod again;
pub mod baseline;
pub mod change;
pub mod choose;
pub mod claims;
pub mod difference;
pub mod document;
pub mod driven;
pub mod export;
pub mod findings;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod html;
pub mod interval;
pub mod matrix;
pub mod measure;
pub mod metric;
pub mod notes;
pub mod options;
pub mod outputs;
pub mod peers;
pub mod plain;
pub mod plan;
pub mod profile;
pub mod report;
pub mod scenario;
pub mod series;
pub mod summary;
pub mod table;
pub mod trial;
pub mod value;
pub mod words;

use std::fmt::Display;
use std::time::{Instant, SystemTime};

use anyhow::{Result, bail};
use harness::interrupt::Interrupt;
use harness::lang::Lang;
use harness::machine::Machine;
use harness::pin::Pins;
use harness::text;

use crate::change::Comparison;
use crate::document::{Document, Point, Server, Settings, VERSION};
use crate::measure::Measured;
use crate::notes::Notes;
use crate::options::CompareOptions;
use crate::outputs::Outputs;
use crate::plan::{Plan, PlannedPoint};
use crate::summary::Entry;

/// Compares.
///
/// # Errors
/// If it cannot begin, if a server failed, or if the user interrupted it. What was measured until
/// then has been shown.
pub fn run(options: &CompareOptions) -> Result<()> {
    let (candidates, left_out) = options.candidates()?;
    let plan = Plan::new(options, &candidates)?;
    let earlier = options.baseline.as_deref().map(baseline::read).transpose()?;
    let outputs = Outputs::open([
        options.json.as_deref(),
        options.report.as_deref(),
        options.markdown.as_deref(),
        options.csv.as_deref(),
    ])?;
    let shows_table = !outputs.uses_stdout();
    let interrupt = Interrupt::watch()?;
    text::warn_of_debug_build(Lang::En, shows_table)?;

    // Before anything is pinned: afterwards this thread has fewer cores.
    let machine = Machine::this();
    let pins = if options.no_pin { None } else { Pins::divide(options.threads) };
    let (started, begun) = (SystemTime::now(), Instant::now());
    let measured = measure::measure(&plan, options.threads, pins.as_ref(), &interrupt, |measured| {
        findings::is_clear(&points(&plan, measured))
    })?;

    let notes = Notes::new(&plan, &measured, machine.load_average);
    let mut document = Document {
        version: VERSION,
        lab_version: env!("CARGO_PKG_VERSION").to_owned(),
        rustc: env!("LAB_RUSTC").to_owned(),
        debug_build: cfg!(debug_assertions),
        started: humantime::format_rfc3339_seconds(started).to_string(),
        took_s: begun.elapsed().as_secs_f64(),
        machine,
        settings: settings(options, &plan, measured.rounds, pins.as_ref()),
        interrupted: interrupt.raised(),
        runs: measured.runs,
        runs_planned: measured.planned,
        points: points(&plan, &measured),
        findings: Vec::new(),
        notes: notes.notes,
        doubts: notes.doubts,
        failures: notes.failures,
        left_out,
        baseline: None,
    };
    document.findings = findings::findings(&document);
    if let (Some(path), Some(earlier)) = (&options.baseline, &earlier) {
        document.baseline = Some(baseline::compare(path, earlier, &document));
    }

    // Where all failed, the error says why.
    let found = |point: &Point| point.servers.iter().any(|server| server.figures.is_some());
    if shows_table && document.points.iter().any(found) {
        let show = if options.details { report::text } else { report::answer };
        text::say(&show(&document, text::terminal_width()))?;
    }
    outputs.write(&document)?;
    text::warn_of_debug_build(Lang::En, shows_table)?;
    let interrupted = document.interrupted.then_some((document.runs, document.runs_planned));
    verdict_of(&document.failures, interrupted)?;
    match document.baseline.as_ref().map_or(0, Comparison::worse) {
        1.. if options.fail_if.is_some() => bail!("worse than the earlier run: see the lines that say so"),
        _ => Ok(()),
    }
}

fn settings(options: &CompareOptions, plan: &Plan, rounds: usize, pins: Option<&Pins>) -> Settings {
    Settings {
        generator_threads: options.threads,
        duration_s: plan.duration.as_secs_f64(),
        warm_up_s: plan.warm_up.as_secs_f64(),
        rounds,
        server_cores: pins.map(|pins| pins.server.clone()),
        generator_cores: pins.map(|pins| pins.generator.clone()),
    }
}

/// The points at which anything was found. An interrupt leaves later ones empty.
fn points(plan: &Plan, measured: &Measured) -> Vec<Point> {
    let found = |(_, entries): &(&PlannedPoint, &Vec<Entry>)| {
        entries.iter().any(|entry| entry.failure.is_some() || !entry.rounds.is_empty())
    };
    let rows = plan.points.iter().zip(&measured.entries).filter(found);
    rows.map(|(planned, entries)| {
        let sustained = planned.load.and_then(|_| measured.sustained.get(&planned.connections));
        Point {
            scenario: planned.scenario,
            connections: planned.connections,
            size_bytes: planned.size,
            pipeline: planned.pipeline,
            load: planned.load,
            offered_per_s: planned.load.zip(sustained).map(|(share, sustained)| share * sustained.per_s),
            slowest: sustained.map(|sustained| sustained.slowest.clone()),
            servers: servers(entries),
        }
    })
    .collect()
}

fn servers(entries: &[Entry]) -> Vec<Server> {
    let rows = entries.iter().zip(summary::figures(entries));
    rows.map(|(entry, figures)| Server {
        id: entry.contender.id.clone(),
        workers: entry.contender.workers(),
        command: entry.contender.start.to_string(),
        is_foreign: entry.contender.start.is_foreign(),
        echo: entry.contender.echo,
        connections: entry.contender.connections,
        figures,
        rounds: entry.rounds.clone(),
        failure: entry.failure.clone(),
    })
    .collect()
}

/// # Errors
/// If anything failed, or the comparison was ended after some of its runs.
fn verdict_of(failures: &[impl Display], interrupted: Option<(usize, usize)>) -> Result<()> {
    match (failures, interrupted) {
        (_, Some((runs, all))) => bail!("interrupted after {runs} of {all} runs"),
        ([], None) => Ok(()),
        ([one], None) => bail!("{one}"),
        ([first, others @ ..], None) => bail!("{first} (and {} more failed)", others.len()),
    }
}
