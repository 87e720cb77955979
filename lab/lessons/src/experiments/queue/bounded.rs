//! A queue with a bounded number of places, for any number of producers and consumers that share
//! memory.
//!
//! Not `std::sync::mpsc::sync_channel`: its receiver belongs to one consumer, and several would
//! have to wait for a lock around it instead of for the queue. What waits for what is to be seen,
//! so the two waits are two condition variables.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::trace::now_ns;

/// The queue.
#[derive(Debug)]
pub(super) struct Bounded<T> {
    capacity: usize,
    state: Mutex<State<T>>,
    /// An item was put in, or none will be any more.
    filled: Condvar,
    /// An item was taken out.
    emptied: Condvar,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    most: usize,
    /// When an item came (1) or went (-1).
    changes: Vec<(u64, i64)>,
    is_closed: bool,
}

impl<T> Bounded<T> {
    /// Empty; so many items fit in.
    pub(super) fn new(capacity: usize) -> Self {
        let state =
            Mutex::new(State { items: VecDeque::new(), most: 0, changes: Vec::new(), is_closed: false });
        Self { capacity, state, filled: Condvar::new(), emptied: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Whole between any two lines that change it, so a panic elsewhere means nothing here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an item in, and waits for a place while there is none.
    pub(super) fn put(&self, item: T) {
        let is_full = |state: &mut State<T>| state.items.len() >= self.capacity;
        let mut state =
            self.emptied.wait_while(self.state(), is_full).unwrap_or_else(PoisonError::into_inner);
        state.items.push_back(item);
        state.most = state.most.max(state.items.len());
        state.changes.push((now_ns(), 1));
        // All, since not only takers wait for it: see `wait_for`.
        self.filled.notify_all();
    }

    /// Takes the oldest item, and waits for one while there is none; `None` if there never will be.
    pub(super) fn take(&self) -> Option<T> {
        let is_waiting = |state: &mut State<T>| state.items.is_empty() && !state.is_closed;
        let mut state =
            self.filled.wait_while(self.state(), is_waiting).unwrap_or_else(PoisonError::into_inner);
        let item = state.items.pop_front();
        if item.is_some() {
            state.changes.push((now_ns(), -1));
        }
        self.emptied.notify_one();
        item
    }

    /// Waits until there are so many items, or will be no more.
    pub(super) fn wait_for(&self, count: usize) {
        let is_waiting = |state: &mut State<T>| state.most < count && !state.is_closed;
        drop(self.filled.wait_while(self.state(), is_waiting).unwrap_or_else(PoisonError::into_inner));
    }

    /// Nothing is put in any more.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.filled.notify_all();
    }

    /// When an item came (1) or went (-1), in the order in which they did.
    pub(super) fn changes(&self) -> Vec<(u64, i64)> {
        self.state().changes.clone()
    }

    /// The most items that were in it at one time.
    pub(super) fn most(&self) -> usize {
        self.state().most
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn nothing_is_lost_or_doubled_and_there_are_never_more_than_fit_in() {
        let queue = Bounded::new(3);
        let mut taken = thread::scope(|scope| {
            let producers = [0, 1, 2].map(|producer| {
                let queue = &queue;
                scope.spawn(move || (0..200).for_each(|item| queue.put(producer * 1000 + item)))
            });
            let consumers = [0; 2].map(|_| scope.spawn(|| std::iter::from_fn(|| queue.take()).collect()));
            producers.into_iter().for_each(|producer| producer.join().unwrap());
            queue.close();
            consumers.into_iter().flat_map(|one| -> Vec<i32> { one.join().unwrap() }).collect::<Vec<_>>()
        });
        taken.sort_unstable();
        let all: Vec<_> =
            (0..3).flat_map(|producer| (0..200).map(move |item| producer * 1000 + item)).collect();
        assert_eq!(taken, all);
        assert!(queue.most() <= 3);
    }

    #[test]
    fn who_finds_it_full_waits_until_one_is_taken() {
        let queue = Bounded::new(1);
        queue.put(1);
        thread::scope(|scope| {
            let (send, receive) = mpsc::channel();
            let queue = &queue;
            scope.spawn(move || {
                queue.put(2);
                send.send(()).unwrap();
            });
            assert!(receive.recv_timeout(Duration::from_millis(20)).is_err(), "it did not wait");
            assert_eq!(queue.take(), Some(1));
            receive.recv_timeout(Duration::from_secs(20)).unwrap();
        });
        queue.close();
        assert_eq!((queue.take(), queue.take()), (Some(2), None));
    }
}
