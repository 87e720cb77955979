//! The standard library's `sync` and `thread`, as `loom` has them, and what it lacks of them.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

pub(crate) use loom::sync::atomic;
use loom::sync::atomic::{AtomicUsize, Ordering};
pub(crate) use std::sync::{Arc, LockResult, PoisonError, Weak};

/// A lock whose guard knows it, so that a [`Condvar`] can take it again.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    guard: loom::sync::MutexGuard<'a, T>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        // Poison means nothing: a model ends with the first panic.
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(MutexGuard { mutex: self, guard })
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// A condition variable that wakes the last sleeper first: the library promises no order, and loom's
/// own, which wakes the first, hides who must not be woken alone.
///
/// Time does not pass in a model: what waits with a timeout is woken, or waits for ever. So who was
/// not woken is found, and not saved by the clock.
#[derive(Debug, Default)]
pub(crate) struct Condvar {
    /// By this the model knows that a wait and a wake-up must be tried in both orders.
    touched: AtomicUsize,
    /// Whoever runs in a model runs alone, until it touches something of the model.
    sleepers: std::sync::Mutex<Vec<Sleeper>>,
}

/// A thread that sleeps until it is woken.
#[derive(Debug, Clone)]
pub(crate) struct Sleeper {
    thread: loom::thread::Thread,
    is_woken: Arc<AtomicBool>,
}

impl Sleeper {
    /// The calling thread.
    pub(crate) fn new() -> Self {
        Self { thread: loom::thread::current(), is_woken: Arc::default() }
    }

    pub(crate) fn sleep(self) {
        while !self.is_woken.load(Ordering::Relaxed) {
            loom::thread::park();
        }
    }

    pub(crate) fn wake(self) {
        self.is_woken.store(true, Ordering::Relaxed);
        self.thread.unpark();
    }
}

/// Whether a timed wait has timed out: never.
#[derive(Debug)]
pub(crate) struct WaitTimeoutResult;

impl WaitTimeoutResult {
    pub(crate) fn timed_out(&self) -> bool {
        false
    }
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn touch(&self) -> std::sync::MutexGuard<'_, Vec<Sleeper>> {
        self.touched.fetch_add(1, Ordering::Relaxed);
        self.sleepers.lock().unwrap()
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let me = Sleeper::new();
        self.touch().push(me.clone());
        let mutex = guard.mutex;
        drop(guard);
        me.sleep();
        mutex.lock()
    }

    pub(crate) fn wait_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut waits: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        while waits(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        _: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        Ok((self.wait(guard).unwrap_or_else(PoisonError::into_inner), WaitTimeoutResult))
    }

    pub(crate) fn wait_timeout_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        _: Duration,
        waits: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        Ok((self.wait_while(guard, waits).unwrap_or_else(PoisonError::into_inner), WaitTimeoutResult))
    }

    pub(crate) fn notify_one(&self) {
        let last = self.touch().pop();
        last.into_iter().for_each(Sleeper::wake);
    }

    pub(crate) fn notify_all(&self) {
        let all = std::mem::take(&mut *self.touch());
        all.into_iter().for_each(Sleeper::wake);
    }
}

/// Atomics of which every access is `SeqCst`. loom takes such a store for a weaker one, and then
/// shows orders that cannot be; what reads and writes in one is always the next in one order.
pub(crate) mod seq_cst {
    pub(crate) use loom::sync::atomic::Ordering;

    macro_rules! atomic {
        ($name:ident, $value:ty, $look:ident) => {
            #[derive(Debug)]
            pub(crate) struct $name(loom::sync::atomic::$name);

            #[allow(dead_code, reason = "no piece uses them all")]
            impl $name {
                pub(crate) fn new(value: $value) -> Self {
                    Self(loom::sync::atomic::$name::new(value))
                }

                pub(crate) fn load(&self, ordering: Ordering) -> $value {
                    assert_eq!(ordering, Ordering::SeqCst);
                    self.0.$look(<$value>::default(), Ordering::AcqRel)
                }

                pub(crate) fn store(&self, value: $value, ordering: Ordering) {
                    self.swap(value, ordering);
                }

                pub(crate) fn swap(&self, value: $value, ordering: Ordering) -> $value {
                    assert_eq!(ordering, Ordering::SeqCst);
                    self.0.swap(value, Ordering::AcqRel)
                }
            }
        };
    }

    macro_rules! number {
        ($name:ident, $value:ty) => {
            atomic!($name, $value, fetch_add);

            impl $name {
                pub(crate) fn fetch_add(&self, value: $value, ordering: Ordering) -> $value {
                    assert_eq!(ordering, Ordering::SeqCst);
                    self.0.fetch_add(value, Ordering::AcqRel)
                }
            }
        };
    }

    atomic!(AtomicBool, bool, fetch_or);
    number!(AtomicU32, u32);
    number!(AtomicU64, u64);
}

pub(crate) mod thread {
    pub(crate) use loom::thread::{Builder, JoinHandle, Thread, current, park};

    pub(crate) fn park_timeout(_: super::Duration) {
        park();
    }
}

/// Channels that know when nobody sends any more, which loom's do not.
pub(crate) mod mpsc {
    use std::collections::VecDeque;
    use std::iter;
    pub(crate) use std::sync::mpsc::{RecvError, SendError};

    use super::{Arc, Condvar, Mutex, PoisonError};

    #[derive(Debug)]
    struct Channel<T> {
        state: Mutex<State<T>>,
        changed: Condvar,
    }

    #[derive(Debug)]
    struct State<T> {
        items: VecDeque<T>,
        senders: usize,
    }

    #[derive(Debug)]
    pub(crate) struct Sender<T>(Arc<Channel<T>>);

    #[derive(Debug)]
    pub(crate) struct Receiver<T>(Arc<Channel<T>>);

    pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
        let state = Mutex::new(State { items: VecDeque::new(), senders: 1 });
        let channel = Arc::new(Channel { state, changed: Condvar::new() });
        (Sender(Arc::clone(&channel)), Receiver(channel))
    }

    impl<T> Channel<T> {
        fn change<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> R {
            change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    impl<T> Sender<T> {
        pub(crate) fn send(&self, item: T) -> Result<(), SendError<T>> {
            self.0.change(|state| state.items.push_back(item));
            self.0.changed.notify_one();
            Ok(())
        }
    }

    impl<T> Sender<T> {
        /// The process ends: whoever waits for more does not come back in a real one, and must in a
        /// model.
        pub(crate) fn end(&self) {
            self.0.change(|state| state.senders = 0);
            self.0.changed.notify_all();
        }
    }

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Self {
            self.0.change(|state| state.senders += 1);
            Self(Arc::clone(&self.0))
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            let is_last = self.0.change(|state| {
                state.senders = state.senders.saturating_sub(1);
                state.senders == 0
            });
            if is_last {
                self.0.changed.notify_all();
            }
        }
    }

    impl<T> Receiver<T> {
        pub(crate) fn recv(&self) -> Result<T, RecvError> {
            let is_waiting = |state: &mut State<T>| state.items.is_empty() && state.senders > 0;
            let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
            let state = self.0.changed.wait_while(state, is_waiting);
            state.unwrap_or_else(PoisonError::into_inner).items.pop_front().ok_or(RecvError)
        }

        pub(crate) fn try_recv(&self) -> Result<T, RecvError> {
            self.0.change(|state| state.items.pop_front()).ok_or(RecvError)
        }

        pub(crate) fn try_iter(&self) -> impl Iterator<Item = T> {
            iter::from_fn(|| self.try_recv().ok())
        }
    }
}

loom::lazy_static! {
    static ref COUNTS: AtomicUsize = AtomicUsize::new(0);
}

/// A step that others may come before or after: the counts of an `Arc` of the standard library,
/// which the model does not see, are looked at, or change.
pub(crate) fn touch_counts() {
    COUNTS.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn strong_count<T>(counted: &Weak<T>) -> usize {
    touch_counts();
    Weak::strong_count(counted)
}
