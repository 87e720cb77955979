//! When requests are due in an open loop, and a clock that can wake at such a moment.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::options::Stage;
use super::share::Share;

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

/// The moments at which requests are due: request `k` when the rate, added up, has come to `k`; on
/// connection `k mod connections`.
///
/// A moment follows from the number alone, so nothing has to be queued for a connection that falls
/// behind, and nothing that it does can move the moments of the others (no coordinated omission).
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    start: u64,
    /// In order; there is one at least, and the last one goes on for ever.
    pieces: Vec<Piece>,
    connections: u64,
    end: u64,
}

/// A stretch of time in which the rate stays or changes steadily.
#[derive(Debug, Clone, Copy)]
struct Piece {
    /// When it begins, in nanoseconds since the schedule's start.
    from: f64,
    /// Requests that are due before it.
    before: f64,
    /// Requests per nanosecond at its start.
    rate: f64,
    /// By how much the rate grows in a nanosecond.
    slope: f64,
}

impl Schedule {
    /// A schedule that begins at `start` (in nanoseconds of the clock) and ends after `requests`.
    pub(super) fn constant(start: u64, per_second: f64, connections: usize, requests: Option<u64>) -> Self {
        let piece = Piece { from: 0.0, before: 0.0, rate: per_second / 1e9, slope: 0.0 };
        let end = requests.unwrap_or(u64::MAX);
        Self { start, pieces: vec![piece], connections: connections as u64, end }
    }

    /// A schedule that goes through stages, and ends with the last one.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and saturates")]
    pub(super) fn staged(start: u64, stages: &[Stage], connections: usize, requests: Option<u64>) -> Self {
        let (mut from, mut before) = (0.0, 0.0);
        let mut pieces = Vec::new();
        for stage in stages {
            let (rate, length) = (stage.from / 1e9, nanos(stage.length) as f64);
            pieces.push(Piece { from, before, rate, slope: (stage.to / 1e9 - rate) / length });
            before += f64::midpoint(rate, stage.to / 1e9) * length;
            from += length;
        }
        let end = requests.unwrap_or(u64::MAX).min(before.round() as u64);
        Self { start, pieces, connections: connections as u64, end }
    }

    /// When request `nth` (from 0) of connection `connection` is due, in nanoseconds of the clock;
    /// `None` after the last one.
    #[inline]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and saturates")]
    pub(super) fn due(&self, connection: u64, nth: u64) -> Option<u64> {
        let k = nth.saturating_mul(self.connections).saturating_add(connection);
        if k >= self.end {
            return None;
        }
        let k = k as f64;
        // Of pieces that begin with the same request, all but the last have none.
        let piece = self.pieces.iter().rfind(|piece| piece.before <= k).unwrap_or(&self.pieces[0]);
        Some(self.start.saturating_add((piece.from + piece.time_of(k - piece.before)).round() as u64))
    }

    /// How many requests of a connection are due by `now`, counted without a look at each: at an
    /// absurd rate there are billions.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and saturates")]
    pub(super) fn due_by(&self, connection: u64, now: u64) -> u64 {
        let is_due = |nth: u64| self.due(connection, nth).is_some_and(|due| due <= now);
        let last = self.count_by(now.saturating_sub(self.start) as f64) as u64;
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

    /// How many requests of all connections are due in so many nanoseconds.
    pub(super) fn count_by(&self, elapsed: f64) -> f64 {
        let piece = self.pieces.iter().rfind(|piece| piece.from <= elapsed).unwrap_or(&self.pieces[0]);
        let time = elapsed - piece.from;
        (piece.before + piece.rate * time + piece.slope * time * time / 2.0).min(self.end as f64)
    }
}

impl Piece {
    /// After how many nanoseconds of it so many requests are due: solves `rate t + slope t²/2`.
    #[inline]
    fn time_of(&self, requests: f64) -> f64 {
        if self.slope == 0.0 {
            return requests / self.rate;
        }
        let root = (self.rate * self.rate + 2.0 * self.slope * requests).max(0.0).sqrt();
        2.0 * requests / (self.rate + root).max(f64::MIN_POSITIVE)
    }
}

/// A worker's place in the schedule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    share: Share,
    slot: usize,
    nth: u64,
}

impl Cursor {
    /// Before the first request of that share.
    pub(super) fn new(share: Share) -> Self {
        Self { share, slot: 0, nth: 0 }
    }

    /// When the next request of this worker is due; `None` after the last one.
    #[inline]
    pub(super) fn due(&self, schedule: &Schedule) -> Option<u64> {
        schedule.due(self.share.number(self.slot), self.nth)
    }

    /// Passes over that request, and says to which slot it belongs.
    pub(super) fn advance(&mut self) -> usize {
        let slot = self.slot;
        self.slot += 1;
        if self.slot == self.share.slots() {
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
        let schedule = Schedule::constant(1000, 1e9, 7, Some(100));
        let mut all = Vec::new();
        for index in 0..3 {
            let mut cursor = Cursor::new(Share::new(index, 3, 7));
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
        let constant = [(3.0, None), (1000.0, Some(95)), (1e9, Some(1000)), (1e9, None), (0.1, None)]
            .map(|(rate, end)| Schedule::constant(777, rate, 7, end));
        let stages = [stage(1, 0.0, 0.0), stage(2, 0.0, 50.0), stage(3, 50.0, 50.0), stage(1, 50.0, 0.0)];
        let staged = [None, Some(95)].map(|end| Schedule::staged(777, &stages, 7, end));
        for schedule in constant.iter().chain(&staged) {
            for now in [0, 776, 777, 778, 1_000, 1_000_777, 3_333_334_110, 6_500_000_000, 20_000_000_000] {
                for connection in 0..7 {
                    let due = schedule.due_by(connection, now);
                    let is_due = |nth| schedule.due(connection, nth).is_some_and(|due| due <= now);
                    assert!(due == 0 || is_due(due - 1), "{schedule:?} {now} {connection}: {due}");
                    assert!(!is_due(due), "{schedule:?} {now} {connection}: {due}");
                }
            }
        }
    }

    #[test]
    fn a_request_is_due_by_its_number_alone() {
        let schedule = Schedule::constant(0, 1000.0, 10, None);
        assert_eq!(schedule.due(3, 0), Some(3_000_000));
        assert_eq!(schedule.due(3, 100), Some(1_003_000_000));
    }

    #[test]
    fn stages_hold_a_rate_or_change_it_steadily() {
        // 100 in the first second, 0 in the second, 300 from then on in a ramp of two seconds.
        let stages = [stage(1, 100.0, 100.0), stage(1, 0.0, 0.0), stage(2, 100.0, 200.0)];
        let schedule = Schedule::staged(0, &stages, 1, None);
        let due = |k| schedule.due(0, k);
        assert_eq!((due(0), due(50), due(99)), (Some(0), Some(500_000_000), Some(990_000_000)));
        assert_eq!((due(100), due(399).is_some(), due(400)), (Some(2_000_000_000), true, None));
        // 100 t + 25 t² is 125 after one of the two seconds.
        assert_eq!((due(225), schedule.count_by(3e9)), (Some(3_000_000_000), 225.0));
        let all: Vec<u64> = (0..400).filter_map(due).collect();
        assert!(all.is_sorted() && all[399] < 4_000_000_000, "{}", all[399]);
    }

    fn stage(seconds: u64, from: f64, to: f64) -> Stage {
        Stage { length: Duration::from_secs(seconds), from, to }
    }
}
