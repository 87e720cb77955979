//! A stop: when each conversation's input ends, and when its last answers are delivered. One rule
//! for every model.
//!
//! `shutdown(SHUT_RD)` on a conversation's socket makes its blocked read return what is left and
//! then the end (shutdown(2)), so a stop becomes the ordinary end of input. It is a state of the
//! socket, not an event: it cannot be missed by a thread that is just about to read. Never do that
//! to a listening socket: others may share it. Waking a blocked conversation works the same way: a
//! socket that has become non-blocking (O_NONBLOCK) cannot be slept on either.

#![allow(unsafe_code, reason = "a signal handler borrows a descriptor by its number")]

use std::io;
use std::mem::ManuallyDrop;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd, FromRawFd as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use common::Turn;
use nix::errno::Errno;
use signal_hook::consts::{SIGALRM, SIGCHLD, SIGUSR1};
use socket2::SockRef;

use crate::signals::STOP_SIGNALS;
use crate::tcp::{self, Info};

/// A peer is quiet when it has sent nothing for this long ...
const QUIET: Duration = Duration::from_millis(200);

/// ... and so many round trips of its own connection: it may be far away, and have an answer on its
/// way.
const QUIET_ROUND_TRIPS: u32 = 4;

/// After the drain timeout: how much time there is to answer what has arrived until then, and to
/// deliver that.
const LAST_SECOND: Duration = Duration::from_secs(1);

/// How often a server that stops looks at its conversations ...
pub const LOOK: Duration = Duration::from_millis(20);

/// ... unless they are so many that it would do little else: a look is at most this part of the
/// time. In `server-tokio`, where the tasks look afterwards, that is the part that wakes them.
const LOOKING: u32 = 4;

static DRAIN: OnceLock<Drain> = OnceLock::new();

/// What becomes of a conversation's input during a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The peer is in the middle of something: it goes on.
    Open,
    /// It ends: `shutdown(SHUT_RD)`. What has arrived is still read, and then the end.
    Ended,
    /// The peer did not even pause then: no more is read, whatever arrives.
    Unheard,
}

/// The stop of this process: when it began decides when it is over.
#[derive(Debug, Clone, Copy)]
pub struct Drain {
    deadline: Instant,
    next_look: Instant,
    /// When the look began that is going on.
    looking: Option<Instant>,
}

impl Drain {
    /// From now on this process is stopping. The first call counts.
    pub fn begin(timeout: Duration) -> Self {
        let now = Instant::now();
        *DRAIN.get_or_init(|| Self { deadline: now + timeout, next_look: now, looking: None })
    }

    /// The stop that this process is in, if it is in one.
    #[inline]
    pub fn current() -> Option<Self> {
        DRAIN.get().copied()
    }

    /// What becomes of the input on `socket`: it ends when the peer has been quiet for a moment,
    /// and at the deadline.
    pub fn input(self, socket: &impl AsFd) -> Input {
        if self.is_deaf() {
            Input::Unheard
        } else if Instant::now() >= self.deadline || is_quiet(socket) {
            Input::Ended
        } else {
            Input::Open
        }
    }

    /// Whether nothing more is read from anybody.
    fn is_deaf(self) -> bool {
        Instant::now() >= self.deadline + LAST_SECOND / 2
    }

    /// Whether it is time to look at the conversations again. The look ends when it is asked when
    /// the [next](Self::next_look) one is due.
    pub fn looks_again(&mut self) -> bool {
        let now = Instant::now();
        self.looking = (now >= self.next_look).then_some(now);
        self.looking.is_some()
    }

    /// When the next look is due: no later than there is another answer to [`input`](Self::input).
    pub fn next_look(&mut self) -> Instant {
        if let Some(began) = self.looking.take() {
            let next = began + LOOK.max(began.elapsed() * LOOKING);
            let changes = [Duration::ZERO, LAST_SECOND / 2, LAST_SECOND].map(|after| self.deadline + after);
            let change = changes.into_iter().find(|change| *change > began);
            self.next_look = change.map_or(next, |change| change.min(next));
        }
        self.next_look
    }

    /// Whether what is open now is to be cut.
    pub fn is_over(self) -> bool {
        Instant::now() >= self.deadline + LAST_SECOND
    }
}

/// How far a conversation may go in a turn: as usual, but without a further read where the stop
/// hears nobody any more ([`Input::Unheard`]).
#[inline]
pub fn bounded(usual: Turn) -> Turn {
    let deaf = Drain::current().is_some_and(Drain::is_deaf);
    if deaf { Turn { bytes: 0, ..usual } } else { usual }
}

/// Whether the peer has paused: nothing unread, nothing unsent or unacknowledged, nothing received
/// for a moment.
fn is_quiet(socket: &impl AsFd) -> bool {
    // Where there is nothing to be known, reading will tell.
    let Some(info) = Info::of(socket) else { return true };
    let moment = QUIET + QUIET_ROUND_TRIPS * info.round_trip();
    info.outstanding() == 0 && info.since_received() >= moment && !tcp::is_readable(socket)
}

/// What has become of the bytes that were sent on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The peer's system has acknowledged them all, and will learn that no more come: the socket
    /// can be closed.
    Done,
    /// Not yet all.
    Pending,
    /// The connection has broken: some never will be.
    Failed,
}

/// Looks whether the peer's system has acknowledged everything that was sent on `socket`, whose
/// input the server has ended.
///
/// A peer that ends its input first needs no such wait. But where the server ends a conversation,
/// bytes may still arrive, and closing the socket then makes the kernel reset the connection and
/// forget what is not delivered yet (RFC 1122, 4.2.2.13). So they are thrown away until all is
/// delivered, and our own end is sent before the socket is closed.
pub fn deliver(socket: &impl AsFd) -> Delivery {
    tcp::discard(socket);
    match Info::of(socket) {
        Some(info) if info.is_broken() => Delivery::Failed,
        Some(info) if info.outstanding() > 0 => Delivery::Pending,
        Some(_) => {
            // It fails only where the peer has already gone.
            let _ = SockRef::from(socket).shutdown(Shutdown::Write);
            Delivery::Done
        }
        None => Delivery::Failed,
    }
}

/// No conversation in [`CURRENT`].
const NONE: i32 = -1;

static CURRENT: AtomicI32 = AtomicI32::new(NONE);
static WOKEN: AtomicBool = AtomicBool::new(false);

/// The one conversation of a process with one thread, which signals can wake ([`wake`]).
#[derive(Debug)]
pub struct Current<'a>(&'a TcpStream);

impl<'a> Current<'a> {
    /// Marks `stream` as the current conversation until the value is dropped.
    pub fn new(stream: &'a TcpStream) -> Self {
        CURRENT.store(stream.as_raw_fd(), Ordering::SeqCst);
        // The signal may have come after the connection and before the mark.
        if WOKEN.load(Ordering::SeqCst) {
            let _ = stream.set_nonblocking(true);
        }
        Self(stream)
    }

    /// From now on the conversation blocks again. Look for what the signals want afterwards, not
    /// before.
    pub fn sleep_again(&self) {
        WOKEN.store(false, Ordering::SeqCst);
        // A socket that cannot be told so is one that the next read fails on.
        let _ = self.0.set_nonblocking(false);
    }
}

impl Drop for Current<'_> {
    fn drop(&mut self) {
        debug_assert_eq!(CURRENT.load(Ordering::SeqCst), self.0.as_raw_fd());
        CURRENT.store(NONE, Ordering::SeqCst);
    }
}

/// From now on the signals that a server obeys wake the current conversation, besides what else
/// they do.
///
/// # Errors
/// If a handler cannot be installed.
pub fn wake_on_signals() -> io::Result<()> {
    for signal in STOP_SIGNALS.into_iter().chain([SIGUSR1, SIGALRM, SIGCHLD]) {
        // SAFETY: the action only touches atomics and calls ioctl, a bare system call on Linux.
        unsafe { signal_hook::low_level::register(signal, wake) }?;
    }
    Ok(())
}

/// Whether [`wake`] was called and [`Current::sleep_again`] was not since.
pub fn is_woken() -> bool {
    WOKEN.load(Ordering::SeqCst)
}

/// Lets the current conversation's blocking call return, or the next one not sleep.
/// Async-signal-safe: for a signal handler.
pub fn wake() {
    let errno = Errno::last_raw();
    WOKEN.store(true, Ordering::SeqCst);
    let socket = CURRENT.load(Ordering::SeqCst);
    if socket != NONE {
        // SAFETY: `Current` keeps the descriptor open while it is marked, this process has one
        // thread, and nothing is closed here.
        let socket = ManuallyDrop::new(unsafe { TcpStream::from_raw_fd(socket) });
        // One ioctl(2), which fails for no open socket.
        let _ = socket.set_nonblocking(true);
    }
    Errno::set_raw(errno);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_look_takes_a_part_of_the_time_only_and_one_look_is_at_the_deadline() {
        let now = Instant::now();
        let mut drain = Drain { deadline: now + 100 * LOOK, next_look: now, looking: None };
        assert!(drain.looks_again());
        std::thread::sleep(2 * LOOK);
        let next = drain.next_look();
        assert!(next >= now + 2 * LOOK * LOOKING, "the look took two usual pauses");
        assert!(!drain.looks_again() && drain.next_look() == next);
        let mut drain = Drain { deadline: now + 3 * LOOK, next_look: now, looking: Some(now) };
        assert_eq!(drain.next_look(), drain.deadline);
    }

    #[test]
    fn of_the_last_second_one_half_is_for_hearing_and_one_for_delivering() {
        let of = |passed| {
            let deadline = Instant::now() - passed;
            Drain { deadline, next_look: deadline, looking: Some(deadline) }
        };
        let (before, after) = (of(LAST_SECOND * 2 / 5), of(LAST_SECOND * 3 / 5));
        assert!(!before.is_deaf() && after.is_deaf() && !after.is_over() && of(LAST_SECOND).is_over());
        // A look that takes long does not pass over the moment in between.
        let mut slow = before;
        assert_eq!(slow.next_look(), slow.deadline + LAST_SECOND / 2);
    }
}
