//! Computing that each read costs on top: what a benchmark asks for, to see who uses how many cores. Normally none.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of each read's work; 0, which is what a server that nobody measures has, costs one branch that is always the same.
static NANOS: AtomicU64 = AtomicU64::new(0);

/// From now on [`spend`] takes so long, in this process and those that it forks.
pub(crate) fn ask(work: Duration) {
    NANOS.store(u64::try_from(work.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// Computes for as long as was asked for, before an answer is sent. Who drives a [`Conversation`](crate::Conversation) without
/// [`drive`](crate::drive()) calls it after each read.
#[inline]
pub fn spend() {
    let nanos = NANOS.load(Ordering::Relaxed);
    if nanos > 0 {
        compute(nanos);
    }
}

/// Counts CPU time of this thread and not the time of day: a thread that waits for a core has not computed meanwhile.
#[cold]
fn compute(nanos: u64) {
    let now = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::MAX, Duration::from);
    let end = now().saturating_add(Duration::from_nanos(nanos));
    while now() < end {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_the_cpu_time_that_was_asked_for() {
        let now = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
        let began = now();
        compute(2_000_000);
        let spent = now() - began;
        assert!(spent >= Duration::from_millis(2), "{spent:?}");
        assert!(spent < Duration::from_millis(50), "{spent:?}");
    }
}
