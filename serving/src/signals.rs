//! What wakes a server besides its clients: signals and finished work, both as something to read
//! from a descriptor.
//!
//! A flag that is tested before a blocking call loses the signal that arrives in between. A byte in
//! a pipe does not: the one place that sleeps watches it as well.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use signal_hook::consts::{SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

use crate::{Tally, manager, process};

/// The signals that stop a server.
pub const STOP_SIGNALS: [i32; 3] = [SIGTERM, SIGINT, SIGHUP];

/// This process's signals, as a descriptor that can be slept on.
#[derive(Debug)]
pub struct Signals {
    delivery: SignalDelivery<UnixStream, SignalOnly>,
    /// How many stop signals have arrived so far.
    stops: u32,
}

impl Signals {
    /// From now on the signals that a server obeys arrive here.
    ///
    /// # Errors
    /// If there is no descriptor for the pipe.
    pub fn new() -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        let watched = STOP_SIGNALS.into_iter().chain([SIGUSR1, SIGALRM, SIGCHLD]);
        let delivery = SignalDelivery::with_pipe(read, write, SignalOnly, watched)?;
        manager::tell_changes();
        Ok(Self { delivery, stops: 0 })
    }

    /// Takes what has arrived since the last call, and says whether the server is to stop; never
    /// waits. The status line is logged here, for SIGUSR1, and told to a service manager. SIGCHLD
    /// only wakes a server that makes children: look for them afterwards, not before.
    pub fn ask_to_stop(&mut self, tally: &Tally) -> bool {
        for signal in self.delivery.pending() {
            match signal {
                SIGUSR1 => tally.log(),
                SIGALRM => manager::tell_status(tally),
                SIGCHLD => process::reap_strangers(),
                _ => self.stops = self.stops.saturating_add(1),
            }
        }
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
        self.delivery.get_read().as_fd()
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
/// is not looked at.
///
/// A signal that interrupts the sleep ends it early: its byte is in the signals' descriptor by
/// then. At least one source must be there: a sleep that nothing can end is refused by returning at
/// once.
///
/// # Errors
/// `ENOMEM`, when the kernel cannot watch (poll(2)).
pub fn wait<const N: usize>(
    sources: [Option<BorrowedFd<'_>>; N],
    deadline: Option<Instant>,
) -> io::Result<[bool; N]> {
    let Some(any) = sources.into_iter().flatten().next() else { return Ok([false; N]) };
    let mut watched = sources.map(|source| match source {
        Some(source) => PollFd::new(source, PollFlags::POLLIN),
        None => PollFd::new(any, PollFlags::empty()),
    });
    match poll(&mut watched, timeout_until(deadline)) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(errno.into()),
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
