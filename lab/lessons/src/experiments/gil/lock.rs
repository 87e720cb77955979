//! An interpreter's lock as CPython has had it since 3.2 (Python/ceval_gil.c), with nothing to
//! interpret.
//!
//! A thread that wants it waits for an interval; if in all that time no other thread got it either,
//! it asks. The thread that has it looks, between two steps, whether it was asked, and then gives
//! it away and does not take it again before another one had it. A thread that is about to wait for
//! I/O gives it back unasked: it drops its [`Guard`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The lock.
#[derive(Debug)]
pub(super) struct InterpreterLock {
    interval: Duration,
    state: Mutex<State>,
    given_back: Condvar,
    taken: Condvar,
    /// A hint, read without the lock at every step; what is true is decided under the lock.
    is_asked: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    is_held: bool,
    /// How many are in `acquire` and do not have it yet.
    waiting: usize,
    /// How often it was taken until now.
    turns: u64,
}

/// The lock is held, until this is dropped.
#[derive(Debug)]
pub(super) struct Guard<'a>(&'a InterpreterLock);

impl InterpreterLock {
    /// Free. CPython's interval is 5 ms (`sys.getswitchinterval()`).
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            state: Mutex::default(),
            given_back: Condvar::new(),
            taken: Condvar::new(),
            is_asked: AtomicBool::new(false),
        }
    }

    /// Waits for it, and asks for it after an interval.
    pub(super) fn acquire(&self) -> Guard<'_> {
        self.take(self.state());
        Guard(self)
    }

    /// How often it was taken.
    pub(super) fn turns(&self) -> u64 {
        self.state().turns
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whole between any two lines that change it, so a panic elsewhere means nothing here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, mut state: MutexGuard<'_, State>) {
        state.waiting += 1;
        while state.is_held {
            let turns = state.turns;
            let waited = self.given_back.wait_timeout(state, self.interval);
            let (again, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = again;
            // If another got it meanwhile, that one has its interval first.
            if timeout.timed_out() && state.is_held && state.turns == turns {
                self.is_asked.store(true, Ordering::Relaxed);
            }
        }
        state.waiting -= 1;
        state.is_held = true;
        state.turns += 1;
        self.is_asked.store(false, Ordering::Relaxed);
        self.taken.notify_all();
    }

    fn give_back(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        state.is_held = false;
        self.given_back.notify_one();
        state
    }
}

impl Guard<'_> {
    /// Whether another has asked for it.
    pub(super) fn is_asked(&self) -> bool {
        self.0.is_asked.load(Ordering::Relaxed)
    }

    /// Lets another have it if one waits, and then waits for it again.
    pub(super) fn hand_over(&mut self) {
        let state = self.0.give_back();
        let turns = state.turns;
        // Without this the giver, who is awake, would nearly always be faster than the sleeper whom
        // it wakes.
        let not_taken = |state: &mut State| state.waiting > 0 && state.turns == turns;
        let state = self.0.taken.wait_while(state, not_taken).unwrap_or_else(PoisonError::into_inner);
        self.0.take(state);
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        drop(self.0.give_back());
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{self, AssertUnwindSafe};
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Instant;

    use super::*;

    /// A test that has not ended by then fails.
    const DEADLINE: Duration = Duration::from_secs(20);

    /// Steps until asked, then hands over; so many times.
    fn compute(lock: &InterpreterLock, handovers: usize, inside: &AtomicUsize) {
        let begun = Instant::now();
        let mut turn = lock.acquire();
        for _ in 0..handovers {
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two have it");
            while !turn.is_asked() {
                assert!(begun.elapsed() < DEADLINE, "nobody asks");
                std::hint::spin_loop();
            }
            inside.fetch_sub(1, Ordering::SeqCst);
            turn.hand_over();
        }
    }

    #[test]
    fn two_who_compute_take_turns_and_never_both_have_it() {
        let lock = InterpreterLock::new(Duration::from_millis(1));
        let inside = AtomicUsize::new(0);
        thread::scope(|scope| {
            // Whoever ends first leaves nobody to ask the other, so one makes all and the other
            // stays until it has.
            let (send, receive) = mpsc::channel::<()>();
            let (lock, inside) = (&lock, &inside);
            scope.spawn(move || {
                compute(lock, 5, inside);
                drop(send);
            });
            scope.spawn(move || {
                let mut turn = lock.acquire();
                while receive.try_recv() != Err(mpsc::TryRecvError::Disconnected) {
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two have it");
                    let begun = Instant::now();
                    while !turn.is_asked() && begun.elapsed() < Duration::from_millis(20) {
                        std::hint::spin_loop();
                    }
                    inside.fetch_sub(1, Ordering::SeqCst);
                    turn.hand_over();
                }
            });
        });
        assert!(lock.turns() >= 10, "{}", lock.turns());
    }

    #[test]
    fn who_hands_over_gets_it_back_only_after_somebody_else_had_it() {
        let lock = InterpreterLock::new(Duration::from_millis(1));
        let others = AtomicUsize::new(0);
        let begun = Instant::now();
        let mut turn = lock.acquire();
        thread::scope(|scope| {
            scope.spawn(|| {
                let _turn = lock.acquire();
                others.fetch_add(1, Ordering::SeqCst);
            });
            while !turn.is_asked() {
                assert!(begun.elapsed() < DEADLINE, "the other does not ask");
                thread::yield_now();
            }
            assert_eq!(others.load(Ordering::SeqCst), 0);
            turn.hand_over();
            assert_eq!(others.load(Ordering::SeqCst), 1);
        });
    }

    #[test]
    fn alone_nobody_asks_and_handing_over_returns_at_once() {
        let lock = InterpreterLock::new(Duration::from_millis(1));
        let mut turn = lock.acquire();
        assert!(!turn.is_asked());
        turn.hand_over();
        drop(turn);
        assert_eq!(lock.turns(), 2);
    }

    #[test]
    fn a_panic_gives_it_back() {
        let lock = InterpreterLock::new(Duration::from_millis(1));
        let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
            let _turn = lock.acquire();
            panic::resume_unwind(Box::new("in the middle"));
        }));
        assert!(panicked.is_err());
        drop(lock.acquire());
    }
}
