//! What will be measured, in which order, and how long it will take.
//!
//! The rounds are the outermost loop: everything once, then everything again, so that a change of
//! the machine's mood meets all alike and shows as spread.

use std::time::Duration;

use harness::contender::Contender;
use harness::models::Makes;
use serving::UsageError;

use crate::options::{Candidate, CompareOptions};
use crate::profile::{OneAtATime, Scenario};

/// One scenario under one load, and who is measured there.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedPoint {
    /// Which.
    pub scenario: Scenario,
    /// Connections.
    pub connections: usize,
    /// The share of the slowest server's rate, in `paced`.
    pub load: Option<f64>,
    /// Bytes in each request.
    pub size: usize,
    /// Requests in flight on each connection.
    pub pipeline: usize,
    /// Who, in the order of the table.
    pub contenders: Vec<Contender>,
}

/// One server, started and driven once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Which point.
    pub point: usize,
    /// Which of its contenders.
    pub contender: usize,
    /// Which round, from 1.
    pub round: usize,
    /// Whether it only finds out what rate the server sustains, for the open loop.
    pub calibrates: bool,
}

/// The whole comparison.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is measured.
    pub points: Vec<PlannedPoint>,
    /// In which order.
    pub steps: Vec<Step>,
    /// How often, at least.
    pub rounds: usize,
    /// How long more rounds may be added while it is not clear who leads, from the beginning;
    /// `None`: there are no more.
    pub time: Option<Duration>,
    /// The measured window of each run.
    pub duration: Duration,
    /// The time before it.
    pub warm_up: Duration,
    /// What a reader must know: who does not take part where.
    pub notes: Vec<String>,
}

/// The longest window that is chosen by itself, and the shortest.
const LONGEST: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(100);

/// The warm-up is this part of the window.
const WARM_UP_PART: u32 = 5;

impl Plan {
    /// What the options ask for.
    ///
    /// # Errors
    /// A [`UsageError`] if nothing would be measured, or two servers have one name.
    pub fn new(options: &CompareOptions, candidates: &[Candidate]) -> Result<Self, UsageError> {
        let mut points = Vec::new();
        let mut notes = Vec::new();
        for scenario in options.scenarios() {
            points.extend(points_of(scenario, options, candidates, &mut notes));
        }
        points.retain(|point: &PlannedPoint| !point.contenders.is_empty());
        if points.is_empty() {
            return Err(UsageError(
                "nothing would be measured: none of these servers takes part in these --scenarios with these --connections"
                    .to_owned(),
            ));
        }
        for point in &points {
            refuse_twins(&point.contenders)?;
        }
        let rounds = options.rounds.unwrap_or(options.depth().rounds());
        let more = options.rounds.is_none();
        let mut plan = Self::of(points, rounds, if more { options.time() * 2 / 3 } else { options.time() });
        plan.time = more.then(|| options.time());
        plan.notes = notes;
        if let Some(duration) = options.duration {
            plan.duration = duration;
            plan.warm_up = whole_milliseconds(duration / WARM_UP_PART);
        }
        plan.warm_up = options.warm_up.unwrap_or(plan.warm_up);
        Ok(plan)
    }

    /// These points, so many times, with the longest windows that the time allows.
    pub fn of(points: Vec<PlannedPoint>, rounds: usize, budget: Duration) -> Self {
        let steps = steps(&points, rounds);
        let duration = window(&points, &steps, budget);
        let warm_up = whole_milliseconds(duration / WARM_UP_PART);
        Self { points, steps, rounds, time: None, duration, warm_up, notes: Vec::new() }
    }

    /// One more round, whose number is `round`.
    pub fn further(&self, round: usize) -> Vec<Step> {
        self.steps
            .iter()
            .filter(|step| step.round == 1 && !step.calibrates)
            .map(|step| Step { round, ..*step })
            .collect()
    }

    /// How long a step will take, as far as one can know before it has been done once.
    pub fn estimate(&self, step: Step) -> Duration {
        let window = if self.points[step.point].scenario == Scenario::Idle {
            Duration::ZERO
        } else {
            self.duration + self.warm_up
        };
        overhead(&self.points[step.point], step) + window
    }
}

fn points_of(
    scenario: Scenario,
    options: &CompareOptions,
    candidates: &[Candidate],
    notes: &mut Vec<String>,
) -> Vec<PlannedPoint> {
    let profile = scenario.profile();
    let connections = options.connections(profile);
    let cores = options.server_cores(profile.pinned);
    let loads: Vec<Option<f64>> = match profile.loads[options.depth() as usize] {
        [] => vec![None],
        loads => loads.iter().copied().map(Some).collect(),
    };
    let mut points = Vec::new();
    for (index, count) in connections.iter().enumerate() {
        for load in &loads {
            let contenders = candidates
                .iter()
                .filter_map(|candidate| candidate.at(profile, *count, cores, index == 0))
                .collect();
            points.push(PlannedPoint {
                scenario,
                connections: *count,
                load: *load,
                size: options.size.unwrap_or(profile.size),
                pipeline: options.pipeline.unwrap_or(profile.pipeline),
                contenders,
            });
        }
    }
    if !connections.is_empty() {
        let left_out: Vec<&str> =
            candidates.iter().filter_map(|candidate| absent(candidate, &points)).collect();
        if !left_out.is_empty() {
            let why = match profile.one_at_a_time {
                OneAtATime::Not => "many conversations at once are the point of it",
                _ => "only our servers can be told to compute",
            };
            notes.push(format!("{}: without {}, because {why}", scenario.name(), left_out.join(", ")));
        }
    }
    points
}

/// The name of a candidate that is at none of the points.
fn absent<'a>(candidate: &'a Candidate, points: &[PlannedPoint]) -> Option<&'a str> {
    let name = match candidate {
        Candidate::Own(model) => model.name(),
        Candidate::Foreign(foreign, _) => foreign.name(),
    };
    let is_here = |point: &PlannedPoint| point.contenders.iter().any(|contender| contender.id == name);
    (!points.iter().any(is_here)).then_some(name)
}

fn refuse_twins(contenders: &[Contender]) -> Result<(), UsageError> {
    for (index, contender) in contenders.iter().enumerate() {
        if contenders[..index].iter().any(|earlier| earlier.id == contender.id) {
            return Err(UsageError(format!(
                "two servers are called {}: give one another name",
                contender.id
            )));
        }
    }
    Ok(())
}

/// Everything once, then again. Before the first open loop with so many connections, everybody's
/// closed loop: its rates are shares of what the slowest sustains.
fn steps(points: &[PlannedPoint], rounds: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut calibrated = Vec::new();
    for round in 1..=rounds {
        for (point, planned) in points.iter().enumerate() {
            let all = 0..planned.contenders.len();
            if planned.load.is_some() && !calibrated.contains(&planned.connections) {
                calibrated.push(planned.connections);
                steps.extend(all.clone().map(|contender| Step { point, contender, round, calibrates: true }));
            }
            steps.extend(all.map(|contender| Step { point, contender, round, calibrates: false }));
        }
    }
    steps
}

/// The window that fits the time.
fn window(points: &[PlannedPoint], steps: &[Step], budget: Duration) -> Duration {
    let overhead: Duration = steps.iter().map(|step| overhead(&points[step.point], *step)).sum();
    let windows = steps.iter().filter(|step| points[step.point].scenario != Scenario::Idle).count();
    let windows = u32::try_from(windows.max(1)).unwrap_or(u32::MAX);
    let each = budget.saturating_sub(overhead) / windows;
    whole_milliseconds(each * WARM_UP_PART / (WARM_UP_PART + 1)).clamp(SHORTEST, LONGEST)
}

/// Nobody wants to read more digits.
fn whole_milliseconds(time: Duration) -> Duration {
    time.saturating_sub(Duration::from_nanos(u64::from(time.subsec_nanos()) % 1_000_000))
}

/// What a step takes beside its window: starting, connecting, weighing, stopping. Measured once, on
/// two cores; the progress bar learns better.
fn overhead(point: &PlannedPoint, step: Step) -> Duration {
    let contender = &point.contenders[step.contender];
    let each = Duration::from_micros(match contender.makes {
        Some(Makes::Process) => 1500,
        Some(Makes::Thread) => 100,
        _ => 30,
    });
    let start = if contender.start.is_foreign() { 150 } else { 40 };
    let connections = u32::try_from(contender.connections).unwrap_or(u32::MAX);
    Duration::from_millis(start) + each.saturating_mul(connections)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use harness::models::Model;

    use super::*;

    #[derive(Debug, Parser)]
    struct Alone {
        #[command(flatten)]
        options: CompareOptions,
    }

    fn plan(arguments: &[&str]) -> Plan {
        let options = Alone::parse_from([&["compare"], arguments].concat()).options;
        Plan::new(&options, &options.candidates().unwrap().0).unwrap()
    }

    fn estimated(plan: &Plan) -> Duration {
        plan.steps.iter().map(|step| plan.estimate(*step)).sum()
    }

    #[test]
    fn one_load_is_one_point_and_as_short_as_it_says() {
        let plan = plan(&["--rounds=1", "--duration=200ms", "--connections=8"]);
        let models = Model::all().filter(|model| model.available().is_ok()).count();
        assert_eq!((plan.points.len(), plan.steps.len()), (1, models));
        assert_eq!(plan.duration, Duration::from_millis(200));
        assert!(estimated(&plan) < Duration::from_secs(3));
    }

    #[test]
    fn the_sweeps_take_about_as_long_as_their_help_says() {
        for (arguments, seconds) in
            [(&["--quick"][..], 30), (&[][..], 180), (&["--thorough"][..], 1200), (&["--time=1m"][..], 60)]
        {
            let estimated = estimated(&plan(arguments)).as_secs();
            assert!((seconds / 2..=seconds * 9 / 10).contains(&estimated), "{arguments:?}: {estimated} s");
        }
    }

    #[test]
    fn everything_is_measured_once_before_anything_is_measured_again() {
        let plan = plan(&["--connections=1,10", "--models=thread,mio", "--rounds=2"]);
        let order: Vec<_> = plan.steps.iter().map(|step| (step.round, step.point, step.contender)).collect();
        assert!(order.is_sorted() && order.len() == 8, "{order:?}");
    }

    #[test]
    fn the_open_loop_is_calibrated_once_before_it_is_used() {
        let plan = plan(&["--scenarios=paced", "--models=thread,mio", "--rounds=2"]);
        let calibrating = plan.steps.iter().filter(|step| step.calibrates).count();
        assert_eq!(calibrating, 2);
        assert!(plan.steps[0].calibrates && plan.steps[1].calibrates);
    }

    #[test]
    fn who_holds_one_conversation_is_measured_where_that_makes_sense() {
        let plan = plan(&["--models=iterative,mio", "--scenarios=requests,churn,idle"]);
        let of = |scenario| plan.points.iter().filter(move |point| point.scenario == scenario);
        let iterative = |point: &&PlannedPoint| point.contenders[0].id == "iterative";
        assert_eq!(of(Scenario::Requests).filter(iterative).count(), 1);
        assert_eq!(of(Scenario::Churn).filter(iterative).count(), of(Scenario::Churn).count());
        assert_eq!(of(Scenario::Idle).filter(iterative).count(), 0);
        assert!(plan.notes.iter().any(|note| note.contains("idle: without iterative")), "{:?}", plan.notes);
    }
}
