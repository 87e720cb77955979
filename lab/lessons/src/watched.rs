//! Locks that can be asked who holds them and who waits, and whose waits can be called off: a
//! deadlock is found and left with them.
//!
//! First come, first served: a lock that is given back is handed to who has waited for it longest,
//! so nobody can overtake. A mutex of the standard library tells nothing and can only be waited for
//! to the end: who is deadlocked in it stays there.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A number of locks, each called by its place in the list; who takes them are numbers too.
#[derive(Debug)]
pub struct Locks {
    table: Mutex<Table>,
    changed: Condvar,
}

#[derive(Debug)]
struct Table {
    locks: Vec<Lock>,
    called_off: Vec<usize>,
    taken: u64,
    is_closed: bool,
}

#[derive(Debug, Clone, Default)]
struct Lock {
    owner: Option<usize>,
    queue: VecDeque<usize>,
}

/// A lock in somebody's hand, which is given back when this is dropped, also by a panic.
#[derive(Debug)]
pub struct Held<'a> {
    locks: &'a Locks,
    lock: usize,
}

/// The wait was called off: the lock was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CalledOff;

/// Who waits for whom at one instant: the wait-for graph (Coffman, Elphick and Shoshani, "System
/// Deadlocks", 1971).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitFor {
    /// Who holds each lock.
    pub owners: Vec<Option<usize>>,
    /// Who waits, and for which lock; in the order of the locks, then of their coming.
    pub waits: Vec<(usize, usize)>,
    /// How many times a lock has been taken until now: as long as it stays the same, nothing moves.
    pub taken: u64,
}

impl Locks {
    /// All are free.
    pub fn new(count: usize) -> Self {
        let locks = vec![Lock::default(); count];
        let table = Table { locks, called_off: Vec::new(), taken: 0, is_closed: false };
        Self { table: Mutex::new(table), changed: Condvar::new() }
    }

    /// Takes a lock for `who`, and waits until it is handed over. Who holds it already waits for
    /// itself, as with most locks.
    ///
    /// # Errors
    /// If the wait is [called off](Self::call_off). There is no other limit to it.
    pub fn acquire(&self, who: usize, lock: usize) -> Result<Held<'_>, CalledOff> {
        let mut table = self.table();
        if table.locks[lock].owner.is_none() {
            table.give(lock, who);
        } else {
            table.locks[lock].queue.push_back(who);
            self.changed.notify_all();
            let waits = |table: &mut Table| table.locks[lock].queue.contains(&who);
            table = self.changed.wait_while(table, waits).unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = table.called_off.iter().position(|its| *its == who) {
                table.called_off.swap_remove(place);
                return Err(CalledOff);
            }
        }
        drop(table);
        self.changed.notify_all();
        Ok(Held { locks: self, lock })
    }

    /// Takes a lock for `who` if it is free now.
    pub fn try_acquire(&self, who: usize, lock: usize) -> Option<Held<'_>> {
        let mut table = self.table();
        if table.locks[lock].owner.is_some() {
            return None;
        }
        table.give(lock, who);
        drop(table);
        self.changed.notify_all();
        Some(Held { locks: self, lock })
    }

    /// Lets `who` wait no longer; says whether it did.
    pub fn call_off(&self, who: usize) -> bool {
        let mut table = self.table();
        let Some(lock) = table.locks.iter_mut().find(|lock| lock.queue.contains(&who)) else {
            return false;
        };
        lock.queue.retain(|its| *its != who);
        table.called_off.push(who);
        drop(table);
        self.changed.notify_all();
        true
    }

    /// Who waits for whom now.
    pub fn now(&self) -> WaitFor {
        self.table().wait_for()
    }

    /// Waits until `is_it`, and returns what was seen then. `None` after `limit`, or when the locks
    /// are [closed](Self::close).
    pub fn wait_until(&self, limit: Duration, is_it: impl Fn(&WaitFor) -> bool) -> Option<WaitFor> {
        let goes_on = |table: &mut Table| !table.is_closed && !is_it(&table.wait_for());
        let waited = self.changed.wait_timeout_while(self.table(), limit, goes_on);
        let seen = waited.unwrap_or_else(PoisonError::into_inner).0.wait_for();
        is_it(&seen).then_some(seen)
    }

    /// Nobody will take a lock any more: who watches can go home.
    pub fn close(&self) {
        self.table().is_closed = true;
        self.changed.notify_all();
    }

    // Every change of the table is one statement or cannot panic, so poison means nothing here.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn give(&mut self, lock: usize, who: usize) {
        self.locks[lock].owner = Some(who);
        self.taken += 1;
    }

    fn wait_for(&self) -> WaitFor {
        let waits = self.locks.iter().enumerate();
        let waits = waits.flat_map(|(number, lock)| lock.queue.iter().map(move |who| (*who, number)));
        WaitFor {
            owners: self.locks.iter().map(|lock| lock.owner).collect(),
            waits: waits.collect(),
            taken: self.taken,
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut table = self.locks.table();
        match table.locks[self.lock].queue.pop_front() {
            Some(next) => table.give(self.lock, next),
            None => table.locks[self.lock].owner = None,
        }
        drop(table);
        self.locks.changed.notify_all();
    }
}

impl WaitFor {
    /// Those who wait for one another in a cycle, if there is one: each waits for a lock that the
    /// next one holds, and the last for one that the first holds.
    pub fn cycle(&self) -> Option<Vec<usize>> {
        // Nobody waits for more than one lock, and no lock has more than one owner: from each there
        // is only one way to go.
        self.waits.iter().find_map(|(first, _)| {
            let mut path = vec![*first];
            loop {
                let next = self.owners[self.wanted_by(*path.last()?)?]?;
                match path.iter().position(|who| *who == next) {
                    Some(0) => return Some(path),
                    // It leads into a cycle, but is not part of it.
                    Some(_) => return None,
                    None => path.push(next),
                }
            }
        })
    }

    /// The lock that `who` waits for.
    pub fn wanted_by(&self, who: usize) -> Option<usize> {
        self.waits.iter().find(|(its, _)| *its == who).map(|(_, lock)| *lock)
    }

    /// The locks that `who` holds.
    pub fn held_by(&self, who: usize) -> impl Iterator<Item = usize> {
        let owners = self.owners.iter().enumerate();
        owners.filter(move |(_, owner)| **owner == Some(who)).map(|(lock, _)| lock)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn graph(owners: &[Option<usize>], waits: &[(usize, usize)]) -> WaitFor {
        WaitFor { owners: owners.to_vec(), waits: waits.to_vec(), taken: 0 }
    }

    #[test]
    fn a_cycle_is_found_wherever_one_begins_to_look_and_nothing_else_is_one() {
        assert_eq!(graph(&[Some(1), None], &[(2, 0)]).cycle(), None);
        assert_eq!(graph(&[Some(0), Some(1)], &[(1, 0), (2, 1), (3, 1)]).cycle(), None);
        assert_eq!(graph(&[Some(7)], &[(7, 0)]).cycle(), Some(vec![7]));
        // 9 waits for one of the cycle, but is not in it.
        let three = graph(&[Some(1), Some(2), Some(3)], &[(9, 0), (3, 0), (1, 1), (2, 2)]);
        assert_eq!(three.cycle(), Some(vec![3, 1, 2]));
    }

    #[test]
    fn one_at_a_time_holds_a_lock() {
        let (locks, inside) = (Locks::new(1), AtomicUsize::new(0));
        thread::scope(|scope| {
            for who in 0..4 {
                let (locks, inside) = (&locks, &inside);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let held = locks.acquire(who, 0).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(held);
                    }
                });
            }
        });
        assert_eq!(locks.now(), WaitFor { owners: vec![None], waits: vec![], taken: 800 });
    }

    #[test]
    fn a_deadlock_is_left_by_calling_one_wait_off() {
        let locks = Locks::new(2);
        thread::scope(|scope| {
            let crosswise = |who: usize, first, second| {
                let locks = &locks;
                move || {
                    let _first = locks.acquire(who, first).unwrap();
                    locks.wait_until(LIMIT, |now| now.owners.iter().all(Option::is_some)).unwrap();
                    locks.acquire(who, second).map(drop)
                }
            };
            let (one, other) = (scope.spawn(crosswise(1, 0, 1)), scope.spawn(crosswise(2, 1, 0)));
            let seen = locks.wait_until(LIMIT, |now| now.cycle().is_some()).unwrap();
            assert_eq!(seen.owners, [Some(1), Some(2)]);
            assert!(!locks.call_off(3), "nobody waits so");
            assert!(locks.call_off(2));
            assert_eq!(other.join().unwrap(), Err(CalledOff));
            assert_eq!(one.join().unwrap(), Ok(()));
        });
        assert_eq!(locks.now().owners, [None, None]);
    }

    #[test]
    fn a_lock_that_is_held_is_not_tried_in_vain_for_long_and_closing_ends_a_watch() {
        let locks = Locks::new(1);
        let held = locks.try_acquire(1, 0).unwrap();
        assert!(locks.try_acquire(2, 0).is_none());
        drop(held);
        assert!(locks.try_acquire(2, 0).is_some());
        locks.close();
        assert_eq!(locks.wait_until(LIMIT, |now| now.cycle().is_some()), None);
    }
}
