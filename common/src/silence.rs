//! How loops and tasks count the idle timeout: in ticks. The blocking servers' sockets count it themselves.

use std::time::Duration;

/// The idle timeout is counted in this many ticks, so it is late by an eighth at the most. The price is one look at every
/// conversation per tick; a request costs no system call and no timer.
const IDLE_TICKS: u32 = 8;

/// The shortest tick.
const SHORTEST_TICK: Duration = Duration::from_millis(1);

/// The length of a tick; `None` where the idle timeout is zero, which means never.
pub fn tick(idle_timeout: Duration) -> Option<Duration> {
    (!idle_timeout.is_zero()).then(|| SHORTEST_TICK.max(idle_timeout / IDLE_TICKS))
}

/// Whether the idle timeout has passed at tick `now` for a conversation whose last event was in tick `active`.
pub fn is_over(now: u32, active: u32) -> bool {
    now.wrapping_sub(active) > IDLE_TICKS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_idle_timeout_is_over_after_it_and_at_most_an_eighth_later() {
        let timeout = Duration::from_secs(8);
        let length = tick(timeout).unwrap();
        let over = (0..20).find(|&passed| is_over(u32::MAX.wrapping_add(passed), u32::MAX)).unwrap();
        // The first tick may pass just after the last event.
        assert!(length * (over - 1) >= timeout && length * over <= timeout + timeout / 8);
        assert_eq!(tick(Duration::ZERO), None);
        assert_eq!(tick(Duration::from_micros(1)), Some(SHORTEST_TICK));
    }
}
