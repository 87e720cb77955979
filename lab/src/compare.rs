//! `lab compare`: every server under the same load, in interleaved rounds, side by side.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Result, bail};
use common::UsageError;
use indicatif::{ProgressBar, ProgressStyle};

use crate::contender::Contender;
use crate::interrupt::Interrupt;
use crate::json::{Document, Output};
use crate::machine::Machine;
use crate::notes::Notes;
use crate::options::CompareOptions;
use crate::summary::{self, Entry, Failure};
use crate::{report, round};

/// How often the progress on a terminal is drawn again.
const TICK: Duration = Duration::from_millis(200);

/// Compares.
///
/// # Errors
/// If it cannot begin, if a server failed, or if the user interrupted it. What was measured until then has been shown.
pub fn run(options: &CompareOptions) -> Result<()> {
    let contenders = options.contenders()?;
    let json = options.json.as_deref().map(Output::open).transpose()?;
    let shows_table = !matches!(json, Some(Output::Stdout));
    let interrupt = Interrupt::watch()?;
    report::warn_of_debug_build(shows_table)?;

    let (entries, runs) = measure(contenders, options, &interrupt)?;

    let machine = Machine::this();
    let figures = summary::figures(&entries);
    let notes = Notes::new(options, &entries);
    if shows_table && runs > 0 {
        let width = report::terminal_width();
        report::say(&report::text(options, &machine, &entries, &figures, &notes, width))?;
    }
    if let Some(json) = json {
        json.write(&Document::new(options, &machine, &entries, &figures, &notes, interrupt.raised()))?;
    }
    report::warn_of_debug_build(shows_table)?;
    verdict(&notes.failures, interrupt.raised().then_some((runs, entries.len() * options.rounds)))
}

/// All contenders once, then again, so that a change of the machine's mood meets all alike. Returns also how many runs there
/// were. Who fails takes no part in later rounds.
///
/// # Errors
/// If the options ask for more than this system allows: then no server is to blame.
fn measure(
    contenders: Vec<Contender>,
    options: &CompareOptions,
    interrupt: &Interrupt,
) -> Result<(Vec<Entry>, usize)> {
    let entry = |contender| Entry { contender, rounds: Vec::new(), failure: None };
    let mut entries: Vec<Entry> = contenders.into_iter().map(entry).collect();
    let progress = progress(entries.len() * options.rounds);
    let mut runs = 0;
    for number in 1..=options.rounds {
        for entry in &mut entries {
            if entry.failure.is_some() {
                progress.inc(1);
                continue;
            }
            progress.set_message(format!("round {number}: {}", entry.contender.name));
            let result = round::run(&entry.contender, options, interrupt);
            if interrupt.raised() {
                progress.finish_and_clear();
                return Ok((entries, runs));
            }
            match result {
                Ok(round) => match round.failure(number) {
                    None => entry.rounds.push(round),
                    failure => entry.failure = failure,
                },
                Err(error) if error.is::<UsageError>() => {
                    progress.finish_and_clear();
                    return Err(error);
                }
                Err(error) => entry.failure = Some(Failure::before_any_answer(number, &error)),
            }
            runs += 1;
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    Ok((entries, runs))
}

/// A line on stderr that is drawn only if that is a terminal.
fn progress(runs: usize) -> ProgressBar {
    let progress = ProgressBar::new(runs as u64);
    let template = "{bar:30} {pos}/{len} {msg}, about {eta} left";
    progress
        .set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    progress.enable_steady_tick(TICK);
    progress
}

/// # Errors
/// If anything failed, or the comparison was ended after some of its runs.
fn verdict(failures: &[impl Display], interrupted: Option<(usize, usize)>) -> Result<()> {
    match (failures, interrupted) {
        (_, Some((runs, all))) => bail!("interrupted after {runs} of {all} runs"),
        ([], None) => Ok(()),
        ([one], None) => bail!("{one}"),
        ([first, others @ ..], None) => bail!("{first} (and {} more failed)", others.len()),
    }
}
