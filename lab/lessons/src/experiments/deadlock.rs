//! Two locks, ten threads: `func1` takes mutexA then mutexB, `func2` mutexB then mutexA. It
//! deadlocks, is found out, and is left.
//!
//! The course: the first thread through `func1` goes on to `func2`, takes mutexB and sleeps;
//! meanwhile the second has taken mutexA in `func1`. Now each wants what the other holds, and the
//! other eight wait for mutexA. It does not take luck to get there: the second waits in `func1`
//! until the first has mutexB again.
//!
//! The locks can be asked and their waits called off ([`watched`](crate::watched)): so the lab
//! finds the cycle, makes sure that nothing moves, and takes one wait out of it. The
//! thread that is taken out gives back what it holds and leaves the rest of its work undone. A
//! database treats its victim so, which repairs nothing: the others run into it again.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::{Args, ValueEnum};
use serving::options::parse_duration;

use super::{name, on_threads, ways};
use crate::Experiment;
use crate::stage::Stage;
use crate::texts::{Texts, say};
use crate::trace::{Lane, Recorder, State, Trace};
use crate::verdict::{Claim, Figure, Observation, Variant};
use crate::watched::{CalledOff, Held, Locks, WaitFor};

use self::drawing::draw;

mod drawing;

/// The two locks, and what the course calls them.
const A: usize = 0;
const B: usize = 1;
const LOCKS: [&str; 2] = ["mutexA", "mutexB"];

/// A wait for another thread to get somewhere, which only a bug could make this long; the
/// observation is then not the expected one.
const LIMIT: Duration = Duration::from_secs(10);

/// The longest back-off, in turns of `--hold`.
const MOST_BACK_OFF: u32 = 4;

/// `lab run deadlock`
#[derive(Debug, Args)]
pub struct Deadlock {
    /// Threads, 2 or more, each of which runs func1 and then func2
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u16).range(2..=1000))]
    threads: u16,

    /// A thread sleeps for this long in func2, with its first lock in hand
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = parse_duration)]
    hold: Duration,

    /// The lab looks on for this long, to be sure that nothing moves, before it breaks the first
    /// deadlock
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = parse_duration)]
    standstill: Duration,

    /// Run only this variant
    #[arg(long, value_enum, value_name = "VARIANT")]
    only: Option<Way>,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Way {
    /// func1 takes A then B, func2 takes B then A
    Crosswise,
    /// Both take A then B
    Ordered,
    /// As crosswise, but func2 only tries A, and gives B back if it does not get it
    BackOff,
}

/// What came of one way.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) way: Way,
    pub(crate) all: usize,
    pub(crate) done: usize,
    pub(crate) deadlocks: usize,
    /// When the first cycle was there: how many were in it, and how many waited.
    pub(crate) cycle: usize,
    pub(crate) stuck: usize,
    /// Locks that changed hands while the lab looked on, and for how long it did.
    pub(crate) moved: u64,
    pub(crate) standstill_ns: u64,
    pub(crate) backed_off: usize,
}

/// What the threads of one variant share.
struct Shared {
    way: Way,
    locks: Locks,
    /// Who have taken mutexA in func1.
    came: AtomicUsize,
    /// Somebody has been in func2 with mutexB.
    met: AtomicBool,
    done: AtomicUsize,
    gave_up: AtomicUsize,
    backed_off: AtomicUsize,
}

/// What the lab saw while the threads ran.
struct Watch {
    lane: Lane,
    /// When the first cycle was there and everybody had come to wait.
    first: Option<WaitFor>,
    /// Locks that were taken while it looked on.
    moved: u64,
    deadlocks: usize,
}

impl Experiment for Deadlock {
    const NAME: &'static str = "deadlock";
    const QUESTION: fn(&Texts) -> &'static str = |texts| texts.deadlock.question;

    fn run(&self, _stage: &Stage) -> Result<Observation> {
        let (mut variants, mut stuck, mut claims) = (Vec::new(), Vec::new(), Vec::new());
        for way in ways(self.only, Way::value_variants()) {
            let shared = Shared {
                way,
                locks: Locks::new(LOCKS.len()),
                came: AtomicUsize::new(0),
                met: AtomicBool::new(false),
                done: AtomicUsize::new(0),
                gave_up: AtomicUsize::new(0),
                backed_off: AtomicUsize::new(0),
            };
            let (mut lanes, watch) = self.watched(&shared)?;
            claims.push(self.claim(&shared, &watch));
            lanes.push(watch.lane);
            let cycle = watch.first.as_ref().and_then(WaitFor::cycle).unwrap_or_default();
            variants.push(variant(&shared, Trace::new(lanes), watch.deadlocks, cycle.len()));
            stuck.extend(watch.first.map(|first| (first, cycle)));
        }
        let drawings = say(|texts| {
            stuck.iter().filter_map(|(first, cycle)| draw(first, cycle, &LOCKS, texts)).collect()
        });
        Ok(Observation { variants, drawings, claims })
    }
}

impl Deadlock {
    /// Runs the threads, and the lab beside them.
    fn watched(&self, shared: &Shared) -> Result<(Vec<Lane>, Watch)> {
        thread::scope(|scope| {
            let watch =
                thread::Builder::new().name("lab".to_owned()).spawn_scoped(scope, || self.watch(shared))?;
            let lanes = on_threads(self.threads.into(), "thread", |number, me| {
                let ended = shared.func1(number, me).and_then(|()| self.func2(shared, number, me));
                let ended = match ended {
                    Ok(()) => &shared.done,
                    Err(CalledOff) => &shared.gave_up,
                };
                ended.fetch_add(1, Ordering::Relaxed);
            });
            // Also if they could not be started: the watch would wait for ever.
            shared.locks.close();
            let watch = watch.join().map_err(|_| anyhow!("the watch panicked"))?;
            Ok((lanes?, watch))
        })
    }

    /// Finds cycles, and takes one out of each. Nobody else ends the wait of those in it.
    fn watch(&self, shared: &Shared) -> Watch {
        let (mut me, locks) = (Recorder::thread("lab"), &shared.locks);
        let (mut first, mut moved, mut deadlocks) = (None, 0, 0);
        me.enter_with(State::Blocked, "until there is a cycle, or the end");
        while let Some(found) = locks.wait_until(Duration::MAX, |now| now.cycle().is_some()) {
            deadlocks += 1;
            me.mark("cycle");
            if first.is_none() {
                let all = usize::from(self.threads);
                let seen = locks.wait_until(LIMIT, |now| now.waits.len() == all).unwrap_or(found);
                me.enter_with(State::Sleeping, "looks on");
                thread::sleep(self.standstill);
                moved = locks.now().taken - seen.taken;
                first = Some(seen);
            }
            me.enter(State::Running);
            if let Some(victim) = locks.now().cycle().and_then(|cycle| cycle.into_iter().max()) {
                locks.call_off(victim);
            }
            me.enter_with(State::Blocked, "until there is a cycle, or the end");
        }
        Watch { lane: me.end(), first, moved, deadlocks }
    }

    fn func2(&self, shared: &Shared, number: usize, me: &mut Recorder) -> Result<(), CalledOff> {
        match shared.way {
            Way::Crosswise => {
                let b = shared.take(number, B, me)?;
                shared.meet(number);
                self.sleep(B, me);
                shared.take_and_release(number, A, me)?;
                shared.release(b, me);
            }
            Way::Ordered => {
                let a = shared.take(number, A, me)?;
                self.sleep(A, me);
                shared.take_and_release(number, B, me)?;
                shared.release(a, me);
            }
            Way::BackOff => {
                for attempt in 1.. {
                    let b = shared.take(number, B, me)?;
                    shared.meet(number);
                    self.sleep(B, me);
                    let a = shared.locks.try_acquire(number, A);
                    shared.release(b, me);
                    if a.is_some() {
                        break;
                    }
                    self.back_off(shared, attempt, me);
                }
            }
        }
        Ok(())
    }

    /// Longer from time to time. Nobody can come back before who waited for mutexB has it, since
    /// that is handed over, so there is no need of chance here to keep two from stepping out of
    /// each other's way for ever.
    fn back_off(&self, shared: &Shared, attempt: u32, me: &mut Recorder) {
        shared.backed_off.fetch_add(1, Ordering::Relaxed);
        me.mark("back off");
        me.enter_with(State::Sleeping, "backs off");
        thread::sleep(self.hold.saturating_mul(attempt.min(MOST_BACK_OFF)) / MOST_BACK_OFF);
        me.enter(State::Running);
    }

    fn sleep(&self, lock: usize, me: &mut Recorder) {
        me.enter_holding(State::Holding, "asleep", [LOCKS[lock]]);
        thread::sleep(self.hold);
    }

    fn claim(&self, shared: &Shared, watch: &Watch) -> Claim {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        let (all, done, gave_up) = (usize::from(self.threads), count(&shared.done), count(&shared.gave_up));
        let (deadlocks, moved) = (watch.deadlocks, watch.moved);
        let (way, backed_off) = (shared.way, count(&shared.backed_off));
        let cycle = watch.first.as_ref().and_then(WaitFor::cycle).map_or(0, |cycle| cycle.len());
        let stuck = watch.first.as_ref().map_or(0, |first| first.waits.len());
        let holds = match way {
            Way::Crosswise => {
                cycle == 2 && stuck == all && moved == 0 && done + gave_up == all && gave_up > 0
            }
            Way::Ordered => deadlocks == 0 && done == all,
            Way::BackOff => deadlocks == 0 && done == all && backed_off > 0,
        };
        let standstill_ns = u64::try_from(self.standstill.as_nanos()).unwrap_or(u64::MAX);
        let fact = Fact { way, all, done, deadlocks, cycle, stuck, moved, standstill_ns, backed_off };
        Claim::new(holds, |texts| (texts.deadlock.claim)(&fact))
    }
}

impl Shared {
    fn func1(&self, number: usize, me: &mut Recorder) -> Result<(), CalledOff> {
        let a = self.take(number, A, me)?;
        if self.came.fetch_add(1, Ordering::Relaxed) == 1 && self.way != Way::Ordered {
            // The second: nobody but the first, in func2, can have mutexB while it holds mutexA.
            self.locks.wait_until(LIMIT, |now| now.owners[B].is_some());
        }
        self.take_and_release(number, B, me)?;
        self.release(a, me);
        Ok(())
    }

    /// In func2, with mutexB in hand: the first to get there waits until somebody is in func1.
    fn meet(&self, number: usize) {
        if !self.met.swap(true, Ordering::Relaxed) {
            self.locks.wait_until(LIMIT, |now| now.owners[A].is_some_and(|who| who != number));
        }
    }

    fn take(&self, number: usize, lock: usize, me: &mut Recorder) -> Result<Held<'_>, CalledOff> {
        let held: Vec<_> = self.locks.now().held_by(number).map(|lock| LOCKS[lock]).collect();
        me.enter_holding(State::Waiting, LOCKS[lock], held.iter().copied());
        match self.locks.acquire(number, lock) {
            Ok(taken) => {
                me.enter_holding(State::Holding, "", held.into_iter().chain([LOCKS[lock]]));
                Ok(taken)
            }
            Err(CalledOff) => {
                me.enter(State::Running);
                me.mark("called off");
                Err(CalledOff)
            }
        }
    }

    fn take_and_release(&self, number: usize, lock: usize, me: &mut Recorder) -> Result<(), CalledOff> {
        // The other lock is still held: the lane says so until that is given back.
        self.take(number, lock, me).map(drop)
    }

    fn release(&self, held: Held<'_>, me: &mut Recorder) {
        // Recorded as given back before it is: what overlaps in the recording has overlapped.
        me.enter(State::Running);
        drop(held);
    }
}

fn variant(shared: &Shared, trace: Trace, deadlocks: usize, cycle: usize) -> Variant {
    let count = |counter: &AtomicUsize| Figure::count(counter.load(Ordering::Relaxed));
    let figures = vec![
        ("deadlocks", Figure::count(deadlocks)),
        ("in the cycle", Figure::count(cycle)),
        ("done", count(&shared.done)),
        ("gave up", count(&shared.gave_up)),
        ("times backed off", count(&shared.backed_off)),
        ("time", Figure::Time(trace.length_ns())),
    ];
    Variant { name: name(shared.way), about: say(|texts| (texts.deadlock.about)(shared.way)), trace, figures }
}
