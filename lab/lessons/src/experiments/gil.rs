//! Computing and waiting, in threads that share an interpreter's lock, in threads that do not, and
//! in processes.
//!
//! The course: twelve workers on twelve CPUs compute the product 1*2*...*100000, 5.67 s in
//! processes, 30.2 s in threads; a hundred workers sleep for 2 s, and threads win. Rust has no such
//! lock, so threads win at both; with the lock of `gil/lock.rs` around every step they behave as
//! Python's. Everything is done on all processors and on one, to which the workers are bound, as in
//! the course's four cases. Where there is a Python, its own do the same beside them. Times include
//! the creation of the workers, as the course's do.

mod fact;
mod lock;
mod ran;
mod real;
mod way;
mod work;

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::{Args, ValueEnum as _};
use harness::pin::OnOne;
use serving::UsageError;
use serving::options::{parse_count, parse_duration};

use super::{on_threads, ways};
use crate::cast::{Cast, Heard};
use crate::part::Part;
use crate::stage::Stage;
use crate::texts::{Texts, say};
use crate::trace::{Recorder, Trace, Waited, now_ns};
use crate::verdict::{Claim, Observation};
use crate::{Experiment, show};

use self::fact::Judged;
pub(crate) use self::fact::{Fact, Why};
use self::lock::InterpreterLock;
use self::ran::{Ran, cpu_ns, faster, find, gains_nothing};
pub(crate) use self::way::{Way, Who};
use self::work::Work;

/// The most workers.
const MOST: usize = 400;

/// The largest n; with it one product takes minutes.
const MOST_N: usize = 1_000_000;

/// How often what is not as expected is measured again, at most.
const REPETITIONS: usize = 5;

/// After so long, nothing is measured again.
const LONG: Duration = Duration::from_secs(20);

/// The course's computer had so many CPUs, and there were as many workers.
const COURSE_CPUS: usize = 12;

/// What CPython's builds without the lock are called.
const FREE_PYTHONS: [&str; 2] = ["python3.14t", "python3.13t"];

/// A run that is shorter says little about its threads, in nanoseconds.
const SHORT_NS: u64 = 100_000_000;

/// `lab run gil`
#[derive(Debug, Args)]
pub struct Gil {
    /// Workers that compute [default: one for each CPU, from 2 to 12]
    #[arg(long, value_name = "N", value_parser = parse_count::<MOST>)]
    workers: Option<usize>,

    /// Each computes the product 1*2*...*N; the course's is 100000
    #[arg(long, value_name = "N", default_value = "40000", value_parser = parse_count::<MOST_N>)]
    product: usize,

    /// Workers that wait
    #[arg(long, value_name = "N", default_value = "100", value_parser = parse_count::<MOST>)]
    waiters: usize,

    /// Each waits for this long
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = parse_duration)]
    wait: Duration,

    /// A thread that wants the lock asks for it after this long
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = parse_duration)]
    interval: Duration,

    /// The Python that does the same; where there is none, it is left out
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: String,

    /// A Python without the lock (free-threaded, PEP 703) [default: python3.14t, python3.13t, or
    /// that of --python if it is one]
    #[arg(long, value_name = "PROGRAM")]
    free_python: Option<String>,

    /// Run only this variant
    #[arg(long, value_enum, value_name = "VARIANT")]
    only: Option<Way>,
}

impl Experiment for Gil {
    const NAME: &'static str = "gil";
    const QUESTION: fn(&Texts) -> &'static str = |texts| texts.gil.question;

    fn run(&self, _stage: &Stage) -> Result<Observation> {
        self.check()?;
        let has_python = real::exists(&self.python);
        if !has_python {
            show::note(&format!("there is no {} here: gil does without", self.python));
        }
        let free = match &self.free_python {
            Some(named) => real::free([named.as_str()]),
            None => real::free(FREE_PYTHONS.into_iter().chain([self.python.as_str()])),
        };
        if free.is_none() {
            let sought = self.free_python.clone().unwrap_or_else(|| FREE_PYTHONS.join(", "));
            show::note(&format!("there is no Python without the lock here ({sought}): gil does without"));
        }
        if !self.can_compute_together() {
            show::note("with one CPU or one worker nothing can be computed at the same time: gil shows less");
        }
        let begun = Instant::now();
        let (mut ran, mut missing) = (Vec::new(), Vec::new());
        for way in ways(self.only, Way::value_variants()) {
            let python = match way.who() {
                Who::FreePython => free,
                who if who.is_python() => has_python.then_some(self.python.as_str()),
                _ => Some(""),
            };
            match python {
                Some(python) => ran.push((self.one(way, python)?, python)),
                None if !missing.contains(&way.who()) => missing.push(way.who()),
                None => {}
            }
        }
        if ran.is_empty() && missing == [Who::FreePython] {
            bail!("there is no Python without the lock: name one by --free-python");
        }
        ensure!(!ran.is_empty(), "there is no {}: name another by --python", self.python);
        let (mut ran, pythons): (Vec<_>, Vec<_>) = ran.into_iter().unzip();
        for repetition in 0..REPETITIONS {
            let failed: Vec<_> = self.facts(&ran).into_iter().filter(|(_, holds)| !holds).collect();
            if failed.is_empty() || begun.elapsed() > LONG {
                break;
            }
            if repetition == 0 {
                show::note("gil measures some again and takes the faster: the machine seems to be busy");
            }
            for (best, python) in ran.iter_mut().zip(&pythons) {
                if failed.iter().any(|(fact, _)| fact.is_of(best.way)) {
                    let again = self.one(best.way, python)?;
                    if again.time_ns < best.time_ns {
                        *best = again;
                    }
                }
            }
        }
        let (claims, drawings) =
            (self.believed(&ran), say(|texts| vec![ran::table(&ran, &missing, &texts.gil_table)]));
        Ok(Observation { variants: ran.into_iter().map(Ran::variant).collect(), drawings, claims })
    }

    fn act(part: &str, me: &mut Part) -> Result<()> {
        serde_json::from_str::<Work>(part)?.plainly(me)
    }
}

impl Gil {
    fn check(&self) -> Result<(), UsageError> {
        if self.interval.is_zero() {
            return Err(UsageError("--interval takes at least 1ns".to_owned()));
        }
        Ok(())
    }

    fn can_compute_together(&self) -> bool {
        cpus() > 1 && self.share(Way::ComputeOne).0 > 1
    }

    fn share(&self, way: Way) -> (usize, Work) {
        if way.computes() {
            (self.workers.unwrap_or_else(|| cpus().clamp(2, COURSE_CPUS)), Work::Compute(self.product as u64))
        } else {
            (self.waiters, Work::Wait(self.wait))
        }
    }

    fn one(&self, way: Way, python: &str) -> Result<Ran> {
        let (count, share) = self.share(way);
        let _on_one = if way.is_on_one() { Some(OnOne::begin()?) } else { None };
        let (begun_ns, cpu_begun_ns) = (now_ns(), cpu_ns()?);
        let mut ran = self.have_it_done(way, python, count, share)?;
        if !way.who().is_python() {
            // Python measures itself, without its own start.
            ran.time_ns = now_ns() - begun_ns;
        }
        ran.cpu_ns = cpu_ns()? - cpu_begun_ns;
        Ok(ran)
    }

    fn have_it_done(&self, way: Way, python: &str, count: usize, share: Work) -> Result<Ran> {
        let ran = |trace, turns: Option<u64>| Ran::new(way, trace, turns);
        match way.who() {
            Who::One => {
                let mut me = Recorder::thread("thread 1");
                for _ in 0..count {
                    share.plainly(&mut me)?;
                }
                Ok(ran(Trace::new(vec![me.end()]), None))
            }
            Who::Gil => {
                let lock = InterpreterLock::new(self.interval);
                let trace = threads(count, |me| share.under(&lock, me))?;
                Ok(ran(trace, Some(lock.turns())))
            }
            Who::Threads => Ok(ran(threads(count, |me| share.plainly(me))?, None)),
            Who::Processes => Ok(ran(processes(count, share)?, None)),
            Who::PythonThreads | Who::FreePython => real::run(python, way, "threads", count, share),
            Who::PythonProcesses => real::run(python, way, "processes", count, share),
        }
    }

    /// The claims, without those that nothing can be said about: that something is faster, where it
    /// did not get its CPUs.
    fn believed(&self, ran: &[Ran]) -> Vec<Claim> {
        let mut facts = self.facts(ran);
        let could = self.share(Way::ComputeOne).0.min(cpus());
        if ran.iter().any(|one| one.was_deprived(could)) && facts.iter().any(|(_, holds)| !holds) {
            show::note(
                "others used the CPUs all the time: gil cannot compare, and says nothing of what is faster",
            );
            facts = self.one_at_a_time(ran).into_iter().collect();
        }
        facts.iter().map(Fact::claim).collect()
    }

    fn facts(&self, ran: &[Ran]) -> Vec<Judged> {
        let mut facts = self.computing(ran);
        facts.extend(self.on_one(ran));
        if self.waiters > 1 {
            for (fast, slow, why) in [
                (Way::WaitGil, Way::WaitOne, Why::WaitTogether),
                (Way::WaitGil, Way::WaitProcesses, Why::CreatedFaster),
                (Way::WaitPythonThreads, Way::WaitPythonProcesses, Why::InPythonToo),
                (Way::WaitGilOnOne, Way::WaitProcessesOnOne, Why::OnOneToo),
            ] {
                facts.extend(faster(ran, fast, slow, why));
            }
        }
        facts
    }

    /// On one processor nothing is computed at the same time, with a lock or without.
    fn on_one(&self, ran: &[Ran]) -> Vec<Judged> {
        let mut facts = Vec::new();
        for way in [Way::ComputeThreadsOnOne, Way::ComputeProcessesOnOne] {
            let Some(one) = find(ran, way).filter(|one| one.time_ns >= SHORT_NS) else { continue };
            let (at_once, ready_ns) = (one.at_once(), one.ready_ns());
            let is_known = Waited::until_now().is_some();
            let count = self.share(way).0;
            let holds = at_once <= 1 && (ready_ns > 0 || count == 1) || !is_known;
            let fact = Fact::OnOne { way, at_once, ready_ns: is_known.then_some(ready_ns) };
            facts.push((fact, holds));
        }
        for (processes, threads) in [
            (Way::ComputeProcessesOnOne, Way::ComputeGilOnOne),
            (Way::ComputePythonProcessesOnOne, Way::ComputePythonThreadsOnOne),
        ] {
            facts.extend(gains_nothing(ran, processes, threads));
        }
        facts
    }

    fn one_at_a_time(&self, ran: &[Ran]) -> Option<Judged> {
        let gil = find(ran, Way::ComputeGil)?;
        let (most, turns) = (gil.at_once(), gil.turns.unwrap_or(0));
        Some((Fact::OneAtATime { most, turns, interval: self.interval }, most == 1))
    }

    fn computing(&self, ran: &[Ran]) -> Vec<Judged> {
        let mut facts: Vec<_> = self.one_at_a_time(ran).into_iter().collect();
        // A Python without the lock (PEP 703) has nothing to show here, and in a short run too much
        // else takes part.
        if let Some(python) =
            find(ran, Way::ComputePythonThreads).filter(|one| one.has_lock && one.time_ns >= SHORT_NS)
        {
            let at_once = python.at_once();
            facts.push((Fact::Python { at_once }, at_once <= 1));
        }
        if self.can_compute_together() {
            facts.extend(faster(ran, Way::ComputeProcesses, Way::ComputeGil, Why::OneUsed));
            facts.extend(faster(ran, Way::ComputeThreads, Way::ComputeGil, Why::AllUsed));
            let threads = Way::ComputePythonThreads;
            if find(ran, threads).is_some_and(|one| one.has_lock) {
                facts.extend(faster(ran, Way::ComputePythonProcesses, threads, Why::OneLockEach));
                facts.extend(faster(ran, Way::ComputeFreePython, threads, Why::NoLock));
            }
        }
        facts
    }
}

fn cpus() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn threads(count: usize, work: impl Fn(&mut Recorder) -> Result<()> + Sync) -> Result<Trace> {
    let failed = Mutex::new(None);
    let lanes = on_threads(count, "thread", |_, me| {
        if let Err(error) = work(me) {
            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    })?;
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        None => Ok(Trace::new(lanes)),
        Some(error) => Err(error),
    }
}

fn processes(count: usize, share: Work) -> Result<Trace> {
    let mut cast = Cast::new(Gil::NAME);
    for number in 1..=count {
        cast.start(format!("process {number}"), &share)?;
    }
    let mut living = count;
    while living > 0 {
        if let Heard::End(_) = cast.listen::<()>()? {
            living -= 1;
        }
    }
    let (lanes, statuses) = cast.join()?;
    ensure!(statuses.iter().all(|status| status.success()), "a process failed");
    Ok(Trace::new(lanes))
}
