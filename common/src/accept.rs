//! What to do when accepting, or making room for what was accepted, fails.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long a server stops accepting when the system has run out of something.
const PAUSE: Duration = Duration::from_millis(100);

/// At most one line in this time is logged about it.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Why `accept` brought no connection, by errno (accept(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptError {
    /// Nobody waits in the queue, or a signal ended the wait for somebody.
    QueueEmpty,
    /// This one connection broke before it was accepted: take the next.
    Connection,
    /// The system has run out of descriptors or memory: wait, or the loop spins.
    Resources,
    /// The listener itself is unusable.
    Listener,
}

impl AcceptError {
    /// Classifies what `accept` failed with.
    pub fn of(error: &io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EAGAIN | Errno::EINTR) => Self::QueueEmpty,
            // ENOSPC from who watches what it accepts in the same call: no more watches (epoll_ctl(2)).
            Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM | Errno::ENOSPC) => {
                Self::Resources
            }
            Some(Errno::EBADF | Errno::EINVAL | Errno::ENOTSOCK | Errno::EOPNOTSUPP | Errno::EFAULT)
            | None => Self::Listener,
            // ECONNABORTED, EPERM from a firewall, and the network errors of the new connection that Linux passes on.
            Some(_) => Self::Connection,
        }
    }
}

/// Whether a connection waits in the listener's queue. To ask costs a fraction of a call of `accept` that brings nothing, which makes a
/// socket before it looks.
pub fn one_waits(listener: &impl AsFd) -> bool {
    let mut watched = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    // Where it cannot be asked, `accept` will tell.
    poll(&mut watched, PollTimeout::ZERO) != Ok(0)
}

/// Remembers that the system has run out of something, so that the server waits a moment instead of spinning or dying.
#[derive(Debug, Default)]
pub struct AcceptPause {
    until: Option<Instant>,
    logged: Option<Instant>,
    unlogged: u64,
}

impl AcceptPause {
    /// Sorts the result of an `accept` call: a connection, or `None` when there is nothing to accept for now.
    /// A connection that broke in the queue is skipped: `accept` is called again.
    ///
    /// # Errors
    /// If the listener itself is unusable.
    #[inline]
    pub fn accept<S>(&mut self, mut accept: impl FnMut() -> io::Result<S>) -> Result<Option<S>> {
        loop {
            let error = match accept() {
                Ok(accepted) => return Ok(Some(accepted)),
                Err(error) => error,
            };
            match AcceptError::of(&error) {
                AcceptError::QueueEmpty => return Ok(None),
                AcceptError::Connection => {}
                AcceptError::Resources => {
                    self.begin("accept a connection", &error);
                    return Ok(None);
                }
                AcceptError::Listener => return Err(error).context("cannot accept connections any more"),
            }
        }
    }

    /// Begins a pause because `action` failed for lack of resources; logged at most once a second.
    pub fn begin(&mut self, action: &str, error: &io::Error) {
        let now = Instant::now();
        self.until = Some(now + PAUSE);
        if self.logged.is_none_or(|logged| now.duration_since(logged) >= LOG_INTERVAL) {
            let more = match self.unlogged {
                0 => String::new(),
                count => format!(" (and {count} times before, not logged)"),
            };
            log::warn!("cannot {action}: {error}; trying again in {} ms{more}", PAUSE.as_millis());
            self.logged = Some(now);
            self.unlogged = 0;
        } else {
            self.unlogged += 1;
        }
    }

    /// When the pause ends; `None` when there is none. A pause that has passed is forgotten here.
    pub fn until(&mut self) -> Option<Instant> {
        if self.until.is_some_and(|until| until <= Instant::now()) {
            self.until = None;
        }
        self.until
    }
}
