//! The highest rate that keeps a limit, such as a p99 below 5 ms: found by halving, and tried again
//! before it is believed.

use std::io;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::doubts::Doubt;
use super::limit::Limit;
use super::options::LoadOptions;
use super::results::Results;
use super::{Load, StopHandle};
use crate::latency::Summary;
use crate::output::{self, Output};
use crate::units;

/// The first rate that is tried, as a share of what a closed loop reaches.
const FIRST: f64 = 0.8;

/// What a closed loop reaches, and this much more, nobody can keep.
const BEYOND: f64 = 1.05;

/// Rates this near to each other are not told apart.
const NEAR: f64 = 1.05;

/// A rate below this share of what a closed loop reaches is not looked for.
const LEAST: f64 = 0.001;

/// How often the rate that is found is tried in all.
const CONFIRMED: u32 = 3;

/// How often a rate that did not stand the test is replaced by a lower one.
const RETREATS: u32 = 4;

/// By how much a rate that did not stand the test is lowered.
const RETREAT: f64 = 0.9;

/// Version of the JSON form.
const VERSION: u32 = 1;

/// What was found.
#[derive(Debug, Clone, PartialEq)]
struct Found {
    /// The highest rate that kept the limit; `None` if no rate did.
    rate: Option<f64>,
    /// How many of how many attempts at it kept the limit.
    confirmed: (u32, u32),
    /// The lowest rate above it that did not keep the limit.
    above: f64,
}

/// Looks for the highest rate at which `keeps` says yes, below what a closed loop reaches.
///
/// # Errors
/// What an attempt says.
fn search(capacity: f64, mut keeps: impl FnMut(f64) -> Result<bool>) -> Result<Found> {
    let (mut low, mut high) = (None, capacity * BEYOND);
    let mut rate = capacity * FIRST;
    for _ in 0..RETREATS {
        while low.is_none_or(|low| high / low > NEAR) && rate > capacity * LEAST {
            if keeps(rate)? {
                low = Some(rate);
            } else {
                high = rate;
            }
            rate = low.map_or(rate / 2.0, |low| (low * high).sqrt());
        }
        let Some(best) = low else { break };
        let mut kept = 1;
        for _ in 1..CONFIRMED {
            kept += u32::from(keeps(best)?);
        }
        if kept * 2 > CONFIRMED {
            return Ok(Found { rate: Some(best), confirmed: (kept, CONFIRMED), above: high });
        }
        (low, high, rate) = (None, best, best * RETREAT);
    }
    Ok(Found { rate: None, confirmed: (0, 0), above: high })
}

/// One attempt, for people and programs.
#[derive(Debug, Serialize)]
struct Row {
    target_requests_per_second: f64,
    requests_per_second: f64,
    keeps: bool,
    /// Why it does not, in a sentence.
    why: Option<String>,
    response_ns: Option<Summary>,
}

/// The JSON form.
#[derive(Debug, Serialize)]
struct Json<'a> {
    version: u32,
    limits: Vec<String>,
    /// What a closed loop reached.
    closed_loop_requests_per_second: f64,
    /// `null` if no rate keeps the limits.
    requests_per_second: Option<f64>,
    /// Attempts at it that kept the limits, and all of them.
    confirmed: u32,
    attempts_at_it: u32,
    /// The lowest rate above it that did not keep them.
    above_requests_per_second: f64,
    attempts: &'a [Row],
}

/// Finds the highest rate that keeps all limits, each attempt as long as the options say, and shows
/// it. The exit code is 1 if there is none.
///
/// # Errors
/// If the server cannot be loaded, if a reply is wrong, or on a stop.
pub(super) fn run(
    options: &LoadOptions,
    limits: &[Limit],
    json: Option<Output>,
    stop: &StopHandle,
) -> Result<ExitCode> {
    let closed = attempt(options, stop)?;
    let capacity = closed.rate();
    if closed.response.is_empty() {
        bail!("the server answered nothing within {:.2?}; look at its log", closed.elapsed);
    }
    let is_taken = json.as_ref().is_some_and(Output::is_stdout);
    say(is_taken, &format!("a closed loop reaches {} requests/s", units::rate(capacity)))?;
    let mut rows = Vec::new();
    let found = search(capacity, |rate| {
        let options = LoadOptions { rate: Some(rate), ..options.clone() };
        let row = Row::new(rate, limits, &options, &attempt(&options, stop)?);
        let verdict = row.why.as_deref().unwrap_or("keeps it");
        say(is_taken, &format!("  {:>12} requests/s: {verdict}", units::rate(rate)))?;
        let keeps = row.keeps;
        rows.push(row);
        Ok(keeps)
    })?;
    say(is_taken, &found.sentence(limits))?;
    if let Some(json) = json {
        let (confirmed, attempts_at_it) = found.confirmed;
        let whole = Json {
            version: VERSION,
            limits: limits.iter().map(ToString::to_string).collect(),
            closed_loop_requests_per_second: capacity,
            requests_per_second: found.rate,
            confirmed,
            attempts_at_it,
            above_requests_per_second: found.above,
            attempts: &rows,
        };
        json.write(|out| -> io::Result<()> {
            serde_json::to_writer_pretty(&mut *out, &whole)?;
            writeln!(out)
        })?;
    }
    Ok(if found.rate.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn attempt(options: &LoadOptions, stop: &StopHandle) -> Result<Results> {
    let mut load = Load::connect_until(options, stop.clone())?;
    load.warm_up();
    load.measure();
    let results = load.finish();
    if stop.is_stopped() {
        bail!("stopped before the rate was found");
    }
    if results.errors.wrong_bytes > 0 {
        bail!("a reply was wrong: {}", results.first_error.unwrap_or_default());
    }
    Ok(results)
}

fn say(is_taken: bool, line: &str) -> Result<()> {
    output::show(is_taken, |out| writeln!(out, "{line}")).context("cannot say how it goes")
}

impl Row {
    fn new(rate: f64, limits: &[Limit], options: &LoadOptions, results: &Results) -> Self {
        let broken = limits.iter().find(|limit| !limit.holds(results));
        let missed = |doubt: &Doubt| matches!(doubt, Doubt::RateMissed(..) | Doubt::Unanswered(_));
        let why = if let Some(broken) = broken {
            Some(format!("not {broken}, but {}", broken.value(results)))
        } else if results.errors.total() > 0 {
            Some(format!("errors: {}", results.errors))
        } else {
            let missed = results.doubts(options).into_iter().find(missed);
            missed.map(|_| format!("reached only {}", units::rate(results.rate())))
        };
        Self {
            target_requests_per_second: rate,
            requests_per_second: results.rate(),
            keeps: why.is_none(),
            why,
            response_ns: Summary::of(&results.response),
        }
    }
}

impl Found {
    fn sentence(&self, limits: &[Limit]) -> String {
        let limits: Vec<String> = limits.iter().map(ToString::to_string).collect();
        let (limits, above) = (limits.join(" and "), units::rate(self.above));
        match (self.rate, self.confirmed) {
            (None, _) => {
                format!("no rate keeps {limits}: {above} requests/s do not, and no lower one that was tried")
            }
            (Some(rate), (kept, all)) => format!(
                "{} requests/s keep {limits} ({kept} of {all} attempts{}); {above} do not",
                units::rate(rate),
                if kept == all { "" } else { ": it is near the edge" }
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pattern::splitmix;
    use super::*;

    /// Searches where rates below `edge` keep the limit, and those within `blur` of it now and then.
    fn searched(capacity: f64, edge: f64, blur: f64) -> (Found, usize) {
        let mut attempts = 0;
        let found = search(capacity, |rate| {
            attempts += 1;
            let luck = splitmix(attempts).is_multiple_of(2);
            Ok(if (rate / edge - 1.0).abs() < blur { luck } else { rate < edge })
        });
        (found.unwrap(), usize::try_from(attempts).unwrap())
    }

    #[test]
    fn the_edge_is_found_to_five_percent_wherever_it_is() {
        for edge in [5.0, 40.0, 333.0, 700.0, 950.0, 1040.0] {
            let (found, attempts) = searched(1000.0, edge, 0.0);
            let rate = found.rate.unwrap();
            assert!(rate < edge && found.above >= edge && found.above / rate <= NEAR, "{edge}: {found:?}");
            assert_eq!(found.confirmed, (3, 3));
            assert!(attempts <= 20, "{edge}: {attempts}");
        }
    }

    #[test]
    fn a_rate_that_holds_only_now_and_then_is_not_sure() {
        for edge in [100.0, 300.0, 600.0, 900.0] {
            let (found, attempts) = searched(1000.0, edge, 0.1);
            let rate = found.rate.unwrap();
            assert!(rate < edge * 1.1 && rate > edge * 0.6 && attempts <= 45, "{edge}: {found:?} {attempts}");
        }
    }

    #[test]
    fn where_no_rate_keeps_the_limit_there_is_none() {
        let (found, attempts) = searched(1000.0, 0.1, 0.0);
        assert_eq!((found.rate, attempts <= 12), (None, true));
        assert!(found.sentence(&[]).starts_with("no rate keeps"));
    }
}
