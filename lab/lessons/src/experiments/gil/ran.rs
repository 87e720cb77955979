//! What came of one way, and how it compares.

use anyhow::{Context, Result};
use harness::text::{fitted, width};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use super::fact::Judged;
use super::work::COMPUTING;
use super::{Fact, Way, Who, Why};
use crate::experiments::name;
use crate::texts::{GilTable, say};
use crate::trace::{Lane, Span, State, Trace};
use crate::verdict::{Drawing, Figure, Variant, time};

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
        if self.way.who().is_python() || self.way.is_on_one() {
            // When a thread has lost its processor it knows only to a step: not the edges that a
            // count needs.
            return self.computing_on_average();
        }
        let mut computing = self.trace.clone();
        for span in computing.lanes.iter_mut().flat_map(|lane| &mut lane.spans) {
            span.state = if is_computing(span) { State::Holding } else { State::Done };
        }
        computing.most_at_once(State::Holding)
    }

    /// How many computed at one time, on average and rounded; one, if anything was computed.
    fn computing_on_average(&self) -> usize {
        let spans = self.trace.lanes.iter().flat_map(|lane| &lane.spans).filter(|span| is_computing(span));
        let computed: u64 = spans.map(|span| span.length_ns() - span.ready_ns.unwrap_or(0)).sum();
        let length = self.trace.length_ns().max(1);
        let rounded = ((computed + length / 2) / length).max(u64::from(computed > 0));
        usize::try_from(rounded).unwrap_or(usize::MAX)
    }

    /// How long all together were ready, as far as that is known.
    pub(super) fn ready_ns(&self) -> u64 {
        self.trace.lanes.iter().map(Lane::ready_ns).sum()
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
            Who::Threads | Who::Processes if self.way.is_on_one() => 1,
            Who::Threads | Who::Processes => could,
            // It computes little until its workers exist.
            Who::PythonThreads | Who::PythonProcesses | Who::FreePython => return false,
        };
        self.way.computes() && self.cpus() < FAIR * could as f64
    }

    pub(super) fn variant(self) -> Variant {
        let what = if self.way.computes() { "computing at once" } else { "waiting at once" };
        let mut figures = vec![
            ("time", Figure::Time(self.time_ns)),
            ("cpu time", Figure::Time(self.cpu_ns)),
            (what, Figure::count(self.at_once())),
        ];
        // A Python's thread under the lock does not tell its wait for a processor from that for the
        // lock.
        if self.way.computes() && !(self.way.who().is_python() && self.has_lock) {
            figures.push(("ready", Figure::Time(self.ready_ns())));
        }
        if let Some(turns) = self.turns {
            figures.push(("turns", Figure::Count(turns)));
        }
        Variant {
            name: name(self.way),
            about: say(|texts| (texts.gil.about)(self.way)),
            trace: self.trace,
            figures,
        }
    }
}

fn is_computing(span: &Span) -> bool {
    matches!(span.state, State::Running | State::Holding)
        && (span.state == State::Holding || span.what == COMPUTING)
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
pub(super) fn faster(ran: &[Ran], fast: Way, slow: Way, why: Why) -> Option<Judged> {
    let (fast_ns, slow_ns) = (find(ran, fast)?.time_ns, find(ran, slow)?.time_ns);
    Some((Fact::Faster { fast, slow, fast_ns, slow_ns, why }, fast_ns < slow_ns))
}

/// The course's table: on one processor and on several, computing and waiting, by who does it. A
/// row that is `missing` says so.
pub(super) fn table(ran: &[Ran], missing: &[Who], said: &GilTable) -> Drawing {
    let right = |text: &str| format!("{}{text}", " ".repeat(12_usize.saturating_sub(width(text))));
    let row = |name: &str, computing: &str, waiting: &str| {
        format!("{}{}{}\n", fitted(name, 26), right(computing), right(waiting)).trim_end().to_owned() + "\n"
    };
    let mut text = row("", said.computing, said.waiting);
    for (title, on_one) in [(said.on_one, true), (said.on_all, false)] {
        let of = |who, computes| {
            ran.iter().find(|ran| {
                ran.way.who() == who && ran.way.computes() == computes && ran.way.is_on_one() == on_one
            })
        };
        let mut rows = String::new();
        for who in Who::ALL {
            let cell = |computes| {
                of(who, computes)
                    .map_or_else(|| "-".to_owned(), |ran| time(ran.time_ns).replace('\u{b5}', "u"))
            };
            let (name, computing, waiting) = (format!("  {}", (said.who)(who)), cell(true), cell(false));
            if computing != "-" || waiting != "-" {
                rows.push_str(&row(&name, &computing, &waiting));
            } else if missing.contains(&who) && !on_one {
                rows.push_str(&row(&name, said.not_found, ""));
            }
        }
        for (name, processes, threads) in [
            (said.faster, Who::Processes, Who::Gil),
            (said.faster_python, Who::PythonProcesses, Who::PythonThreads),
        ] {
            let better = |computes| match (of(processes, computes), of(threads, computes)) {
                (Some(processes), Some(threads)) => better(processes.time_ns, threads.time_ns, said),
                _ => "-",
            };
            let (computing, waiting) = (better(true), better(false));
            if computing != "-" || waiting != "-" {
                rows.push_str(&row(&format!("  {name}"), computing, waiting));
            }
        }
        if !rows.is_empty() {
            text.push_str(&format!("{title}\n{rows}"));
        }
    }
    Drawing { title: said.title.to_owned(), text, svg: None }
}

/// Which of two is faster; nobody, if they differ by less than a tenth.
fn better(processes_ns: u64, threads_ns: u64, said: &GilTable) -> &'static str {
    if is_alike(processes_ns, threads_ns) {
        said.equal
    } else if processes_ns < threads_ns {
        said.processes
    } else {
        said.threads
    }
}

/// Whether two times differ by less than a tenth.
fn is_alike(one_ns: u64, other_ns: u64) -> bool {
    one_ns.abs_diff(other_ns) < one_ns.max(other_ns) / 10
}

/// Where both were done on one processor: that processes gain nothing there over threads. A second
/// processor would gain half of the time, and that of a machine which others use, too, changes by a
/// fifth.
pub(super) fn gains_nothing(ran: &[Ran], processes: Way, threads: Way) -> Option<Judged> {
    let (processes_ns, threads_ns) = (find(ran, processes)?.time_ns, find(ran, threads)?.time_ns);
    let holds = processes_ns > threads_ns / 4 * 3;
    Some((Fact::NotFaster { processes, threads, processes_ns, threads_ns }, holds))
}

#[cfg(test)]
mod tests {
    use harness::lang::Lang;

    use super::*;
    use crate::texts::Texts;

    fn ran(way: Way, time_ns: u64) -> Ran {
        Ran { time_ns, ..Ran::new(way, Trace::default(), None) }
    }

    #[test]
    fn the_table_has_the_four_cases_says_who_is_faster_and_what_is_not_found() {
        let all = [
            ran(Way::ComputeGilOnOne, 100_000_000),
            ran(Way::ComputeProcessesOnOne, 105_000_000),
            ran(Way::WaitGilOnOne, 10_000_000),
            ran(Way::WaitProcessesOnOne, 80_000_000),
            ran(Way::ComputeGil, 100_000_000),
            ran(Way::ComputeProcesses, 50_000_000),
        ];
        let text = table(&all, &[Who::FreePython], &Texts::of(Lang::En).gil_table).text;
        let (one, several) = text.split_once("all processors").unwrap();
        let faster = |part: &str| {
            let line = part.lines().find(|line| line.trim().starts_with("faster")).unwrap();
            line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(faster(one), ["equal", "threads"], "{text}");
        assert_eq!(faster(several), ["processes", "-"], "{text}");
        assert!(several.contains("GIL-free Python threads") && several.contains("not found"), "{text}");
        assert!(!one.contains("not found") && !text.contains("python's processes"), "{text}");
    }

    #[test]
    fn processes_that_are_faster_on_one_processor_are_not_what_was_expected() {
        let claim = |processes_ns| {
            let all = [ran(Way::ComputeProcessesOnOne, processes_ns), ran(Way::ComputeGilOnOne, 100)];
            gains_nothing(&all, Way::ComputeProcessesOnOne, Way::ComputeGilOnOne).unwrap().1
        };
        assert_eq!([claim(50), claim(80), claim(200)], [false, true, true]);
    }
}
