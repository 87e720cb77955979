//! One clock for all processes of this machine, and whether its clock is one for many machines.

use nix::libc;
use nix::time::{ClockId, clock_gettime};

/// Now, in nanoseconds of CLOCK_MONOTONIC.
pub fn now_ns() -> u64 {
    // It cannot fail for this clock, and is never negative.
    let now =
        clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |now| now.tv_sec() * 1_000_000_000 + now.tv_nsec());
    u64::try_from(now).unwrap_or(0)
}

/// Whether this machine's clock follows another one (adjtimex(2)); `None` where the system does not
/// say.
#[allow(unsafe_code, reason = "no library that is at hand has this call")]
pub fn is_synchronised() -> Option<bool> {
    // SAFETY: it is a plain struct of numbers, of which any bits are a value; all zero, it asks to
    // change nothing.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a whole struct that lives until the call returns.
    let answer = unsafe { libc::adjtimex(&raw mut state) };
    (answer >= 0).then_some(answer != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0)
}

/// What tells this machine, since it was started last, from all others, and nothing else of it;
/// `None` where the system does not say. All processes with the same have the same clock.
pub fn machine() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}
