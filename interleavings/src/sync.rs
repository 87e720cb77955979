//! The standard library's `sync` and `thread`, as `loom` has them, and what it lacks of them.


use std::time::Duration;

pub(crate) use loom::sync::{Mutex, MutexGuard, RwLock, atomic};
pub(crate) use std::sync::{LockResult, PoisonError};

/// A condition variable. Time does not pass in a model: what waits with a timeout is woken, or waits
/// for ever. So who was not woken is found, and not saved by the clock.
#[derive(Debug, Default)]
pub(crate) struct Condvar(loom::sync::Condvar);

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

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.0.wait(guard)
    }

    pub(crate) fn wait_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut waits: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        while waits(&mut guard) {
            guard = self.0.wait(guard)?;
        }
        Ok(guard)
    }

    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        _: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        Ok((self.0.wait(guard).unwrap_or_else(PoisonError::into_inner), WaitTimeoutResult))
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
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}
