//! Synchronous or asynchronous, blocking or non-blocking: four ways to get the results of tasks
//! that a pool of threads does.
//!
//! The course: `pool.submit(task, i).result()` in a loop is synchronous, although there is a pool:
//! each task waits for the one before. `submit(...).add_done_callback(func)` is asynchronous: the
//! result comes to who wants it. Two questions are in this. *Synchronous or asynchronous*: does the
//! caller get the result itself, or is it brought? *Blocking or non-blocking*: can the caller do
//! anything meanwhile?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serving::options::{parse_count, parse_duration};

use super::pool::threads::ThreadPool;
use super::{compute, name, ways};
use crate::Experiment;
use crate::stage::Stage;
use crate::trace::{Recorder, State, Trace};
use crate::verdict::{Claim, Figure, Observation, Variant};

/// The most workers, and the most tasks.
const MOST: usize = 100;

/// How long the caller computes between two questions whether a result is there.
const MEANWHILE: Duration = Duration::from_millis(2);

/// The shortest task.
const SHORTEST: Duration = Duration::from_millis(5);

/// `lab run submit`
#[derive(Debug, Args)]
pub struct Submit {
    /// Threads of the pool
    #[arg(long, value_name = "N", default_value = "3", value_parser = parse_count::<MOST>)]
    workers: usize,

    /// Tasks
    #[arg(long, value_name = "N", default_value = "6", value_parser = parse_count::<MOST>)]
    tasks: usize,

    /// A task takes this long
    #[arg(long, value_name = "TIME", default_value = "30ms", value_parser = parse_delay)]
    delay: Duration,

    /// Only one way
    #[arg(long, value_enum, value_name = "VARIANT")]
    only: Option<Way>,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Way {
    /// Submit one, wait for its result, submit the next: synchronous, blocking
    EachResult,
    /// Submit all, then wait for the results: synchronous, blocking
    AllResults,
    /// Submit all, compute, and ask now and then: synchronous, non-blocking
    Ask,
    /// Submit all, with a callback for each result, and compute: asynchronous
    Callback,
}

/// What came of one way.
struct Done {
    way: Way,
    trace: Trace,
    results: usize,
    /// How often it was asked in vain.
    asked: usize,
    /// How long the caller could do something else, in nanoseconds.
    free_ns: u64,
}

impl Experiment for Submit {
    const NAME: &'static str = "submit";
    const QUESTION: &'static str = "A pool does the tasks: does the caller wait, ask, or is it called back?";

    fn run(&self, _stage: &Stage) -> Result<Observation> {
        let (mut variants, mut claims) = (Vec::new(), Vec::new());
        for way in ways(self.only, Way::value_variants()) {
            let done = self.observe(way)?;
            claims.push(self.claim(&done));
            variants.push(self.variant(done));
        }
        Ok(Observation { variants, drawings: Vec::new(), claims })
    }
}

impl Submit {
    fn observe(&self, way: Way) -> Result<Done> {
        let mut me = Recorder::thread("caller");
        let pool = ThreadPool::start(self.workers, true).context("cannot start the workers")?;
        let (mut results, mut asked) = (0, 0);
        match way {
            Way::EachResult => {
                for number in 1..=self.tasks {
                    self.submit(&pool, number, &mut me, |_| ());
                    me.enter_with(State::Blocked, format!("result {number}"));
                    results += usize::from(pool.result().is_some());
                }
            }
            Way::AllResults => {
                (1..=self.tasks).for_each(|number| self.submit(&pool, number, &mut me, |_| ()));
                me.enter_with(State::Blocked, "the results");
                results = (0..self.tasks).filter_map(|_| pool.result()).count();
            }
            Way::Ask => {
                (1..=self.tasks).for_each(|number| self.submit(&pool, number, &mut me, |_| ()));
                me.enter_with(State::Running, "something else");
                while results < self.tasks {
                    compute(MEANWHILE);
                    match pool.try_result() {
                        Some(_) => results += 1,
                        None => asked += 1,
                    }
                    me.mark("asks");
                }
            }
            Way::Callback => {
                let called = Arc::new(AtomicUsize::new(0));
                for number in 1..=self.tasks {
                    let called = Arc::clone(&called);
                    self.submit(&pool, number, &mut me, move |worker| {
                        worker.mark_with("callback", number.to_string());
                        called.fetch_add(1, Ordering::SeqCst);
                    });
                }
                me.enter_with(State::Running, "something else");
                while called.load(Ordering::SeqCst) < self.tasks {
                    compute(MEANWHILE);
                }
                results = self.tasks;
            }
        }
        let me = me.end();
        let free = me.spans.iter().filter(|span| span.what == "something else");
        let free_ns = free.map(|span| span.end_ns - span.begin_ns).sum();
        let trace = Trace::new([vec![me], pool.join()].concat());
        Ok(Done { way, trace, results, asked, free_ns })
    }

    /// Submits a task whose worker calls `back` when it is done.
    fn submit(
        &self,
        pool: &ThreadPool<()>,
        number: usize,
        me: &mut Recorder,
        back: impl FnOnce(&mut Recorder) + Send + 'static,
    ) {
        let delay = self.delay;
        pool.submit(number, move |worker| {
            worker.enter_with(State::Sleeping, format!("task {number}"));
            thread::sleep(delay);
            worker.enter(State::Running);
            back(worker);
        });
        me.mark_with("submit", number.to_string());
    }

    fn claim(&self, done: &Done) -> Claim {
        let most = done.trace.most_at_once(State::Sleeping);
        let together = self.workers.min(self.tasks);
        let is_complete = done.results == self.tasks;
        let observed =
            format!("{} in {}, at most {most} at once", name(done.way), Figure::Time(done.trace.length_ns()));
        match done.way {
            Way::EachResult => Claim::new(
                is_complete && most == 1,
                "waiting for each result before the next is submitted, the pool does one task at a time",
                observed,
                "`submit(...).result()` in a loop is synchronous and blocks: the other workers have nothing to do.",
            ),
            Way::AllResults => Claim::new(
                is_complete && most == together && done.free_ns == 0,
                format!(
                    "submitting all and then waiting, {together} tasks run at once, and the caller does nothing else"
                ),
                observed,
                "It still fetches the results itself, and sleeps until they are there.",
            ),
            Way::Ask => Claim::new(
                is_complete && done.free_ns > 0 && done.asked > 0,
                "a caller that only asks is not blocked, but asks in vain again and again",
                format!("{observed}, {} questions in vain", done.asked),
                "A question that does not wait returns at once, with a result or without: non-blocking, and still synchronous.",
            ),
            Way::Callback => Claim::new(
                is_complete && most == together && done.free_ns > 0 && done.asked == 0,
                "a caller that is called back asks nobody and can do something else all the time",
                observed,
                "The result is brought to a function that was named before: asynchronous.",
            ),
        }
    }

    fn variant(&self, done: Done) -> Variant {
        let about = match done.way {
            Way::EachResult => "submit one, wait for its result, submit the next",
            Way::AllResults => "submit all, then wait for the results",
            Way::Ask => "submit all, do something else, and ask now and then",
            Way::Callback => "submit all, do something else, and be called back",
        };
        let figures = vec![
            ("results", Figure::count(done.results)),
            ("most at once", Figure::count(done.trace.most_at_once(State::Sleeping))),
            ("asked in vain", Figure::count(done.asked)),
            ("did something else", Figure::Time(done.free_ns)),
            ("time", Figure::Time(done.trace.length_ns())),
        ];
        Variant { name: name(done.way), about: about.to_owned(), trace: done.trace, figures }
    }
}

/// Long enough that several tasks overlap.
fn parse_delay(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(delay) if delay >= SHORTEST => Ok(delay),
        _ => Err("takes a time from 5ms".to_owned()),
    }
}
