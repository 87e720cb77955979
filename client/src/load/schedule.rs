//! When requests are due in an open loop, and a clock that can wake at such a moment.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// Nanoseconds since the load was created: an `Instant` that fits into eight bytes and an atomic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    /// A clock that shows zero now.
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since the clock was made; they last for 584 years.
    #[inline]
    pub(super) fn now(self) -> u64 {
        nanos(self.0.elapsed())
    }
}

/// A duration in nanoseconds.
#[inline]
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The moments at which requests are due: request `k` at `start + k / rate`, on connection `k mod
/// connections`.
///
/// A moment follows from the number alone, so nothing has to be queued for a connection that falls
/// behind, and nothing that it does can move the moments of the others (no coordinated omission).
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    start: u64,
    interval: f64,
    connections: u64,
    end: u64,
}

impl Schedule {
    /// A schedule that begins at `start` (in nanoseconds of the clock) and ends after `requests`.
    pub(super) fn new(start: u64, per_second: f64, connections: usize, requests: Option<u64>) -> Self {
        let interval = 1e9 / per_second;
        Self { start, interval, connections: connections as u64, end: requests.unwrap_or(u64::MAX) }
    }

    /// When request `nth` (from 0) of connection `connection` is due, in nanoseconds of the clock;
    /// `None` after the last one.
    #[inline]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and saturates")]
    pub(super) fn due(&self, connection: u64, nth: u64) -> Option<u64> {
        let k = nth.saturating_mul(self.connections).saturating_add(connection);
        (k < self.end).then(|| self.start.saturating_add((k as f64 * self.interval) as u64))
    }
}

impl Schedule {
    /// How many requests of a connection are due by `now`, counted without a look at each: at an
    /// absurd rate there are billions.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and saturates")]
    pub(super) fn due_by(&self, connection: u64, now: u64) -> u64 {
        let is_due = |nth: u64| self.due(connection, nth).is_some_and(|due| due <= now);
        let last = (now.saturating_sub(self.start) as f64 / self.interval) as u64;
        let mut count = last.min(self.end).saturating_sub(connection) / self.connections;
        // The quotient may be off by one or two.
        while count > 0 && !is_due(count - 1) {
            count -= 1;
        }
        while is_due(count) {
            count += 1;
        }
        count
    }
}

/// A worker's place in the schedule: it has the connections `first`, `first + step`, `first + 2
/// step`, ...
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    first: u64,
    step: u64,
    slots: usize,
    slot: usize,
    nth: u64,
}

impl Cursor {
    /// Before the first request of a worker with so many slots.
    pub(super) fn new(first: usize, step: usize, slots: usize) -> Self {
        Self { first: first as u64, step: step as u64, slots, slot: 0, nth: 0 }
    }

    /// When the next request of this worker is due; `None` after the last one.
    #[inline]
    pub(super) fn due(&self, schedule: &Schedule) -> Option<u64> {
        schedule.due(self.first + self.slot as u64 * self.step, self.nth)
    }

    /// Passes over that request, and says to which slot it belongs.
    pub(super) fn advance(&mut self) -> usize {
        let slot = self.slot;
        self.slot += 1;
        if self.slot == self.slots {
            self.slot = 0;
            self.nth += 1;
        }
        slot
    }
}

/// Wakes a poll at a moment much finer than the milliseconds of its timeout.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: TimerFd,
    armed_for: u64,
}

impl Alarm {
    /// An alarm that wakes the poll of `registry`; it is never read, since each new setting starts
    /// it afresh.
    ///
    /// # Errors
    /// If there is no descriptor for it.
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let timer =
            TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        registry.register(&mut SourceFd(&timer.as_fd().as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { timer, armed_for: 0 })
    }

    /// Sets the alarm to `moment`, unless it is set to it already.
    ///
    /// # Errors
    /// None that the kernel would give to a valid time.
    pub(super) fn set(&mut self, moment: u64, now: u64) -> io::Result<()> {
        if self.armed_for == moment && moment > now {
            return Ok(());
        }
        self.armed_for = moment;
        // Zero would disarm the timer.
        let delay = Duration::from_nanos(moment.saturating_sub(now).max(1));
        Ok(self.timer.set(Expiration::OneShot(TimeSpec::from_duration(delay)), TimerSetTimeFlags::empty())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workers_together_have_every_request_once_and_each_in_order() {
        let schedule = Schedule::new(1000, 1e9, 7, Some(100));
        let mut all = Vec::new();
        for (first, slots) in [(0, 3), (1, 2), (2, 2)] {
            let mut cursor = Cursor::new(first, 3, slots);
            let mut last = 0;
            while let Some(due) = cursor.due(&schedule) {
                assert!(due >= last);
                last = due;
                all.push(due);
                cursor.advance();
            }
        }
        all.sort_unstable();
        assert_eq!(all, (1000..1100).collect::<Vec<u64>>());
    }

    #[test]
    fn what_is_due_is_counted_as_if_each_had_been_looked_at() {
        for (rate, end) in [(3.0, None), (1000.0, Some(95)), (1e9, Some(1000)), (1e9, None), (0.1, None)] {
            let schedule = Schedule::new(777, rate, 7, end);
            for now in [0, 776, 777, 778, 1_000, 1_000_777, 3_333_334_110, 20_000_000_000] {
                for connection in 0..7 {
                    let due = schedule.due_by(connection, now);
                    let is_due = |nth| schedule.due(connection, nth).is_some_and(|due| due <= now);
                    assert!(due == 0 || is_due(due - 1), "{rate} {end:?} {now} {connection}: {due}");
                    assert!(!is_due(due), "{rate} {end:?} {now} {connection}: {due}");
                }
            }
        }
    }

    #[test]
    fn a_request_is_due_by_its_number_alone() {
        let schedule = Schedule::new(0, 1000.0, 10, None);
        assert_eq!(schedule.due(3, 0), Some(3_000_000));
        assert_eq!(schedule.due(3, 100), Some(1_003_000_000));
    }
}
