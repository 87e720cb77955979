//! Five places, twenty threads: how many are in at once, without and with a semaphore.
//!
//! The course: `Semaphore(5)`, twenty threads that acquire, sleep for one to three seconds, and
//! release. Without the semaphore all twenty are in at once: they wait inside for one another, so
//! that it does not take luck to see it.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use harness::lang::Both;
use serving::options::{parse_count, parse_duration};

use super::{name, on_threads, ways};
use crate::Experiment;
use crate::semaphore::Semaphore;
use crate::stage::Stage;
use crate::texts::{Texts, say};
use crate::trace::{Lane, Recorder, State, Trace};
use crate::verdict::{Claim, Figure, Observation, Variant};

/// The most threads, and so the most places.
const MOST: usize = 1000;

/// `lab run semaphore`
#[derive(Debug, Args)]
pub struct Semaphores {
    /// Threads that want in
    #[arg(long, value_name = "N", default_value = "20", value_parser = parse_count::<MOST>)]
    threads: usize,

    /// Places
    #[arg(long, value_name = "N", default_value = "5", value_parser = parse_count::<MOST>)]
    places: usize,

    /// A thread stays in for this long, the next for twice, the next for three times this long, and
    /// so on in turn
    #[arg(long, value_name = "TIME", default_value = "30ms", value_parser = parse_duration)]
    stay: Duration,

    /// Run only this variant
    #[arg(long, value_enum, value_name = "VARIANT")]
    only: Option<Way>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Way {
    /// Everybody walks in
    Open,
    /// Who finds no place waits for one
    Semaphore,
}

/// What came of one way.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) way: Way,
    pub(crate) threads: usize,
    pub(crate) places: usize,
    pub(crate) most: usize,
    pub(crate) longest_ns: u64,
}

impl Experiment for Semaphores {
    const NAME: &'static str = "semaphore";
    const QUESTION: fn(&Texts) -> &'static str = |texts| texts.semaphore.question;

    fn run(&self, _stage: &Stage) -> Result<Observation> {
        let (mut variants, mut claims) = (Vec::new(), Vec::new());
        for way in ways(self.only, Way::value_variants()) {
            let (lanes, due) = match way {
                Way::Open => (self.open()?, self.threads),
                Way::Semaphore => (self.with_semaphore()?, self.places.min(self.threads)),
            };
            let trace = Trace::new(lanes);
            let most = trace.most_at_once(State::Holding);
            let waits = trace.lanes.iter().map(|lane| lane.total_ns(State::Waiting));
            let longest_ns = waits.max().unwrap_or(0);
            let fact = Fact { way, threads: self.threads, places: self.places, most, longest_ns };
            claims.push(Claim::new(most == due, |texts| (texts.semaphore.claim)(&fact)));
            variants.push(self.variant(&fact, trace));
        }
        Ok(Observation { variants, drawings: Both::default(), claims })
    }
}

impl Semaphores {
    fn open(&self) -> Result<Vec<Lane>> {
        let all_in = Barrier::new(self.threads);
        on_threads(self.threads, "thread", |number, me| {
            me.enter(State::Holding);
            all_in.wait();
            self.stay(number, me);
        })
    }

    fn with_semaphore(&self) -> Result<Vec<Lane>> {
        let semaphore = Semaphore::new(self.places);
        on_threads(self.threads, "thread", |number, me| {
            me.enter(State::Waiting);
            let permit = semaphore.acquire();
            me.enter(State::Holding);
            self.stay(number, me);
            // Recorded as left before it is left: what overlaps in the recording has overlapped.
            drop(permit);
        })
    }

    /// Is in, then leaves.
    fn stay(&self, number: usize, me: &mut Recorder) {
        thread::sleep(self.stay.saturating_mul(1 + u32::try_from(number % 3).unwrap_or(0)));
        me.enter(State::Running);
    }

    fn variant(&self, fact: &Fact, trace: Trace) -> Variant {
        let about = say(|texts| (texts.semaphore.about)((fact.way, self.places)));
        let figures = vec![
            ("most at once", Figure::count(fact.most)),
            ("longest wait", Figure::Time(fact.longest_ns)),
            ("time", Figure::Time(trace.length_ns())),
        ];
        Variant { name: name(fact.way), about, trace, figures }
    }
}
