//! The experiments, one file each, and the few lines that most of them need.

pub mod coroutines;
pub mod counter;
pub mod deadlock;
pub mod event;
pub mod gil;
pub mod levels;
pub mod pool;
pub mod queue;
pub mod semaphore;
pub mod servers;
pub mod spawn;
pub mod starve;
pub mod submit;
pub mod threads;
pub mod tickets;

use std::sync::{PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use clap::ValueEnum;
use nix::time::{ClockId, clock_gettime};

use super::executor::Alarms;
use super::trace::{Event, Lane, Recorder, State, now_ns};

/// The ways to do: the one that was asked for, or `all`.
pub fn ways<W: ValueEnum + Copy>(only: Option<W>, all: &[W]) -> Vec<W> {
    only.map_or_else(|| all.to_vec(), |one| vec![one])
}

/// What `--only` calls a way.
pub fn name<W: ValueEnum>(way: W) -> String {
    way.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// A task sleeps, and lets others go on meanwhile. Where another had the thread when the time was
/// over, or the kernel woke the thread late, the lane waits from then on, with `late`.
pub async fn sleep(me: &mut Recorder, alarms: &Alarms, time: Duration, late: &'static str) {
    let due = Instant::now() + time;
    let due_ns = now_ns().saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    alarms.sleep_until(due).await;
    if due_ns < now_ns() {
        me.apply(due_ns, Event::enter(State::Waiting, late));
    }
}

/// Keeps a processor busy.
pub fn compute(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

/// Computes until the calling thread has had a processor for so long; the lane shows when it had
/// none meanwhile.
///
/// # Errors
/// If the system does not say what a thread has had.
pub fn work(me: &mut Recorder, time: Duration) -> Result<()> {
    let had = || {
        let had = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("cannot read a thread's clock")?;
        anyhow::Ok(Duration::from(had))
    };
    let end = had()?.saturating_add(time);
    while had()? < end {
        me.look();
        std::hint::spin_loop();
    }
    Ok(())
}

/// Runs `work` on `count` threads, which begin when all of them exist, and returns their lanes.
/// Each is told its number, from 0, and its lane is called `noun` and that number counted from 1.
///
/// # Errors
/// If the system does not give that many threads: then none does anything. If one panicked.
pub fn on_threads(count: usize, noun: &str, work: impl Fn(usize, &mut Recorder) + Sync) -> Result<Vec<Lane>> {
    // Closed while it is locked for writing; then whether to begin.
    let gate = RwLock::new(false);
    let run = |number: usize| {
        let begins = *gate.read().unwrap_or_else(PoisonError::into_inner);
        let mut recorder = Recorder::thread(format!("{noun} {}", number + 1));
        if begins {
            work(number, &mut recorder);
        }
        recorder.end()
    };
    thread::scope(|scope| {
        let mut closed = gate.write().unwrap_or_else(PoisonError::into_inner);
        let (mut threads, mut refused) = (Vec::new(), None);
        for number in 0..count {
            let thread = thread::Builder::new().name(format!("{noun} {}", number + 1));
            match thread.spawn_scoped(scope, move || run(number)) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        *closed = refused.is_none();
        drop(closed);
        let lanes = threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a {noun} panicked")));
        let lanes: Vec<_> = lanes.collect::<Result<_>>()?;
        match refused {
            None => Ok(lanes),
            Some(error) => Err(error).with_context(|| format!("cannot start {count} threads")),
        }
    })
}
