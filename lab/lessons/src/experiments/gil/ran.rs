//! What came of one way, and how it compares.

use anyhow::{Context, Result};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use super::way::{Way, Who};
use super::work::COMPUTING;
use crate::experiments::name;
use crate::trace::{State, Trace};
use crate::verdict::{Claim, Drawing, Figure, Variant, time};

/// Who got less than this part of the CPUs that it could have used was kept from them by others.
const FAIR: f64 = 0.85;

/// What came of one way.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) way: Way,
    pub(super) trace: Trace,
    /// From before the first worker was created until all had ended.
    pub(super) time_ns: u64,
    /// What all of them computed in that time; for Python including its start.
    pub(super) cpu_ns: u64,
    /// How often the lock was taken, where it is ours.
    pub(super) turns: Option<u64>,
    /// Whether there is a lock.
    pub(super) has_lock: bool,
}

impl Ran {
    /// Without its times.
    pub(super) fn new(way: Way, trace: Trace, turns: Option<u64>) -> Self {
        Self { way, trace, time_ns: 0, cpu_ns: 0, turns, has_lock: turns.is_some() }
    }

    /// The most that computed, or waited, at one time, with the lock or without.
    pub(super) fn at_once(&self) -> usize {
        if !self.way.computes() {
            return self.trace.most_at_once(State::Sleeping);
        }
        if self.way.who().is_python() {
            // What a thread sees of itself by its own clock has not the edges that a count needs.
            return self.computing_on_average();
        }
        let mut computing = self.trace.clone();
        for span in computing.lanes.iter_mut().flat_map(|lane| &mut lane.spans) {
            let is_computing = span.state == State::Holding || span.what == COMPUTING;
            span.state = if is_computing { State::Holding } else { State::Done };
        }
        computing.most_at_once(State::Holding)
    }

    /// How many computed at one time, on average and rounded.
    fn computing_on_average(&self) -> usize {
        let lanes = self.trace.lanes.iter();
        let computed: u64 =
            lanes.map(|lane| lane.total_ns(State::Holding) + lane.total_ns(State::Running)).sum();
        let length = self.trace.length_ns().max(1);
        usize::try_from((computed + length / 2) / length).unwrap_or(usize::MAX)
    }

    #[allow(clippy::cast_precision_loss, reason = "a ratio of times of some seconds")]
    fn cpus(&self) -> f64 {
        self.cpu_ns as f64 / self.time_ns.max(1) as f64
    }

    /// Whether others kept it from the CPUs, of which its workers `could` have used so many
    /// together.
    #[allow(clippy::cast_precision_loss, reason = "there are not that many CPUs")]
    pub(super) fn was_deprived(&self, could: usize) -> bool {
        let could = match self.way.who() {
            Who::One | Who::Gil => 1,
            Who::Threads | Who::Processes => could,
            // It computes little until its workers exist.
            Who::PythonThreads | Who::PythonProcesses => return false,
        };
        self.way.computes() && self.cpus() < FAIR * could as f64
    }

    pub(super) fn variant(self) -> Variant {
        let verb = if self.way.computes() { "compute" } else { "wait" };
        let about = match self.way.who() {
            Who::One => "one thread has all the work, one after the other".to_owned(),
            Who::Gil => format!("threads {verb} under one lock, handed over when asked and while they wait"),
            who => format!("{} {verb}", who.name()),
        };
        let what = if self.way.computes() { "computing at once" } else { "waiting at once" };
        let mut figures = vec![
            ("time", Figure::Time(self.time_ns)),
            ("cpu time", Figure::Time(self.cpu_ns)),
            (what, Figure::count(self.at_once())),
        ];
        if let Some(turns) = self.turns {
            figures.push(("turns", Figure::Count(turns)));
        }
        Variant { name: name(self.way), about, trace: self.trace, figures }
    }
}

/// Nanoseconds that this process, and every one that it has waited for, spent on a CPU until now.
///
/// # Errors
/// If the system does not say.
pub(super) fn cpu_ns() -> Result<u64> {
    let spent = |usage: Usage| usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    let of = |who| getrusage(who).context("cannot ask for the CPU time");
    let microseconds = spent(of(UsageWho::RUSAGE_SELF)?) + spent(of(UsageWho::RUSAGE_CHILDREN)?);
    Ok(u64::try_from(microseconds).unwrap_or(0) * 1000)
}

pub(super) fn find(ran: &[Ran], way: Way) -> Option<&Ran> {
    ran.iter().find(|ran| ran.way == way)
}

/// Where both were done: that one is faster than the other.
pub(super) fn faster(ran: &[Ran], fast: Way, slow: Way, why: &str) -> Option<Claim> {
    let (fast_ns, slow_ns) = (find(ran, fast)?.time_ns, find(ran, slow)?.time_ns);
    Some(Claim::new(
        fast_ns < slow_ns,
        format!("{} is faster than {}", name(fast), name(slow)),
        format!("{} against {}", time(fast_ns), time(slow_ns)),
        why,
    ))
}

/// The course's two-by-two: computing and waiting, by who does it.
pub(super) fn table(ran: &[Ran]) -> Drawing {
    let mut text = format!("{:24}{:>12}{:>12}\n", "", "computing", "waiting");
    for who in Who::ALL {
        let cell = |computes| {
            let found = ran.iter().find(|ran| ran.way.who() == who && ran.way.computes() == computes);
            found.map_or_else(|| "-".to_owned(), |ran| time(ran.time_ns).replace('\u{b5}', "u"))
        };
        let (computing, waiting) = (cell(true), cell(false));
        if computing != "-" || waiting != "-" {
            text.push_str(&format!("{:24}{computing:>12}{waiting:>12}\n", who.name()));
        }
    }
    Drawing { title: "Time until all have done it".to_owned(), text, svg: None }
}
