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
use harness::lang::Both;
use serving::options::{parse_count, parse_duration};

use super::pool::threads::ThreadPool;
use super::{compute, name, ways};
use crate::Experiment;
use crate::stage::Stage;
use crate::texts::{Texts, say};
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

    /// Run only this variant
    #[arg(long, value_enum, value_name = "VARIANT")]
    only: Option<Way>,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Way {
    /// Submit one, wait for its result, submit the next: synchronous, blocking
    EachResult,
    /// Submit all, then wait for the results: synchronous, blocking
    AllResults,
    /// Submit all, compute, and ask now and then: synchronous, non-blocking
    Ask,
    /// Submit all, with a callback for each result, and compute: asynchronous
    Callback,
}

/// What there is to say of one way.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) way: Way,
    /// Tasks that can run at one time, and the most that did.
    pub(crate) together: usize,
    pub(crate) most: usize,
    pub(crate) length_ns: u64,
    pub(crate) asked: usize,
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
    const QUESTION: fn(&Texts) -> &'static str = |texts| texts.submit.question;

    fn run(&self, _stage: &Stage) -> Result<Observation> {
        let (mut variants, mut claims) = (Vec::new(), Vec::new());
        for way in ways(self.only, Way::value_variants()) {
            let done = self.observe(way)?;
            claims.push(self.claim(&done));
            variants.push(Self::variant(done));
        }
        Ok(Observation { variants, drawings: Both::default(), claims })
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
        let (way, asked, is_free) = (done.way, done.asked, done.free_ns > 0);
        let (together, most) = (self.workers.min(self.tasks), done.trace.most_at_once(State::Sleeping));
        let holds = match way {
            Way::EachResult => most == 1,
            Way::AllResults => most == together && !is_free,
            Way::Ask => is_free && asked > 0,
            Way::Callback => most == together && is_free && asked == 0,
        };
        let fact = Fact { way, together, most, length_ns: done.trace.length_ns(), asked };
        Claim::new(done.results == self.tasks && holds, |texts| (texts.submit.claim)(&fact))
    }

    fn variant(done: Done) -> Variant {
        let about = say(|texts| (texts.submit.about)(done.way));
        let figures = vec![
            ("results", Figure::count(done.results)),
            ("most at once", Figure::count(done.trace.most_at_once(State::Sleeping))),
            ("asked in vain", Figure::count(done.asked)),
            ("did something else", Figure::Time(done.free_ns)),
            ("time", Figure::Time(done.trace.length_ns())),
        ];
        Variant { name: name(done.way), about, trace: done.trace, figures }
    }
}

/// Long enough that several tasks overlap.
fn parse_delay(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(delay) if delay >= SHORTEST => Ok(delay),
        _ => Err("takes a time from 5ms".to_owned()),
    }
}
