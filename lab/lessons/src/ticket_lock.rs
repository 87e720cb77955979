//! A fair lock, which the standard library lacks: who comes draws a number, and the numbers are
//! served in their order.
//!
//! After Mellor-Crummey and Scott, "Algorithms for Scalable Synchronization on Shared-Memory
//! Multiprocessors" (1991), but who waits sleeps instead of spinning: here there are more threads
//! than processors.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A lock for one at a time.
#[derive(Debug, Default)]
pub struct TicketLock {
    numbers: Mutex<Numbers>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Numbers {
    next: u64,
    served: u64,
}

/// The lock in somebody's hand, which is given back when this is dropped, also by a panic.
#[derive(Debug)]
pub struct Served<'a> {
    lock: &'a TicketLock,
    number: u64,
}

impl TicketLock {
    /// Free, and nobody has come yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Draws a number, from 0, and sleeps until it is served.
    pub fn lock(&self) -> Served<'_> {
        let mut numbers = self.numbers();
        let number = numbers.next;
        numbers.next += 1;
        drop(self.changed.wait_while(numbers, |numbers| numbers.served != number));
        Served { lock: self, number }
    }

    // Numbers are whole also when somebody panicked with them in hand, so poison means nothing
    // here.
    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Served<'_> {
    /// The number that was drawn: how many had come before.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        self.lock.numbers().served += 1;
        // All, since the one whose turn it is cannot be called alone. A queue of sleepers, each
        // with a bell, would save the others' look.
        self.lock.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{self, AssertUnwindSafe};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn one_at_a_time_is_in_and_in_the_order_of_the_numbers() {
        let (lock, next) = (TicketLock::new(), AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let served = lock.lock();
                        assert_eq!(next.load(Ordering::SeqCst), served.number());
                        thread::yield_now();
                        // Two at once would both have been right, and count one.
                        next.store(served.number() + 1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(next.into_inner(), 800);
    }

    #[test]
    fn a_panic_gives_the_lock_back() {
        let lock = TicketLock::new();
        let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
            let _served = lock.lock();
            panic::resume_unwind(Box::new("in the middle"));
        }));
        assert!(panicked.is_err());
        assert_eq!(lock.lock().number(), 1);
    }
}
