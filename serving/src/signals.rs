//! What wakes a server besides its clients: signals and finished work, both as something to read
//! from a descriptor.
//!
//! A flag that is tested before a blocking call loses the signal that arrives in between. A
//! descriptor that can be read does not: the one place that sleeps watches it as well. It is an
//! eventfd, since a handler's byte into a pipe or socket needs memory, which may lack.

#![allow(unsafe_code, reason = "what a signal handler may do cannot be checked")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use signal_hook::consts::{SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::{SigId, low_level};

use crate::{Pause, Tally, manager, pause, process};

/// The signals that stop a server.
pub const STOP_SIGNALS: [i32; 3] = [SIGTERM, SIGINT, SIGHUP];

/// This process's signals, as a descriptor that can be slept on.
#[derive(Debug)]
pub struct Signals {
    arrived: Arc<Arrived>,
    handlers: Vec<SigId>,
    /// How many stop signals have arrived so far.
    stops: u32,
}

/// What handlers tell.
#[derive(Debug)]
struct Arrived {
    bell: Bell,
    stops: AtomicU32,
    /// Whether the status is asked for.
    asked: AtomicBool,
    /// Whether it is time to tell a service manager the status.
    due: AtomicBool,
    /// Whether a child has ended.
    ended: AtomicBool,
}

impl Arrived {
    /// Async-signal-safe: for a signal handler.
    fn tell(&self, signal: i32) {
        match signal {
            SIGUSR1 => self.asked.store(true, Ordering::SeqCst),
            SIGALRM => self.due.store(true, Ordering::SeqCst),
            SIGCHLD => self.ended.store(true, Ordering::SeqCst),
            _ => drop(self.stops.fetch_add(1, Ordering::SeqCst)),
        }
        let errno = Errno::last_raw();
        self.bell.ring();
        Errno::set_raw(errno);
    }
}

impl Signals {
    /// From now on the signals that a server obeys arrive here.
    ///
    /// # Errors
    /// If there is no descriptor for them.
    pub fn new() -> io::Result<Self> {
        let arrived = Arc::new(Arrived {
            bell: Bell::new()?,
            stops: AtomicU32::new(0),
            asked: AtomicBool::new(false),
            due: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        let mut signals = Self { arrived, handlers: Vec::new(), stops: 0 };
        for signal in STOP_SIGNALS.into_iter().chain([SIGUSR1, SIGALRM, SIGCHLD]) {
            let arrived = Arc::clone(&signals.arrived);
            // SAFETY: the action only touches atomics and writes to an eventfd, which is
            // async-signal-safe.
            let handler = unsafe { low_level::register(signal, move || arrived.tell(signal)) };
            signals.handlers.push(handler?);
        }
        manager::tell_changes();
        Ok(signals)
    }

    /// Takes what has arrived since the last call, and says whether the server is to stop; never
    /// waits. The status line is logged here, for SIGUSR1, and told to a service manager. SIGCHLD
    /// only wakes a server that makes children: look for them afterwards, not before.
    pub fn ask_to_stop(&mut self, tally: &Tally) -> bool {
        self.arrived.bell.silence();
        if self.arrived.asked.swap(false, Ordering::SeqCst) {
            tally.log();
        }
        if self.arrived.due.swap(false, Ordering::SeqCst) {
            manager::tell_status(tally);
        }
        if self.arrived.ended.swap(false, Ordering::SeqCst) {
            process::reap_strangers();
        }
        self.stops = self.stops.saturating_add(self.arrived.stops.swap(0, Ordering::SeqCst));
        self.stops > 0
    }

    /// Whether a second stop signal has arrived: cut what is open. It may have come together with
    /// the first.
    pub fn stop_at_once(&self) -> bool {
        self.stops > 1
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.arrived.bell.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for handler in self.handlers.drain(..) {
            low_level::unregister(handler);
        }
    }
}

/// Tells a sleeping server that work has finished. Publish the fact first, then ring: who wakes
/// must be able to see it.
#[derive(Debug)]
pub struct Bell(EventFd);

impl Bell {
    /// A bell that nobody has rung.
    ///
    /// # Errors
    /// If there is no descriptor for it.
    pub fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self(EventFd::from_value_and_flags(0, flags)?))
    }

    /// Wakes whoever sleeps on the bell, or will.
    pub fn ring(&self) {
        // Fails only when the counter is full, and then it has been rung often enough.
        let _ = self.0.write(1);
    }

    /// Makes the bell silent until it is rung again. Look for finished work afterwards, not before.
    pub fn silence(&self) {
        let _ = self.0.read();
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sleeps until one of `sources` can be read or the deadline has passed, and says which can. `None`
/// is not looked at. At least one source must be there: a sleep that nothing can end is refused by
/// returning at once.
///
/// For servers: where the kernel cannot watch, for lack of memory or because the limit on
/// descriptors has sunk below their number (poll(2)), the sleep is a pause, logged at most once a
/// second. After it each source may be readable: none of them may be read in a way that waits.
///
/// # Errors
/// None that poll(2) names for a right call.
pub fn wait<const N: usize>(
    sources: [Option<BorrowedFd<'_>>; N],
    deadline: Option<Instant>,
) -> io::Result<[bool; N]> {
    static LACK: Mutex<Pause> = Mutex::new(Pause::NONE);
    let waited = try_wait(sources, deadline);
    let Err(error) = &waited else { return waited };
    if !matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::EINVAL)) {
        return waited;
    }
    LACK.lock().unwrap_or_else(PoisonError::into_inner).begin("wait for events", error);
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    thread::sleep(left.unwrap_or(pause::LENGTH).min(pause::LENGTH));
    Ok(sources.map(|source| source.is_some()))
}

/// The same for a caller that can do nothing about it where the kernel cannot watch.
///
/// # Errors
/// `ENOMEM`, or `EINVAL` where the limit on descriptors has sunk below their number (poll(2)).
pub fn try_wait<const N: usize>(
    sources: [Option<BorrowedFd<'_>>; N],
    deadline: Option<Instant>,
) -> io::Result<[bool; N]> {
    let Some(any) = sources.into_iter().flatten().next() else { return Ok([false; N]) };
    let mut watched = sources.map(|source| match source {
        Some(source) => PollFd::new(source, PollFlags::POLLIN),
        None => PollFd::new(any, PollFlags::empty()),
    });
    // A signal that ends the sleep early is in the signals' descriptor by then.
    while let Err(errno) = poll(&mut watched, timeout_until(deadline)) {
        if errno != Errno::EINTR {
            return Err(errno.into());
        }
    }
    let readable = watched.map(|source| source.any().unwrap_or(true));
    Ok(std::array::from_fn(|index| sources[index].is_some() && readable[index]))
}

/// The time until `deadline`, in whole milliseconds, rounded up so that one does not wake before
/// it.
fn timeout_until(deadline: Option<Instant>) -> PollTimeout {
    let Some(deadline) = deadline else { return PollTimeout::NONE };
    let left = deadline.saturating_duration_since(Instant::now());
    let millis = left.as_nanos().div_ceil(1_000_000);
    PollTimeout::try_from(u32::try_from(millis).unwrap_or(u32::MAX)).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_watched_and_can_be_read_is_told_and_nothing_else() {
        let (rung, silent) = (Bell::new().unwrap(), Bell::new().unwrap());
        let past = Some(Instant::now());
        let watch = |until| wait([Some(rung.as_fd()), Some(silent.as_fd()), None], until).unwrap();
        assert_eq!(watch(past), [false; 3]);
        rung.ring();
        rung.ring();
        assert_eq!(watch(None), [true, false, false]);
        rung.silence();
        assert_eq!(watch(past), [false; 3]);
    }
}
