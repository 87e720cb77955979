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
use harness::lang::Both;
use serving::options::{parse_count, parse_duration};

use super::{name, on_threads, ways};
use crate::Experiment;
use crate::stage::Stage;
use crate::texts::{Texts, say};
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

    /// Run only this variant
    #[arg(long, value_enum, value_name = "VARIANT")]
    only: Option<Way>,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Way {
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

/// What came of one way.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) way: Way,
    pub(crate) all: usize,
    pub(crate) left: usize,
    pub(crate) length_ns: u64,
}

/// What the workers share.
struct Shared {
    number: AtomicUsize,
    lock: Mutex<()>,
    all_have_read: Barrier,
}

impl Experiment for Counter {
    const NAME: &'static str = "counter";
    const QUESTION: fn(&Texts) -> &'static str = |texts| texts.counter.question;

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
        Ok(Observation { variants, drawings: Both::default(), claims })
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
        let one_at_a_time = trace.most_at_once(State::Holding) == 1;
        let holds = match way {
            Way::NoPause => left < all,
            Way::Race => left > all / 2 || self.delay.is_zero() || all == 1,
            Way::Barrier => left == lost && all_read_before_any_wrote(trace),
            Way::Gil => left == lost && all_read_before_any_wrote(trace) && one_at_a_time,
            Way::Mutex => left == 0 && one_at_a_time,
            Way::Atomic => left == 0,
        };
        let fact = Fact { way, all, left, length_ns: trace.length_ns() };
        Claim::new(holds, |texts| (texts.counter.claim)(&fact))
    }

    fn variant(&self, way: Way, trace: Trace, left: usize) -> Variant {
        let figures = vec![
            ("begin", Figure::count(self.workers)),
            ("decrements", Figure::count(self.workers)),
            ("left", Figure::count(left)),
            ("most holding", Figure::count(trace.most_at_once(State::Holding))),
            ("time", Figure::Time(trace.length_ns())),
        ];
        Variant { name: name(way), about: say(|texts| (texts.counter.about)(way)), trace, figures }
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
