//! The open conversations: each in a task of its own, reached by the main task through its waker.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use serving::{Drain, Outcome, ServerOptions, Tally, Transform, silence};
use slab::Slab;
use tokio::net::TcpStream;

use crate::task::Task;

/// A list of conversations, and when their silence is looked at next.
#[derive(Debug)]
pub(crate) struct Conversations {
    shared: Arc<Shared>,
    /// The length of a tick of the idle timeout; none without one.
    tick: Option<Duration>,
    next_tick: Option<Instant>,
}

/// What the tasks and the main task know of each other.
#[derive(Debug)]
struct Shared {
    transform: Transform,
    /// How many ticks of the idle timeout have passed.
    ticks: AtomicU32,
    /// Locked when a conversation begins and when it ends, never for a request.
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    /// Wakes each task. A task's waker is the same all its life.
    tasks: Slab<Waker>,
    /// How those ended that are not counted yet.
    ended: Vec<Outcome>,
    /// Wakes the main task when a conversation ends.
    main: Option<Waker>,
}

impl Conversations {
    /// An empty list.
    pub(crate) fn new(options: &ServerOptions) -> Self {
        let tick = silence::tick(options.idle_timeout);
        let shared =
            Shared { transform: Transform::new(options), ticks: AtomicU32::new(0), list: Mutex::default() };
        Self { shared: Arc::new(shared), tick, next_tick: tick.map(|tick| Instant::now() + tick) }
    }

    /// Adds a conversation, for a task to serve.
    pub(crate) fn begin(&mut self, stream: TcpStream) -> Task {
        Task::new(stream, self.place())
    }

    fn place(&self) -> Place {
        let key = self.shared.list().tasks.insert(Waker::noop().clone());
        let key = u32::try_from(key).expect("descriptors are counted in 31 bits");
        Place { shared: Arc::clone(&self.shared), key, outcome: Outcome::Failed }
    }

    /// Ready when a conversation has ended that is not counted yet.
    pub(crate) fn poll_ended(&self, cx: &Context<'_>) -> Poll<()> {
        let mut list = self.shared.list();
        if list.ended.is_empty() {
            list.main = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// When the silence of the clients is looked at next; `None` for never.
    pub(crate) fn next_tick(&self) -> Option<Instant> {
        self.next_tick
    }

    /// When a tick has passed: has the tasks end whose clients were silent for the idle timeout.
    pub(crate) fn tick(&mut self) {
        let now = Instant::now();
        if self.next_tick.is_some_and(|next| now >= next) {
            self.next_tick = self.tick.map(|tick| now + tick);
            self.shared.ticks.fetch_add(1, Ordering::Relaxed);
            self.wake_all();
        }
    }

    /// Counts the conversations that have ended. Their sockets are closed, and their places free.
    pub(crate) fn retire(&mut self, tally: &mut Tally) {
        self.shared.list().ended.drain(..).for_each(|outcome| tally.close(outcome));
    }

    /// Has every task end its input whose client has paused.
    pub(crate) fn end_input(&mut self, _: Drain) {
        self.wake_all();
    }

    /// Has every task polled, whether its socket can do something or not.
    fn wake_all(&self) {
        self.shared.list().tasks.iter().for_each(|(_, task)| task.wake_by_ref());
    }
}

impl Shared {
    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A conversation's place in the list. Dropping it frees the place and reports the end.
#[derive(Debug)]
pub(crate) struct Place {
    shared: Arc<Shared>,
    key: u32,
    /// A task that panics does not come to change it.
    outcome: Outcome,
}

impl Place {
    /// From now on the main task can wake this one. Always ready.
    pub(crate) fn poll_entered(&self, cx: &Context<'_>) -> Poll<()> {
        self.shared.list().tasks[self.key as usize].clone_from(cx.waker());
        Poll::Ready(())
    }

    /// Says how the conversation ends.
    pub(crate) fn ends(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// What is made of what the client sends.
    pub(crate) fn transform(&self) -> Transform {
        self.shared.transform
    }

    /// The ticks of the idle timeout so far.
    pub(crate) fn ticks(&self) -> u32 {
        self.shared.ticks.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut list = self.shared.list();
        let task = list.tasks.remove(self.key as usize);
        list.ended.push(self.outcome);
        // Published by now: the main task can see it when it wakes.
        let main = list.main.take();
        drop(list);
        drop(task);
        if let Some(main) = main {
            main.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::task::Wake;

    use clap::Parser;
    use tokio::runtime::Builder;

    use super::*;

    fn conversations() -> Conversations {
        Conversations::new(&crate::Options::parse_from(["test"]).server)
    }

    #[test]
    fn a_task_that_panics_has_failed_and_frees_its_place_and_nobody_else_notices() {
        let mut open = conversations();
        let mut tally = Tally::default();
        let (panics, goes_on) = (open.place(), open.place());
        (0..2).for_each(|_| tally.accept());
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let panics = tokio::spawn(async move {
                let _held = panics;
                panic!("on purpose, in a test");
            });
            assert!(panics.await.unwrap_err().is_panic());
        });
        open.retire(&mut tally);
        assert_eq!(tally.to_string(), "open=1 accepted=2 completed=0 failed=1 timed_out=0");
        drop(goes_on);
    }

    #[test]
    fn the_main_task_is_woken_by_an_end_of_a_conversation() {
        struct Rung(AtomicBool);
        impl Wake for Rung {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let open = conversations();
        let place = open.place();
        let rung = Arc::new(Rung(false.into()));
        let waker = Waker::from(Arc::clone(&rung));
        let cx = Context::from_waker(&waker);
        assert!(open.poll_ended(&cx).is_pending() && !rung.0.load(Ordering::SeqCst));
        drop(place);
        assert!(rung.0.load(Ordering::SeqCst) && open.poll_ended(&cx).is_ready());
    }
}
