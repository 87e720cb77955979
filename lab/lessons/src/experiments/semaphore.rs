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
use serving::options::{parse_count, parse_duration};

use super::{name, on_threads, ways};
use crate::Experiment;
use crate::semaphore::Semaphore;
use crate::stage::Stage;
use crate::trace::{Recorder, State, Trace};
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

    /// Only one way
    #[arg(long, value_enum, value_name = "VARIANT")]
    only: Option<Way>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Way {
    /// Everybody walks in
    Open,
    /// Who finds no place waits for one
    Semaphore,
}

impl Experiment for Semaphores {
    const NAME: &'static str = "semaphore";
    const QUESTION: &'static str = "Five places, twenty threads: how many are in at once?";

    fn run(&self, _stage: &Stage) -> Result<Observation> {
        let (mut variants, mut claims) = (Vec::new(), Vec::new());
        for way in ways(self.only, Way::value_variants()) {
            let (variant, claim) = match way {
                Way::Open => self.open()?,
                Way::Semaphore => self.with_semaphore()?,
            };
            variants.push(variant);
            claims.push(claim);
        }
        Ok(Observation { variants, drawings: Vec::new(), claims })
    }
}

impl Semaphores {
    fn open(&self) -> Result<(Variant, Claim)> {
        let all_in = Barrier::new(self.threads);
        let lanes = on_threads(self.threads, "thread", |number, me| {
            me.enter(State::Holding);
            all_in.wait();
            self.stay(number, me);
        })?;
        let variant = variant(Way::Open, "everybody walks in".to_owned(), Trace::new(lanes));
        let most = variant.trace.most_at_once(State::Holding);
        let claim = Claim::new(
            most == self.threads,
            format!("without a semaphore all {} are in at once", self.threads),
            format!("{most} were in at once"),
            "Nothing keeps anybody out.",
        );
        Ok((variant, claim))
    }

    fn with_semaphore(&self) -> Result<(Variant, Claim)> {
        let semaphore = Semaphore::new(self.places);
        let lanes = on_threads(self.threads, "thread", |number, me| {
            me.enter(State::Waiting);
            let permit = semaphore.acquire();
            me.enter(State::Holding);
            self.stay(number, me);
            // Recorded as left before it is left: what overlaps in the recording has overlapped.
            drop(permit);
        })?;
        let about = format!("a semaphore with {} places", self.places);
        let variant = variant(Way::Semaphore, about, Trace::new(lanes));
        let (most, expected) = (variant.trace.most_at_once(State::Holding), self.places.min(self.threads));
        let longest = variant.trace.lanes.iter().map(|lane| lane.total_ns(State::Waiting)).max().unwrap_or(0);
        let claim = Claim::new(
            most == expected,
            format!("with {} places never more than {expected}, but as many", self.places),
            format!("at most {most} of {} with the semaphore", self.threads),
            format!(
                "Each takes a place before it goes in, and while there is none it sleeps, here for up to {}.",
                Figure::Time(longest)
            ),
        );
        Ok((variant, claim))
    }

    /// Is in, then leaves.
    fn stay(&self, number: usize, me: &mut Recorder) {
        thread::sleep(self.stay.saturating_mul(1 + u32::try_from(number % 3).unwrap_or(0)));
        me.enter(State::Running);
    }
}

fn variant(way: Way, about: String, trace: Trace) -> Variant {
    let waited = trace.lanes.iter().map(|lane| lane.total_ns(State::Waiting));
    let figures = vec![
        ("most at once", Figure::count(trace.most_at_once(State::Holding))),
        ("longest wait", Figure::Time(waited.max().unwrap_or(0))),
        ("time", Figure::Time(trace.length_ns())),
    ];
    Variant { name: name(way), about, trace, figures }
}
