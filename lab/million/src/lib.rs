//! `lab million`: a million conversations on one machine, opened, weighed while they rest, asked
//! once each, and closed.
//!
//! In reading order: [`limits`], what the machine allows; [`layout`], what a number of connections
//! takes; [`plan`], whether it fits; `stage`, what is done; [`crowd`], the client processes;
//! [`weigh`], memory; [`document`], all that was found; [`report`], how it is shown. One client
//! process from inside is [`client::hold`].
//!
//! Deliberately absent: anything that changes the machine. The lab raises its own processes' soft
//! limits, and says what else would have to be set.
#![forbid(unsafe_code)]

pub mod crowd;
pub mod document;
pub mod layout;
pub mod limits;
pub mod plan;
pub mod report;
mod stage;
pub mod weigh;

use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, bail};
use clap::Args;
use client::output::Output;
use harness::interrupt::Interrupt;
use harness::lang::Lang;
use harness::machine::Machine;
use harness::models::Model;
use harness::text;
use serving::options::parse_count;

use crate::document::{Document, VERSION};
use crate::layout::Wish;
use crate::limits::Limits;
use crate::plan::{MOST, Plan};

/// [`MOST`], as the option's parser takes it.
#[allow(clippy::cast_possible_truncation, reason = "ten million fit")]
const MOST_CONNECTIONS: usize = MOST as usize;

/// The most processes of a server, and the most requests in flight.
const MOST_PROCESSES: usize = 1_000;
const MOST_IN_FLIGHT: usize = 100_000;

/// How many, with whom.
#[derive(Debug, Clone, Args)]
pub struct MillionOptions {
    /// Connections, all open at once [default: as many as this machine allows, at most 1,000,000]
    #[arg(short, long, value_name = "N", value_parser = parse_count::<MOST_CONNECTIONS>, help_heading = "Load")]
    connections: Option<usize>,

    /// Requests in flight at once in the sweep, over all clients; each client process has at least
    /// one
    #[arg(long, value_name = "N", default_value = "1024", value_parser = parse_count::<MOST_IN_FLIGHT>)]
    #[arg(help_heading = "Load")]
    in_flight: usize,

    /// Draws the requests and their order
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Load")]
    seed: u64,

    /// Who serves
    #[arg(short, long, value_name = "MODEL", value_enum, default_value = "hybrid", help_heading = "Server")]
    model: Model,

    /// Processes of the server, where the model has them [default: what the descriptor limit asks
    /// for, at least one for each core]
    #[arg(short, long, value_name = "N", value_parser = parse_count::<MOST_PROCESSES>, help_heading = "Server")]
    processes: Option<usize>,

    /// Only show the plan: what is needed, what there is, and what would have to be set for more
    #[arg(long, help_heading = "Output")]
    plan: bool,

    /// Write the results as JSON to this file, or with - to stdout instead of the text
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    json: Option<PathBuf>,
}

/// Plans, and carries the plan out.
///
/// # Errors
/// If it does not fit, cannot begin, if anything went wrong, or if the user interrupted it. What
/// was found until then has been shown.
pub fn run(options: &MillionOptions) -> Result<()> {
    let wish = Wish {
        model: options.model,
        processes: options.processes.map(|processes| processes as u64),
        in_flight: options.in_flight as u64,
    };
    let limits = Limits::read()?;
    let plan = Plan::make(options.connections.map(|connections| connections as u64), &wish, &limits)?;
    let json = options.json.as_deref().map(|path| Output::open("--json", path)).transpose()?;
    let shows_text = !json.as_ref().is_some_and(Output::is_stdout);
    let interrupt = Interrupt::watch()?;
    text::warn_of_debug_build(Lang::En, shows_text)?;
    if shows_text {
        text::say(&report::plan(&plan, options.model, text::terminal_width()))?;
    }

    let (started, begun) = (SystemTime::now(), Instant::now());
    let mut document = Document {
        version: VERSION,
        lab_version: env!("CARGO_PKG_VERSION").to_owned(),
        debug_build: cfg!(debug_assertions),
        started: humantime::format_rfc3339_seconds(started).to_string(),
        took_s: 0.0,
        machine: Machine::this(),
        model: options.model.name().to_owned(),
        in_flight: options.in_flight,
        seed: options.seed,
        limits,
        plan,
        opened: None,
        growth: None,
        workers: None,
        asked: None,
        closed: None,
        status: None,
        failures: Vec::new(),
    };
    let checked = document.plan.check();
    let runs = checked.is_ok() && !options.plan;
    let carried_out = if runs { stage::carry_out(&mut document, options.model, &interrupt) } else { checked };
    document.failures.extend(carried_out.err().map(|error| format!("{error:#}")));
    document.took_s = begun.elapsed().as_secs_f64();

    if shows_text && runs {
        text::say(&report::text(&document))?;
    }
    // A plan that does not fit is no result that an old one should give way to.
    if let Some(json) = json.filter(|_| runs || options.plan) {
        let text = serde_json::to_string_pretty(&document).context("cannot turn the results into JSON")?;
        json.write(|out| writeln!(out, "{text}"))?;
    }
    match document.failures.as_slice() {
        [] => Ok(()),
        [one] => bail!("{one}"),
        [first, others @ ..] => bail!("{first} (and {} more failed)", others.len()),
    }
}
