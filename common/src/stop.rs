//! Reaching a conversation that a thread or process is blocked in, without a price per request.
//!
//! `shutdown(SHUT_RD)` on a conversation's socket makes its blocked read return what is left and then the end (shutdown(2)), so
//! a stop becomes the ordinary end of input. It is a state of the socket, not an event: it cannot be missed by a thread that is
//! just about to read. Never do that to a listening socket: others may share it. Waking it for something else works the same way:
//! a socket that has become non-blocking (O_NONBLOCK) cannot be slept on either.

#![allow(unsafe_code, reason = "a signal handler, an interval timer and an ioctl have no safe wrapper")]

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use signal_hook::consts::{SIGALRM, SIGUSR1};
use socket2::SockRef;

use crate::signals::STOP_SIGNALS;

/// How often [`wait_until_delivered`] looks.
const CLOSE_LOOK: Duration = Duration::from_millis(1);

/// How often a server with many conversations on one thread looks at those that it has ended, until all their answers are delivered.
pub const DELIVERY_LOOK: Duration = Duration::from_millis(5);

/// No conversation in [`CONVERSATION`].
const NONE: i32 = -1;

static STOPPING: AtomicBool = AtomicBool::new(false);
static CUT: AtomicBool = AtomicBool::new(false);
static CONVERSATION: AtomicI32 = AtomicI32::new(NONE);

/// Whether this process is stopping.
pub fn stopping() -> bool {
    STOPPING.load(Ordering::SeqCst)
}

/// From now on this process is stopping.
pub fn begin() {
    STOPPING.store(true, Ordering::SeqCst);
}

/// The one conversation of a single-threaded process, whose input a stop signal ends.
#[derive(Debug)]
pub struct Current<'a>(&'a TcpStream);

impl<'a> Current<'a> {
    /// Marks `stream` as the current conversation until the value is dropped.
    pub fn new(stream: &'a TcpStream) -> Self {
        CONVERSATION.store(stream.as_raw_fd(), Ordering::SeqCst);
        // The signal may have come after the connection and before the mark.
        if stopping() {
            let _ = stream.shutdown(Shutdown::Read);
        }
        Self(stream)
    }
}

impl Current<'_> {
    /// Whether a signal has woken the conversation from a blocking call, or would have. It blocks again from now on, so look for
    /// what the signals want afterwards, not before.
    pub fn was_woken(&self) -> bool {
        let woken = SockRef::from(self.0).nonblocking().unwrap_or(false);
        if woken {
            // A socket that cannot be told so is one that the next read fails on.
            let _ = self.0.set_nonblocking(false);
        }
        woken
    }
}

impl Drop for Current<'_> {
    fn drop(&mut self) {
        debug_assert_eq!(CONVERSATION.load(Ordering::SeqCst), self.0.as_raw_fd());
        CONVERSATION.store(NONE, Ordering::SeqCst);
    }
}

/// Begins the stop and ends the current conversation's input. Async-signal-safe: for use in a signal handler.
pub fn end_input() {
    begin();
    shut_current(libc::SHUT_RD);
}

/// Lets the current conversation's blocking call return, or the next one not sleep. Async-signal-safe.
fn wake() {
    let errno = Errno::last_raw();
    let socket = CONVERSATION.load(Ordering::SeqCst);
    if socket != NONE {
        // SAFETY: `Current` keeps the descriptor open while it is marked, and this process has one thread.
        let socket = unsafe { BorrowedFd::borrow_raw(socket) };
        let flags = fcntl(socket, FcntlArg::F_GETFL).map_or(OFlag::empty(), OFlag::from_bits_retain);
        // It fails for no open socket.
        let _ = fcntl(socket, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK));
    }
    Errno::set_raw(errno);
}

/// Ends the current conversation at once, both ways. Async-signal-safe.
fn cut() {
    CUT.store(true, Ordering::SeqCst);
    shut_current(libc::SHUT_RDWR);
}

fn shut_current(how: i32) {
    let errno = Errno::last_raw();
    let socket = CONVERSATION.load(Ordering::SeqCst);
    if socket != NONE {
        // SAFETY: shutdown takes no pointer, and `Current` keeps the descriptor open while it is marked.
        let _ = unsafe { libc::shutdown(socket, how) };
    }
    Errno::set_raw(errno);
}

/// Lets signals reach the current conversation of a process whose one thread is blocked in it. The first stop signal ends its input,
/// and `drain_timeout` later, or with the second one, it is cut. Each signal, and SIGUSR1, wakes it ([`Current::was_woken`]).
///
/// # Errors
/// If a handler cannot be installed.
pub fn obey_signals(drain_timeout: Duration) -> io::Result<()> {
    let drain = move || {
        if stopping() {
            cut();
        } else {
            end_input();
            alarm(drain_timeout);
            wake();
        }
    };
    for signal in STOP_SIGNALS {
        // SAFETY: the action only touches atomics and calls shutdown, fcntl and setitimer, which are async-signal-safe.
        unsafe { signal_hook::low_level::register(signal, drain) }?;
    }
    // SAFETY: the action only reads an atomic and calls fcntl, which is async-signal-safe.
    unsafe { signal_hook::low_level::register(SIGUSR1, wake) }?;
    // SAFETY: the action only reads an atomic and calls shutdown, which is async-signal-safe.
    unsafe { signal_hook::low_level::register(SIGALRM, cut) }?;
    Ok(())
}

/// Sends this process a SIGALRM after `delay`.
fn alarm(delay: Duration) {
    let zero = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let value = libc::timeval {
        tv_sec: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
        // A delay of zero would disarm the timer.
        tv_usec: i64::from(delay.subsec_micros()).max(1),
    };
    // SAFETY: both pointers are to values that live through the call; the old value may be null (setitimer(2)).
    unsafe {
        libc::setitimer(
            libc::ITIMER_REAL,
            &libc::itimerval { it_interval: zero, it_value: value },
            std::ptr::null_mut(),
        );
    }
}

/// What has become of the bytes that were sent on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The peer's system has acknowledged them all.
    Done,
    /// Not yet all.
    Pending,
    /// The connection has broken, or is cut: some never will be.
    Failed,
}

/// Waits until the bytes sent on `stream` are delivered, or never will be; says whether they are.
///
/// A peer that ends its input first needs no such wait. But where the server ends a conversation, bytes may still arrive, and
/// they make the kernel reset the connection and forget what is not delivered yet (RFC 1122, 4.2.2.13).
pub fn wait_until_delivered(stream: &TcpStream) -> bool {
    loop {
        match delivery(stream) {
            Delivery::Done => return true,
            Delivery::Failed => return false,
            Delivery::Pending => thread::sleep(CLOSE_LOOK),
        }
    }
}

/// How many bytes have arrived on `socket` that nobody has read yet (SIOCINQ, tcp(7)). After a stop, a conversation owes its peer the
/// answers to these, and no more: `shutdown(SHUT_RD)` alone ends no input that never pauses.
pub fn unread(socket: &impl AsFd) -> usize {
    nix::ioctl_read_bad!(
        /// How many bytes are received but not read.
        unread_bytes,
        libc::FIONREAD,
        libc::c_int
    );
    let mut unread = 0;
    // SAFETY: FIONREAD writes one int to the pointer, which is valid for it.
    let result = unsafe { unread_bytes(socket.as_fd().as_raw_fd(), &mut unread) };
    if result.is_ok() { usize::try_from(unread).unwrap_or(0) } else { 0 }
}

/// Whether the peer's system has acknowledged everything that was sent on `socket` (SIOCOUTQ, tcp(7)).
pub fn delivery(socket: &impl AsFd) -> Delivery {
    nix::ioctl_read_bad!(
        /// How many bytes are sent but not acknowledged.
        unacknowledged_bytes,
        libc::TIOCOUTQ,
        libc::c_int
    );
    // After a reset the count stands still for ever, so the error is looked at first.
    let broken = !matches!(SockRef::from(socket).take_error(), Ok(None));
    if broken || CUT.load(Ordering::SeqCst) {
        return Delivery::Failed;
    }
    let mut unacknowledged = 0;
    // SAFETY: TIOCOUTQ writes one int to the pointer, which is valid for it.
    match unsafe { unacknowledged_bytes(socket.as_fd().as_raw_fd(), &mut unacknowledged) } {
        Ok(_) if unacknowledged == 0 => Delivery::Done,
        Ok(_) => Delivery::Pending,
        Err(_) => Delivery::Failed,
    }
}
