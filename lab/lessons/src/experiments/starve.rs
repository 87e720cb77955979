//! Eight threads want one lock all the time: who gets it, and how long do the others wait? By the
//! lock, and by how long it is held.
//!
//! The standard library's mutex is fast because it is not fair: it is free as soon as it is given
//! back, and who still runs takes it again before the sleeper that was called has got up. A [ticket
//! lock](crate::ticket_lock) serves everybody in the order of their coming. Fairness decides *who*
//! waits; how long there is to wait is decided by how much of the work is done with the lock in
//! hand, and so nothing helps as much as holding it for less.
//!
//! A thread that has waited until the end without a turn counts too: without it the longest waits
//! would be missing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serving::options::parse_duration;

use super::{name, on_threads, ways};
use crate::Experiment;
use crate::stage::Stage;
use crate::texts::{Texts, say};
use crate::ticket_lock::{Served, TicketLock};
use crate::trace::{Recorder, State, Trace};
use crate::verdict::{Claim, Figure, Observation, Variant};

mod distribution;

/// The least work: a thread cannot sleep for much less than a twentieth of it.
const LEAST_WORK: Duration = Duration::from_millis(1);

/// Which part of the work is done with the lock in hand, where it is held for short.
const SHORT: u32 = 20;

/// `lab run starve`
#[derive(Debug, Args)]
pub struct Starve {
    /// Threads that want the lock, from 3 to 10: of more, a twentieth of the work of each would be
    /// all that the lock can give
    #[arg(long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u16).range(3..=10))]
    threads: u16,

    /// Turns, of all threads together, from 50 to 2000: about a third of the spans that are drawn
    #[arg(long, value_name = "N", default_value = "80", value_parser = clap::value_parser!(u16).range(50..=2000))]
    turns: u16,

    /// The work of one turn: with the lock in hand, or a twentieth of it with the lock and the rest
    /// without; at least 1ms
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = parse_work)]
    work: Duration,

    /// Run only this variant
    #[arg(long, value_enum, value_name = "VARIANT")]
    only: Option<Way>,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Way {
    /// std's mutex, held for all of the work
    MutexLong,
    /// A ticket lock, held for all of the work
    TicketLong,
    /// std's mutex, held for a twentieth of the work
    MutexShort,
    /// A ticket lock, held for a twentieth of the work
    TicketShort,
}

/// What came of one way.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) way: Way,
    /// The most that went before one who had come earlier.
    pub(crate) overtaken: usize,
    /// All threads together.
    pub(crate) waited_ns: u64,
    pub(crate) worked_ns: u64,
    /// Turns that went to the thread that had had the turn before, and all.
    pub(crate) in_a_row: usize,
    pub(crate) turns: u16,
    /// Of one thread.
    pub(crate) fewest: usize,
    pub(crate) most: usize,
}

/// The lock that is tried.
enum Lock {
    Mutex {
        lock: Mutex<()>,
        /// Drawn before the lock is asked for, since the mutex draws none: who is interrupted in
        /// between counts as waiting.
        next: AtomicU64,
    },
    Ticket(TicketLock),
}

/// The lock in somebody's hand.
#[expect(dead_code, reason = "it is held, and nothing else")]
enum Held<'a> {
    Mutex(MutexGuard<'a, ()>),
    Ticket(Served<'a>),
}

/// Somebody got the lock.
#[derive(Debug, Clone, Copy)]
struct Acquisition {
    /// How many had come before, of all.
    number: u64,
    thread: usize,
}

impl Experiment for Starve {
    const NAME: &'static str = "starve";
    const QUESTION: fn(&Texts) -> &'static str = |texts| texts.starve.question;

    fn run(&self, _stage: &Stage) -> Result<Observation> {
        let (mut variants, mut claims) = (Vec::new(), Vec::new());
        for way in ways(self.only, Way::value_variants()) {
            let (lock, turns) = (Lock::of(way), Mutex::new(Vec::new()));
            let lanes = on_threads(self.threads.into(), "thread", |number, me| {
                self.take_turns(way, &lock, &turns, number, me);
            })?;
            let (trace, turns) =
                (Trace::new(lanes), turns.into_inner().unwrap_or_else(PoisonError::into_inner));
            claims.push(self.claim(way, &trace, &turns));
            variants.push(self.variant(way, trace, &turns));
        }
        let drawings = say(|texts| vec![distribution::draw(&variants, texts)]);
        Ok(Observation { variants, drawings, claims })
    }
}

impl Starve {
    /// Works with and without the lock until all turns are taken.
    fn take_turns(
        &self,
        way: Way,
        lock: &Lock,
        turns: &Mutex<Vec<Acquisition>>,
        thread: usize,
        me: &mut Recorder,
    ) {
        let (inside, outside) = way.split(self.work);
        loop {
            me.enter(State::Waiting);
            let (held, number) = lock.take();
            me.enter(State::Holding);
            let taken = {
                let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
                turns.push(Acquisition { number, thread });
                turns.len()
            };
            let is_over = taken > usize::from(self.turns);
            if !is_over {
                thread::sleep(inside);
            }
            // Recorded as given back before it is: what overlaps in the recording has overlapped.
            me.enter(State::Running);
            drop(held);
            if is_over {
                return;
            }
            if !outside.is_zero() {
                me.enter_with(State::Sleeping, "works without the lock");
                thread::sleep(outside);
            }
        }
    }

    fn claim(&self, way: Way, trace: &Trace, turns: &[Acquisition]) -> Claim {
        let total = |state| trace.lanes.iter().map(|lane| lane.total_ns(state)).sum::<u64>();
        let (waited_ns, worked_ns) = (total(State::Waiting), total(State::Holding) + total(State::Sleeping));
        let overtaken = most_overtaken(turns);
        let holds = match way {
            Way::MutexLong => overtaken > 0 && waited_ns > worked_ns,
            Way::TicketLong => overtaken == 0 && waited_ns > worked_ns,
            Way::MutexShort => waited_ns < worked_ns,
            Way::TicketShort => overtaken == 0 && waited_ns < worked_ns,
        };
        let (fewest, most) = self.fewest_and_most(turns);
        let (in_a_row, turns) = (in_a_row(turns), self.turns);
        let fact = Fact { way, overtaken, waited_ns, worked_ns, in_a_row, turns, fewest, most };
        let alone = trace.most_at_once(State::Holding) <= 1;
        Claim::new(alone && holds, |texts| (texts.starve.claim)(&fact))
    }

    fn variant(&self, way: Way, trace: Trace, turns: &[Acquisition]) -> Variant {
        let mut waits = distribution::waits(&trace);
        waits.sort_unstable();
        let (fewest, most) = self.fewest_and_most(turns);
        let figures = vec![
            ("fewest turns", Figure::count(fewest)),
            ("most turns", Figure::count(most)),
            ("in a row", Figure::count(in_a_row(turns))),
            ("most overtaken", Figure::count(most_overtaken(turns))),
            ("median wait", Figure::Time(waits.get(waits.len() / 2).copied().unwrap_or(0))),
            ("longest wait", Figure::Time(waits.last().copied().unwrap_or(0))),
            ("time", Figure::Time(trace.length_ns())),
        ];
        Variant { name: name(way), about: say(|texts| (texts.starve.about)(way)), trace, figures }
    }

    /// How many turns the threads had that had the fewest and the most.
    fn fewest_and_most(&self, turns: &[Acquisition]) -> (usize, usize) {
        let mut of_each = vec![0; self.threads.into()];
        // What comes after is only to learn that it is over.
        for turn in turns.iter().take(self.turns.into()) {
            of_each[turn.thread] += 1;
        }
        (of_each.iter().copied().min().unwrap_or(0), of_each.iter().copied().max().unwrap_or(0))
    }
}

impl Way {
    /// The work with the lock in hand, and the work without.
    fn split(self, work: Duration) -> (Duration, Duration) {
        match self {
            Self::MutexLong | Self::TicketLong => (work, Duration::ZERO),
            Self::MutexShort | Self::TicketShort => (work / SHORT, work - work / SHORT),
        }
    }
}

impl Lock {
    fn of(way: Way) -> Self {
        match way {
            Way::MutexLong | Way::MutexShort => Self::Mutex { lock: Mutex::new(()), next: AtomicU64::new(0) },
            Way::TicketLong | Way::TicketShort => Self::Ticket(TicketLock::new()),
        }
    }

    /// Waits for the lock, and tells how many had come before.
    fn take(&self) -> (Held<'_>, u64) {
        match self {
            Self::Mutex { lock, next } => {
                let number = next.fetch_add(1, Ordering::SeqCst);
                (Held::Mutex(lock.lock().unwrap_or_else(PoisonError::into_inner)), number)
            }
            Self::Ticket(lock) => {
                let served = lock.lock();
                let number = served.number();
                (Held::Ticket(served), number)
            }
        }
    }
}

/// Of all that got the lock, in this order: how many who had come later got it before one that had
/// come earlier, at most.
fn most_overtaken(turns: &[Acquisition]) -> usize {
    let overtaken = turns
        .iter()
        .enumerate()
        .map(|(place, turn)| turns[..place].iter().filter(|earlier| earlier.number > turn.number).count());
    overtaken.max().unwrap_or(0)
}

/// How many turns went to the thread that had had the turn before.
fn in_a_row(turns: &[Acquisition]) -> usize {
    turns.windows(2).filter(|pair| pair[0].thread == pair[1].thread).count()
}

fn parse_work(text: &str) -> Result<Duration, String> {
    let work = parse_duration(text)?;
    if work < LEAST_WORK { Err("takes a time of at least 1ms".to_owned()) } else { Ok(work) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_later_and_is_served_earlier_overtakes() {
        let most = |numbers: &[u64]| {
            let turns: Vec<_> =
                numbers.iter().map(|number| Acquisition { number: *number, thread: 0 }).collect();
            most_overtaken(&turns)
        };
        assert_eq!(most(&[]), 0);
        assert_eq!(most(&[0, 1, 2, 3]), 0);
        assert_eq!(most(&[0, 2, 3, 5, 1, 4]), 3);
    }
}
