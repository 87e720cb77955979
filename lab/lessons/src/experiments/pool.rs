//! Pools: a fixed number of threads or processes, tasks that queue up, results that come back by
//! callback, and what a failure does.
//!
//! The course: `ProcessPoolExecutor(5)`, twenty times `pool.submit(task,
//! n).add_done_callback(func)`. Callbacks are called here by the thread that owns the pool, one at
//! a time and in the order in which the results come, so they need no lock. A task that panics or a
//! worker that is killed fails its task only. (Python's own process pool gives up altogether when a
//! worker is killed: `BrokenProcessPool`.) The wrong way lets the panic end the thread: its
//! callback never comes, and the pool has a worker less.

mod processes;
pub(super) mod threads;

use std::panic;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use harness::lang::Both;
use serving::UsageError;
use serving::options::{parse_count, parse_duration};

use super::{name, ways};
use crate::Experiment;
use crate::part::Part;
use crate::stage::Stage;
use crate::texts::{Texts, say};
use crate::trace::{Lane, Recorder, State, Trace};
use crate::verdict::{Claim, Figure, Observation, Variant};

use self::processes::{Job, ProcessPool, Word};
use self::threads::ThreadPool;

/// The most workers.
const MOST: usize = 100;

/// The most tasks.
const MOST_TASKS: usize = 10_000;

/// Tasks are of so many lengths: the first takes three times the delay, the second twice, the third
/// once, and again.
const LENGTHS: usize = 3;

/// A task's number, and what it returned, or nothing if it failed.
type Called = (usize, Option<usize>);

/// `lab run pool`
#[derive(Debug, Args)]
pub struct Pool {
    /// Workers of the pool
    #[arg(long, value_name = "N", default_value = "5", value_parser = parse_count::<MOST>)]
    workers: usize,

    /// Tasks that are submitted, all at once
    #[arg(long, value_name = "N", default_value = "20", value_parser = parse_count::<MOST_TASKS>)]
    tasks: usize,

    /// Tasks take three times, twice and once this long in turn
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = parse_duration)]
    delay: Duration,

    /// The task, counted from 1, that panics or whose worker is killed, where one does
    #[arg(long, value_name = "N", default_value = "7", value_parser = parse_count::<MOST_TASKS>)]
    fails: usize,

    /// Run only this variant
    #[arg(long, value_enum, value_name = "VARIANT")]
    only: Option<Way>,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Way {
    /// Threads
    Threads,
    /// Threads; a task panics, and nobody catches it
    Uncaught,
    /// Threads; a task panics, and its worker catches it
    Panic,
    /// Processes
    Processes,
    /// Processes; a worker is killed in the middle of a task
    Kill,
}

impl Way {
    fn fails(self) -> bool {
        matches!(self, Self::Uncaught | Self::Panic | Self::Kill)
    }
}

/// What there is to say.
#[derive(Debug)]
pub(crate) enum Fact {
    /// All tasks were done, and this was called back.
    All { way: Way, tasks: usize, called: usize, overtaken: usize },
    /// One panicked, and nobody caught it.
    Uncaught { tasks: usize, called: usize, failed: usize },
    /// One failed, and its caller was told.
    Failed { way: Way, task: usize, called: usize, failed: usize },
    /// The most tasks that ran at one time.
    AtOnce { workers: usize, most: usize },
}

/// What came of one way.
struct Done {
    way: Way,
    trace: Trace,
    /// In the order of the callbacks.
    called: Vec<Called>,
}

impl Experiment for Pool {
    const NAME: &'static str = "pool";
    const QUESTION: fn(&Texts) -> &'static str = |texts| texts.pool.question;

    fn run(&self, _stage: &Stage) -> Result<Observation> {
        self.check()?;
        let (mut variants, mut claims, mut most) = (Vec::new(), Vec::new(), 0);
        for way in ways(self.only, Way::value_variants()) {
            let (lanes, called) = match way {
                Way::Threads | Way::Uncaught | Way::Panic => self.in_threads(way)?,
                Way::Processes | Way::Kill => self.in_processes(way)?,
            };
            let done = Done { way, trace: Trace::new(lanes), called };
            claims.push(self.claim(&done));
            most = most.max(done.trace.most_at_once(State::Sleeping));
            variants.push(self.variant(done));
        }
        let fact = Fact::AtOnce { workers: self.workers, most };
        claims.push(Claim::new(most <= self.workers, |texts| (texts.pool.claim)(&fact)));
        Ok(Observation { variants, drawings: Both::default(), claims })
    }

    fn act(_part: &str, me: &mut Part) -> Result<()> {
        me.enter_with(State::Blocked, "for a task");
        me.tell(&Word::Ready)?;
        while let Some(task) = me.hear::<Job>()? {
            me.enter_with(State::Sleeping, task_name(task.number));
            me.tell(&Word::Begun)?;
            if task.kills {
                // Nothing comes but the kill.
                me.hear::<Job>()?;
            }
            let result = work(task);
            me.enter_with(State::Blocked, "for a task");
            me.tell(&Word::Done(result))?;
        }
        Ok(())
    }
}

impl Pool {
    fn check(&self) -> Result<(), UsageError> {
        if self.fails > self.tasks {
            return Err(UsageError("--fails takes one of the --tasks".to_owned()));
        }
        if self.workers < 2 {
            return Err(UsageError(
                "--workers takes at least 2: one does everything in its order".to_owned(),
            ));
        }
        Ok(())
    }

    fn all(&self, way: Way) -> impl Iterator<Item = Job> {
        (0..self.tasks).map(move |number| {
            let times = u32::try_from(LENGTHS - number % LENGTHS).unwrap_or(1);
            let kills = way == Way::Kill && number == self.fails - 1;
            Job { number, delay: self.delay.saturating_mul(times), kills }
        })
    }

    /// The lanes, the owner's first, and what was called back.
    fn in_threads(&self, way: Way) -> Result<(Vec<Lane>, Vec<Called>)> {
        let mut me = Recorder::thread("owner");
        let pool =
            ThreadPool::start(self.workers, way != Way::Uncaught).context("cannot start the workers")?;
        let fails = way.fails().then_some(self.fails - 1);
        for task in self.all(way) {
            pool.submit(task.number, move |worker| {
                worker.enter_with(State::Sleeping, task_name(task.number));
                if Some(task.number) == fails {
                    thread::sleep(task.delay);
                    // As `panic!`, without its words on stderr.
                    panic::resume_unwind(Box::new("on purpose"));
                }
                work(task)
            });
        }
        pool.close();
        let mut called = Vec::new();
        me.enter_with(State::Blocked, "for a result");
        while let Some(result) = pool.result() {
            me.mark_with("callback", (result.0 + 1).to_string());
            called.push(result);
        }
        me.enter(State::Running);
        let lanes = pool.join();
        Ok(([vec![me.end()], lanes].concat(), called))
    }

    fn in_processes(&self, way: Way) -> Result<(Vec<Lane>, Vec<Called>)> {
        let mut me = Recorder::thread("owner");
        let mut pool = ProcessPool::start(self.workers)?;
        self.all(way).for_each(|task| pool.submit(task));
        let mut called = Vec::new();
        let lanes = pool.run(&mut me, |result| called.push(result))?;
        Ok(([vec![me.end()], lanes].concat(), called))
    }

    fn claim(&self, done: &Done) -> Claim {
        let (way, tasks) = (done.way, self.tasks);
        let (called, failed, overtaken) = (done.called.len(), done.failed(), done.overtaken());
        // Where all take no time, nobody can say who is first.
        let is_due = tasks > 1 && !self.delay.is_zero();
        let (holds, fact) = match way {
            Way::Threads | Way::Processes => {
                (called == tasks && (overtaken > 0 || !is_due), Fact::All { way, tasks, called, overtaken })
            }
            Way::Uncaught => (
                called == tasks - 1 && done.trace.count("panicked") == 1,
                Fact::Uncaught { tasks, called, failed },
            ),
            Way::Panic | Way::Kill => {
                (called == tasks && failed == 1, Fact::Failed { way, task: self.fails, called, failed })
            }
        };
        Claim::new(self.is_right(done) && holds, |texts| (texts.pool.claim)(&fact))
    }

    /// Whether nothing was called back twice, and every result is the right one.
    fn is_right(&self, done: &Done) -> bool {
        let mut numbers: Vec<_> = done.called.iter().map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let is_right = |(number, result): &Called| match result {
            Some(result) => *result == square(*number),
            None => done.way.fails() && *number == self.fails - 1,
        };
        numbers.len() == done.called.len() && done.called.iter().all(is_right)
    }

    fn variant(&self, done: Done) -> Variant {
        let figures = vec![
            ("tasks", Figure::count(self.tasks)),
            ("callbacks", Figure::count(done.called.len())),
            ("failed", Figure::count(done.failed())),
            ("overtaken", Figure::count(done.overtaken())),
            ("most at once", Figure::count(done.trace.most_at_once(State::Sleeping))),
            ("workers", Figure::count(done.trace.lanes.len() - 1)),
            ("time", Figure::Time(done.trace.length_ns())),
        ];
        let about = say(|texts| (texts.pool.about)(done.way));
        Variant { name: name(done.way), about, trace: done.trace, figures }
    }
}

impl Done {
    /// Callbacks that said that a task has failed.
    fn failed(&self) -> usize {
        self.called.iter().filter(|(_, result)| result.is_none()).count()
    }

    /// Callbacks that came before that of a task that was submitted earlier.
    fn overtaken(&self) -> usize {
        let numbers: Vec<_> = self.called.iter().map(|(number, _)| *number).collect();
        (0..numbers.len()).filter(|at| numbers[at + 1..].iter().any(|later| *later < numbers[*at])).count()
    }
}

/// What a task is called where it is done.
fn task_name(number: usize) -> String {
    format!("task {}", number + 1)
}

/// What a task does.
fn work(task: Job) -> usize {
    thread::sleep(task.delay);
    square(task.number)
}

fn square(number: usize) -> usize {
    number * number
}
