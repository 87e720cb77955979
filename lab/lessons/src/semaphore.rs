//! A counting semaphore, which the standard library lacks: so many may be in at once, the others
//! sleep until a place is free.
//!
//! Not fair: who comes when a place is given back may take it before one who has waited for it.

use std::sync::{Condvar, Mutex, PoisonError};

/// A number of places.
#[derive(Debug)]
pub struct Semaphore {
    free: Mutex<usize>,
    freed: Condvar,
}

/// A place, which is given back when this is dropped, also by a panic.
#[derive(Debug)]
pub struct Permit<'a>(&'a Semaphore);

impl Semaphore {
    /// All `places` are free.
    pub fn new(places: usize) -> Self {
        Self { free: Mutex::new(places), freed: Condvar::new() }
    }

    /// Takes a place, and sleeps until there is one.
    pub fn acquire(&self) -> Permit<'_> {
        // A number is whole also when somebody panicked with the lock in hand, so poison means
        // nothing here.
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        // In a loop inside: a sleeper may be woken for nothing, or find the place taken by somebody
        // who never slept.
        let mut free = self.freed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Permit(self)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        // One place, one sleeper. A change and its signal under the lock's protection: no sleeper
        // can miss it.
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{self, AssertUnwindSafe};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn no_more_than_the_places_are_in_and_everybody_gets_one() {
        let semaphore = Semaphore::new(3);
        let (inside, most, served) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _permit = semaphore.acquire();
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        served.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 3);
        assert_eq!(served.load(Ordering::SeqCst), 1600);
    }

    #[test]
    fn a_panic_gives_the_place_back() {
        let semaphore = Semaphore::new(1);
        let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
            let _permit = semaphore.acquire();
            panic::resume_unwind(Box::new("in the middle"));
        }));
        assert!(panicked.is_err());
        drop(semaphore.acquire());
    }
}
