//! What a server makes of what it receives: the answer, and what else was asked for on the way.

use std::time::Duration;

use common::shout;
use nix::time::{ClockId, clock_gettime};

use crate::ServerOptions;

/// How many received bytes a log line shows at the most, when the log is asked to show them.
const SHOWN_BYTES: usize = 64;

/// Turns what was received into the answer: upper-cased, after computing for as long as `--work`
/// says.
#[derive(Debug, Clone, Copy)]
pub struct Transform {
    work: Duration,
}

impl Transform {
    /// The one that the options ask for.
    pub fn new(options: &ServerOptions) -> Self {
        Self { work: options.work }
    }

    /// Makes the answer in place.
    #[inline]
    pub fn apply(self, received: &mut [u8]) {
        if log::log_enabled!(log::Level::Trace) {
            show(received);
        }
        shout(received);
        if !self.work.is_zero() {
            compute(self.work);
        }
    }
}

/// Logs what a client sent: escaped, since the bytes are a stranger's, and cut.
#[cold]
fn show(received: &[u8]) {
    let shown = &received[..received.len().min(SHOWN_BYTES)];
    let cut = if shown.len() < received.len() { "..." } else { "" };
    log::trace!("received {} bytes: \"{}\"{cut}", received.len(), shown.escape_ascii());
}

/// Counts CPU time of this thread and not the time of day: a thread that waits for a core has not
/// computed meanwhile.
#[cold]
fn compute(work: Duration) {
    let now = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::MAX, Duration::from);
    let end = now().saturating_add(work);
    while now() < end {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_the_cpu_time_that_was_asked_for() {
        let now = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
        let began = now();
        let mut bytes = *b"hello";
        Transform { work: Duration::from_millis(2) }.apply(&mut bytes);
        let spent = now() - began;
        assert_eq!(&bytes, b"HELLO");
        assert!(spent >= Duration::from_millis(2), "{spent:?}");
        assert!(spent < Duration::from_millis(50), "{spent:?}");
    }
}
