//! When the idle timeout is looked at.

use std::time::{Duration, Instant};

/// The ticks in which the idle timeout is counted. The price is that every task is polled once per tick.
#[derive(Debug)]
pub(crate) struct Ticks {
    /// The length of a tick; none without an idle timeout.
    tick: Option<Duration>,
    next: Instant,
}

impl Ticks {
    /// The first tick begins now. An idle timeout of zero means never.
    pub(crate) fn new(idle_timeout: Duration) -> Self {
        let tick = common::silence::tick(idle_timeout);
        Self { tick, next: Instant::now() + tick.unwrap_or_default() }
    }

    /// When the next tick is; `None` if never.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.tick.map(|_| self.next)
    }

    /// Whether a tick has passed since it was last asked.
    pub(crate) fn passed(&mut self) -> bool {
        let now = Instant::now();
        let Some(tick) = self.tick.filter(|_| now >= self.next) else { return false };
        self.next = now + tick;
        true
    }
}
