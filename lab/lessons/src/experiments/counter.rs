//! A hundred workers decrement 100: what is left without a pause, by read-sleep-write, under an
//! interpreter's lock, under a mutex, and by an atomic.
//!
//! The course: `num -= 1` in a hundred threads leaves 0, and `count = num; time.sleep(0.1); num =
//! count - 1` leaves 99, with a lock around it 0. The first is right by luck only: between its
//! reading and its writing there is little time, but there is some. The counter is an atomic in
//! every variant, so this is no data race; the lost updates are a race *condition*, which no type
//! forbids. A plain number cannot even be shared so: what follows does not compile, since only one
//! closure may change `num`, and none that outlives it.
//!
//! ```compile_fail
//! let mut num = 100;
//! std::thread::scope(|scope| {
//!     for _ in 0..100 {
//!         scope.spawn(|| num -= 1);
//!     }
//! });
//! ```
//!
//! Where a variant must not depend on luck, nobody writes before all have read (`barrier`, `gil`).
//!
//! What an interpreter's lock (CPython's GIL) protects is each step: no number is torn. It is given
//! away while its owner sleeps, so it does not protect what two steps mean together.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serving::options::{parse_count, parse_duration};

use super::{name, on_threads, ways};
use crate::Experiment;
use crate::stage::Stage;
use crate::trace::{Recorder, State, Trace};
use crate::verdict::{Claim, Figure, Observation, Variant};

/// The most workers.
const MOST: usize = 1000;

/// `lab run counter`
#[derive(Debug, Args)]
pub struct Counter {
    /// Workers, each of which decrements once a counter that begins with this number
    #[arg(long, value_name = "N", default_value = "100", value_parser = parse_count::<MOST>)]
    workers: usize,

    /// A worker sleeps for this long between reading and writing
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = parse_duration)]
    delay: Duration,

    /// Only one way
    #[arg(long, value_enum, value_name = "VARIANT")]
    only: Option<Way>,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Way {
    /// Read and write, with nothing in between
    NoPause,
    /// Read, sleep, write
    Race,
    /// Read, wait until all have read, sleep, write
    Barrier,
    /// The same, each step under a lock that is given away for the sleep
    Gil,
    /// Read, sleep and write under one lock
    Mutex,
    /// Sleep, then decrement in one step
    Atomic,
}

/// What the workers share.
struct Shared {
    number: AtomicUsize,
    lock: Mutex<()>,
    all_have_read: Barrier,
}

impl Experiment for Counter {
    const NAME: &'static str = "counter";
    const QUESTION: &'static str = "A hundred workers decrement 100: is 0 left?";

    fn run(&self, _stage: &Stage) -> Result<Observation> {
        let (mut variants, mut claims) = (Vec::new(), Vec::new());
        for way in ways(self.only, Way::value_variants()) {
            let shared = Shared {
                number: AtomicUsize::new(self.workers),
                lock: Mutex::new(()),
                all_have_read: Barrier::new(self.workers),
            };
            let lanes = on_threads(self.workers, "worker", |_, me| match way {
                Way::NoPause => decrement(&shared, me, |_| ()),
                Way::Race => self.race(&shared, me),
                Way::Barrier => self.after_all_have_read(&shared, me),
                Way::Gil => self.under_gil(&shared, me),
                Way::Mutex => self.under_mutex(&shared, me),
                Way::Atomic => self.atomically(&shared, me),
            })?;
            let (trace, left) = (Trace::new(lanes), shared.number.into_inner());
            claims.push(self.claim(way, &trace, left));
            variants.push(self.variant(way, trace, left));
        }
        Ok(Observation { variants, drawings: Vec::new(), claims })
    }
}

impl Counter {
    fn race(&self, shared: &Shared, me: &mut Recorder) {
        decrement(shared, me, |me| {
            me.enter(State::Sleeping);
            thread::sleep(self.delay);
            me.enter(State::Running);
        });
    }

    fn after_all_have_read(&self, shared: &Shared, me: &mut Recorder) {
        let read = shared.number.load(Ordering::SeqCst);
        me.mark_with("read", read.to_string());
        me.enter_with(State::Blocked, "until all have read");
        shared.all_have_read.wait();
        me.enter(State::Sleeping);
        thread::sleep(self.delay);
        me.enter(State::Running);
        me.mark_with("write", (read - 1).to_string());
        shared.number.store(read - 1, Ordering::SeqCst);
    }

    fn under_gil(&self, shared: &Shared, me: &mut Recorder) {
        let read = step(&shared.lock, me, |me| {
            let read = shared.number.load(Ordering::SeqCst);
            me.mark_with("read", read.to_string());
            read
        });
        me.enter_with(State::Blocked, "until all have read");
        shared.all_have_read.wait();
        me.enter(State::Sleeping);
        thread::sleep(self.delay);
        step(&shared.lock, me, |me| {
            me.mark_with("write", (read - 1).to_string());
            shared.number.store(read - 1, Ordering::SeqCst);
        });
    }

    fn under_mutex(&self, shared: &Shared, me: &mut Recorder) {
        step(&shared.lock, me, |me| {
            let read = shared.number.load(Ordering::SeqCst);
            me.mark_with("read", read.to_string());
            thread::sleep(self.delay);
            me.mark_with("write", (read - 1).to_string());
            shared.number.store(read - 1, Ordering::SeqCst);
        });
    }

    fn atomically(&self, shared: &Shared, me: &mut Recorder) {
        me.enter(State::Sleeping);
        thread::sleep(self.delay);
        me.enter(State::Running);
        let read = shared.number.fetch_sub(1, Ordering::SeqCst);
        me.mark_with("decrement", (read - 1).to_string());
    }

    fn claim(&self, way: Way, trace: &Trace, left: usize) -> Claim {
        let (all, lost) = (self.workers, self.workers - 1);
        let observed = format!("{left} left after {all} decrements ({})", name(way));
        let length = Figure::Time(trace.length_ns());
        match way {
            Way::NoPause => Claim::new(
                left < all,
                "without a pause the race is hard to see: anything is possible, and often few or none are lost",
                observed,
                "Between reading and writing there is little time for another to come, but there is some, and a worker that is interrupted \
                 there writes an old number over all that the others have done: right by luck is wrong.",
            ),
            Way::Race => Claim::new(
                left > all / 2 || self.delay.is_zero() || all == 1,
                format!(
                    "with a sleep between reading and writing nearly all are lost: about {lost} are left"
                ),
                observed,
                "While one slept, the others read the same number, and each wrote one less than that.",
            ),
            Way::Barrier => Claim::new(
                left == lost && all_read_before_any_wrote(trace),
                format!("where all read before any writes, {lost} are left, and never less"),
                observed,
                format!("All {all} had read {all} before the first wrote, so each wrote {lost}."),
            ),
            Way::Gil => Claim::new(
                left == lost && all_read_before_any_wrote(trace) && trace.most_at_once(State::Holding) == 1,
                format!("so it does under a lock that is held for each step only, {lost}"),
                observed,
                "The lock was never held by two, but between reading and writing it was given away.",
            ),
            Way::Mutex => Claim::new(
                left == 0 && trace.most_at_once(State::Holding) == 1,
                "a mutex around all of it leaves 0",
                observed,
                format!("Under the mutex one waited for the other, which took {length}."),
            ),
            Way::Atomic => Claim::new(
                left == 0,
                "an atomic decrement leaves 0",
                observed,
                format!(
                    "The atomic reads and writes in one step that nothing comes between, so all could sleep at once: {length}."
                ),
            ),
        }
    }

    fn variant(&self, way: Way, trace: Trace, left: usize) -> Variant {
        let about = match way {
            Way::NoPause => "read and write, with nothing in between",
            Way::Race => "read, sleep, write",
            Way::Barrier => "read, wait until all have read, sleep, write",
            Way::Gil => "the same, each step under an interpreter's lock, which sleepers give away",
            Way::Mutex => "read, sleep and write under one mutex",
            Way::Atomic => "sleep, then decrement in one step",
        };
        let figures = vec![
            ("begin", Figure::count(self.workers)),
            ("decrements", Figure::count(self.workers)),
            ("left", Figure::count(left)),
            ("most holding", Figure::count(trace.most_at_once(State::Holding))),
            ("time", Figure::Time(trace.length_ns())),
        ];
        Variant { name: name(way), about: about.to_owned(), trace, figures }
    }
}

/// Reads, does something in between, and writes one less.
fn decrement(shared: &Shared, me: &mut Recorder, between: impl FnOnce(&mut Recorder)) {
    let read = shared.number.load(Ordering::SeqCst);
    me.mark_with("read", read.to_string());
    between(me);
    // Where an update is lost, others have written less meanwhile.
    let written = read.saturating_sub(1);
    shared.number.store(written, Ordering::SeqCst);
    me.mark_with("write", written.to_string());
}

/// Does something under the lock.
fn step<T>(lock: &Mutex<()>, me: &mut Recorder, work: impl FnOnce(&mut Recorder) -> T) -> T {
    me.enter(State::Waiting);
    let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
    me.enter(State::Holding);
    let done = work(me);
    // Recorded as given back before it is: what overlaps in the recording has overlapped.
    me.enter(State::Running);
    drop(guard);
    done
}

fn all_read_before_any_wrote(trace: &Trace) -> bool {
    let at = |label: &'static str| {
        let marks = trace.lanes.iter().flat_map(|lane| &lane.marks);
        marks.filter(move |mark| mark.label == label).map(|mark| mark.at_ns)
    };
    at("read").max() < at("write").min()
}
