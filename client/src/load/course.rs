//! Where a worker is in the course of the load: which phase, what of it is done, how long the end
//! may take.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::steer::Phase;

/// How long the last answers are waited for when somebody wants the load to stop, in nanoseconds.
const HURRIED: u64 = 200_000_000;

/// The course of one worker.
#[derive(Debug)]
pub(super) struct Course {
    phase: Phase,
    /// Whether the main thread knows that nothing is left to do in this phase.
    announced: bool,
    /// How long the last answers are waited for, in nanoseconds.
    patience: u64,
    /// Until when something is waited for at the end, in nanoseconds of the clock.
    deadline: Option<u64>,
    cpu_began: Duration,
    cpu: Duration,
    ended: u64,
}

impl Course {
    /// At the beginning; at the end, the last answers are waited for so many nanoseconds.
    pub(super) fn new(patience: u64) -> Self {
        Self {
            phase: Phase::Connecting,
            announced: false,
            patience,
            deadline: None,
            cpu_began: Duration::ZERO,
            cpu: Duration::ZERO,
            ended: 0,
        }
    }

    /// The phase that goes on.
    #[inline]
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Leaves the phase that goes on, at `now`; says which it was.
    pub(super) fn leave(&mut self, now: u64) -> Phase {
        if self.phase == Phase::Measuring {
            (self.ended, self.cpu) = (now, thread_cpu().saturating_sub(self.cpu_began));
        }
        self.phase
    }

    /// A phase begins, at `now`.
    pub(super) fn enter(&mut self, phase: Phase, now: u64) {
        (self.phase, self.announced) = (phase, false);
        self.deadline = (phase == Phase::Finishing).then(|| now.saturating_add(self.patience));
        self.cpu_began = thread_cpu();
    }

    /// Whether the main thread is to be told now that this phase is done: once.
    pub(super) fn announce(&mut self, is_done: bool) -> bool {
        let is_news = is_done && !self.announced;
        self.announced |= is_news;
        is_news
    }

    /// Whether requests may be begun; not after the end of a phase, but for those that were due
    /// within the measurement and could not be sent then, `owed` in an open loop: they would have
    /// been the slowest, and must not be missing.
    #[inline]
    pub(super) fn asks(&self, owed: bool) -> bool {
        self.phase.asks() || (owed && self.phase == Phase::Finishing)
    }

    /// When the worker must look again, at the end.
    pub(super) fn wake_at(&self) -> Option<u64> {
        self.deadline
    }

    /// Whether nothing more is waited for, at `now`; not for long if somebody wants it to stop.
    pub(super) fn is_over(&mut self, now: u64, is_stopped: bool) -> bool {
        if is_stopped {
            self.deadline = self.deadline.map(|deadline| deadline.min(now.saturating_add(HURRIED)));
        }
        self.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// CPU time of this thread within the measurement.
    pub(super) fn cpu(&self) -> Duration {
        self.cpu
    }

    /// When the measurement was left, in nanoseconds of the clock.
    pub(super) fn ended(&self) -> u64 {
        self.ended
    }
}

/// CPU time of this thread since it began.
fn thread_cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_end_answers_are_waited_for_but_not_when_somebody_stops() {
        let mut course = Course::new(1_000_000_000);
        course.enter(Phase::Finishing, 5);
        assert!(course.asks(true) && !course.asks(false));
        assert!(!course.is_over(1_000_000_004, false) && course.is_over(1_000_000_005, false));
        assert!(!course.is_over(300, true) && course.is_over(300 + HURRIED, true));
        assert_eq!(course.wake_at(), Some(300 + HURRIED));
    }

    #[test]
    fn the_end_of_a_phase_is_told_once() {
        let mut course = Course::new(1);
        assert_eq!([false, true, true].map(|done| course.announce(done)), [false, true, false]);
        course.enter(Phase::Measuring, 1);
        assert!(course.announce(true));
        assert_eq!((course.leave(9), course.ended()), (Phase::Measuring, 9));
    }
}
