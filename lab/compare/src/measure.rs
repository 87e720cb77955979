//! Carrying out a plan: step by step, with a line that says how long is left.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use client::load::LoadOptions;
use harness::interrupt::Interrupt;
use harness::pin::Pins;
use harness::quota::{Counted, Throttled};
use indicatif::{ProgressBar, ProgressStyle};
use serving::UsageError;

use crate::document::Failure;
use crate::plan::{Plan, PlannedPoint, Step};
use crate::profile::Scenario;
use crate::summary::Entry;
use crate::trial::{self, NotStarted, Trial};

/// How often the progress on a terminal is drawn again.
const TICK: Duration = Duration::from_millis(200);

/// The most rounds, however unclear it is who leads.
const MOST_ROUNDS: usize = 100;

/// What came of a plan.
#[derive(Debug)]
pub struct Measured {
    /// For each point its entries, in the order of the contenders.
    pub entries: Vec<Vec<Entry>>,
    /// For each number of connections of the open loop, what the slowest server sustains.
    pub sustained: HashMap<usize, Sustained>,
    /// Steps that were carried out.
    pub runs: usize,
    /// Steps that were to be carried out.
    pub planned: usize,
    /// Rounds that were begun.
    pub rounds: usize,
    /// How often the CPU quota held everything back meanwhile.
    pub throttled: Throttled,
}

/// The rate that the slowest server sustains in a closed loop.
#[derive(Debug, Clone, PartialEq)]
pub struct Sustained {
    /// Requests per second.
    pub per_s: f64,
    /// Whose rate that is.
    pub slowest: String,
}

/// Carries out the plan, and stops where it is when the user interrupts it. Who fails takes no part
/// in later rounds at that point; who did not even start, in nothing that follows. Rounds are added
/// while the plan has time for them and it is not clear who leads.
///
/// # Errors
/// If the options ask for more than this system allows: then no server is to blame.
pub fn measure(
    plan: &Plan,
    threads: usize,
    pins: Option<&Pins>,
    interrupt: &Interrupt,
    is_clear: impl Fn(&Measured) -> bool,
) -> Result<Measured> {
    let all_begun = Instant::now();
    let entries = |point: &PlannedPoint| point.contenders.iter().cloned().map(Entry::new).collect();
    let before = Counted::so_far();
    let mut measured = Measured {
        entries: plan.points.iter().map(entries).collect(),
        sustained: HashMap::new(),
        runs: 0,
        planned: plan.steps.len(),
        rounds: plan.rounds,
        throttled: Throttled::default(),
    };
    let mut forecast = Forecast::default();
    let progress = progress(plan.steps.len());
    let mut steps: Vec<Step> = plan.steps.clone();
    let mut index = 0;
    while let Some(step) = steps.get(index).copied() {
        progress.set_message(forecast.line(plan, &steps[index..], measured.rounds));
        if !measured.is_out(plan, step) {
            let begun = Instant::now();
            let result = measured.take(plan, step, threads, pins, interrupt);
            if interrupt.raised() {
                break;
            }
            if let Err(error) = result {
                progress.finish_and_clear();
                return Err(error);
            }
            forecast.learn(plan, step, begun.elapsed());
            measured.runs += 1;
        }
        progress.inc(1);
        index += 1;
        if index == steps.len() {
            // As long as another round like the last one fits.
            let round = all_begun.elapsed() / u32::try_from(measured.rounds.max(1)).unwrap_or(1);
            let fits = plan.time.is_some_and(|time| all_begun.elapsed() + round <= time);
            if fits && measured.rounds < MOST_ROUNDS && !is_clear(&measured) {
                measured.rounds += 1;
                steps.extend(plan.further(measured.rounds));
                measured.planned = steps.len();
                progress.set_length(steps.len() as u64);
            }
        }
    }
    progress.finish_and_clear();
    measured.throttled = Counted::so_far().since(&before);
    Ok(measured)
}

impl Measured {
    /// Whether a contender has failed here, or did not start anywhere. An open loop also needs its
    /// rate.
    fn is_out(&self, plan: &Plan, step: Step) -> bool {
        let point = &plan.points[step.point];
        let rate_is_missing =
            point.load.is_some() && !step.calibrates && !self.sustained.contains_key(&point.connections);
        rate_is_missing || self.entries[step.point][step.contender].failure.is_some()
    }

    fn take(
        &mut self,
        plan: &Plan,
        step: Step,
        threads: usize,
        pins: Option<&Pins>,
        interrupt: &Interrupt,
    ) -> Result<()> {
        let point = &plan.points[step.point];
        let sustained = self.sustained.get(&point.connections).map(|sustained| sustained.per_s);
        let trial = Trial {
            contender: &point.contenders[step.contender],
            scenario: if step.calibrates { Scenario::Requests } else { point.scenario },
            load: load(plan, step, threads),
            offered_per_s: point.load.zip(sustained).map(|(share, per_s)| share * per_s),
            pins,
        };
        let result = trial::run(&trial, interrupt);
        let entry = &mut self.entries[step.point][step.contender];
        match result {
            _ if interrupt.raised() => {}
            Ok(driven) => match driven.failure(step.round) {
                None if step.calibrates => {
                    self.calibrate(
                        point.connections,
                        trial.contender.id.clone(),
                        driven.round.requests_per_s,
                    );
                }
                None => entry.add(driven),
                failure => entry.failure = failure,
            },
            Err(error) if error.is::<UsageError>() => return Err(error),
            Err(error) => {
                let failure = Failure::before_any_answer(step.round, &error);
                entry.failure = Some(failure.clone());
                if error.is::<NotStarted>() {
                    self.give_up(&trial.contender.id, &failure);
                }
            }
        }
        Ok(())
    }

    fn calibrate(&mut self, connections: usize, id: String, per_s: f64) {
        let sustained = self
            .sustained
            .entry(connections)
            .or_insert(Sustained { per_s: f64::INFINITY, slowest: String::new() });
        if per_s < sustained.per_s {
            *sustained = Sustained { per_s, slowest: id };
        }
    }

    /// A server that does not start need not be waited for again.
    fn give_up(&mut self, id: &str, failure: &Failure) {
        for entry in self.entries.iter_mut().flatten() {
            if entry.contender.id == id {
                entry.failure.get_or_insert_with(|| failure.clone());
            }
        }
    }
}

fn load(plan: &Plan, step: Step, threads: usize) -> LoadOptions {
    let point = &plan.points[step.point];
    let contender = &point.contenders[step.contender];
    LoadOptions {
        connections: contender.connections,
        threads,
        size: point.size,
        pipeline: point.pipeline,
        duration: plan.duration,
        warm_up: plan.warm_up,
        echo: contender.echo,
        // The address is known when the server listens.
        ..LoadOptions::new(std::net::SocketAddr::from(([127, 0, 0, 1], 1)))
    }
}

/// How long is left: what each step took when it was done before, and otherwise its estimate,
/// corrected by how wrong the estimates have been so far.
#[derive(Default)]
struct Forecast {
    known: HashMap<(usize, usize, bool), Duration>,
    estimated: Duration,
    taken: Duration,
}

impl Forecast {
    fn learn(&mut self, plan: &Plan, step: Step, taken: Duration) {
        self.estimated += plan.estimate(step);
        self.taken += taken;
        self.known.insert((step.point, step.contender, step.calibrates), taken);
    }

    fn left(&self, plan: &Plan, steps: &[Step]) -> Duration {
        let correction = if self.estimated.is_zero() {
            1.0
        } else {
            (self.taken.as_secs_f64() / self.estimated.as_secs_f64()).clamp(0.2, 5.0)
        };
        let each = steps.iter().map(|step| {
            let known = self.known.get(&(step.point, step.contender, step.calibrates));
            known.copied().unwrap_or_else(|| plan.estimate(*step).mul_f64(correction))
        });
        each.sum()
    }

    fn line(&self, plan: &Plan, steps: &[Step], rounds: usize) -> String {
        let Some(step) = steps.first() else { return String::new() };
        let point = &plan.points[step.point];
        let left = Duration::from_secs(self.left(plan, steps).as_secs() + 1);
        let more = if plan.time.is_some() { ", or more until it is clear who leads" } else { "" };
        format!(
            "about {} left{more}; round {} of {rounds}: {}, {} connections, {}",
            humantime::format_duration(left),
            step.round,
            point.scenario.name(),
            point.connections,
            point.contenders[step.contender].id
        )
    }
}

/// A line on stderr that is drawn only if that is a terminal.
fn progress(steps: usize) -> ProgressBar {
    let progress = ProgressBar::new(steps as u64);
    let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {wide_msg}");
    progress.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    progress.enable_steady_tick(TICK);
    progress
}
