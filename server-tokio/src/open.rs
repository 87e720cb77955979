//! What the tasks and the main task must know of each other: how many are open, how they end, and how to wake them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use common::{Outcome, Tally, silence};
use slab::Slab;

/// The open conversations, as far as others than their own tasks are concerned. The lock is taken when one begins and when it
/// ends, never for a request.
#[derive(Debug, Default)]
pub(crate) struct Open {
    /// How many ticks of the idle timeout have passed.
    ticks: AtomicU32,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    tally: Tally,
    /// Wakes each task. A task's waker is the same all its life.
    tasks: Slab<Waker>,
    /// Wakes the main task when a conversation ends, where it waits for that: at the limit, and in the drain.
    main: Option<Waker>,
}

impl Open {
    /// Counts a new conversation, and has a place for it.
    pub(crate) fn begin(self: &Arc<Self>) -> Place {
        let mut shared = self.shared();
        shared.tally.accept();
        let key = shared.tasks.insert(Waker::noop().clone());
        let key = u32::try_from(key).expect("descriptors are counted in 31 bits");
        Place { open: Arc::clone(self), key, outcome: Outcome::Failed }
    }

    /// How many there were so far, and how they ended.
    pub(crate) fn tally(&self) -> Tally {
        self.shared().tally
    }

    /// Whether fewer than `limit` are open; if not, the main task is woken when the next one ends.
    pub(crate) fn poll_fewer_than(&self, limit: usize, cx: &Context<'_>) -> Poll<()> {
        let mut shared = self.shared();
        if shared.tally.open() < limit {
            return Poll::Ready(());
        }
        shared.main = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Another tick of the idle timeout has passed: each task looks how long it has heard nothing.
    pub(crate) fn tick(&self) {
        self.ticks.fetch_add(1, Ordering::Relaxed);
        self.wake_all();
    }

    /// Has every task polled, whether its socket can do something or not.
    pub(crate) fn wake_all(&self) {
        self.shared().tasks.iter().for_each(|(_, task)| task.wake_by_ref());
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A conversation's place among the open ones. Dropping it counts the end, and frees it.
#[derive(Debug)]
pub(crate) struct Place {
    open: Arc<Open>,
    key: u32,
    outcome: Outcome,
}

impl Place {
    /// From now on the server can wake this task.
    pub(crate) fn can_be_woken(&self, cx: &Context<'_>) {
        self.open.shared().tasks[self.key as usize].clone_from(cx.waker());
    }

    /// Says how the conversation ended. Who drops the place without it has failed: its task has panicked.
    pub(crate) fn ends(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// The ticks of the idle timeout so far.
    pub(crate) fn ticks(&self) -> u32 {
        self.open.ticks.load(Ordering::Relaxed)
    }

    /// Whether the idle timeout has passed since the tick `active`.
    pub(crate) fn silent_since(&self, active: u32) -> bool {
        silence::is_over(self.ticks(), active)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut shared = self.open.shared();
        let task = shared.tasks.remove(self.key as usize);
        shared.tally.close(self.outcome);
        // The fact is published by now: who wakes can see it.
        let main = shared.main.take();
        drop(shared);
        drop(task);
        if let Some(main) = main {
            main.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn a_task_that_panics_has_failed_and_frees_its_place_and_nobody_else_notices() {
        let open = Arc::new(Open::default());
        let (panics, goes_on) = (open.begin(), open.begin());
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let panics = tokio::spawn(async move {
                let _held = panics;
                panic!("on purpose, in a test");
            });
            assert!(panics.await.unwrap_err().is_panic());
        });
        assert_eq!(open.tally().to_string(), "open=1 accepted=2 completed=0 failed=1 timed_out=0");
        drop(goes_on);
    }

    #[test]
    fn who_waits_at_the_limit_is_woken_by_an_end() {
        struct Rung(std::sync::atomic::AtomicBool);
        impl std::task::Wake for Rung {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let open = Arc::new(Open::default());
        let mut place = open.begin();
        let rung = Arc::new(Rung(false.into()));
        let waker = Waker::from(Arc::clone(&rung));
        let cx = Context::from_waker(&waker);
        assert!(open.poll_fewer_than(2, &cx).is_ready());
        assert!(open.poll_fewer_than(1, &cx).is_pending());
        assert!(!rung.0.load(Ordering::SeqCst));
        place.ends(Outcome::Completed);
        drop(place);
        assert!(rung.0.load(Ordering::SeqCst) && open.poll_fewer_than(1, &cx).is_ready());
    }
}
