//! A process that serves: how it begins, what it does first, and what its end says.

#![allow(unsafe_code, reason = "signal handlers and close_range have no safe wrapper")]

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicI32, Ordering};

use common::process::{self, FAILED, Forked, Name};
use common::{Buffer, Outcome, stop};
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::Pid;

/// Exit codes of a child: its conversation's outcome, or [`FAILED`].
const COMPLETED: i32 = 0;
const TIMED_OUT: i32 = 2;

/// No listener in [`LISTENER`].
const NONE: i32 = -1;

/// The listener that a worker closes when it is told to stop, also in the middle of a conversation, so that the port is free.
static LISTENER: AtomicI32 = AtomicI32::new(NONE);

/// Starts a child that dies with its parent and obeys nobody else's signals.
///
/// Whatever can be prepared is prepared before: each page of code or data that the child is the first to touch costs it a fault.
///
/// # Errors
/// `EAGAIN` or `ENOMEM`: no process to be had.
pub(crate) fn fork() -> io::Result<Forked> {
    // No SA_RESTART: a worker that waits for a client must come back to see that it is to stop.
    let stop = SigAction::new(SigHandler::Handler(end_input), SaFlags::empty(), SigSet::empty());
    let forked = process::fork()?;
    if let Forked::Child = forked {
        // SAFETY: the handler touches atomics and calls shutdown and close: async-signal-safe.
        let handled = unsafe { sigaction(Signal::SIGTERM, &stop) };
        if handled.is_err() || process::hear_only_sigterm().is_err() {
            exit(Outcome::Failed);
        }
    }
    Ok(forked)
}

/// SIGTERM in a child: its conversation's input ends, and a worker waits for no other.
extern "C" fn end_input(_: i32) {
    let errno = Errno::last_raw();
    stop::end_input();
    let listener = LISTENER.swap(NONE, Ordering::SeqCst);
    if listener != NONE {
        // SAFETY: a worker that is stopping never uses its listener again (`close_when_stopped`).
        unsafe { libc::close(listener) };
    }
    Errno::set_raw(errno);
}

/// A child's life: one conversation, whose outcome is its exit code. Nothing of the parent's is dropped or flushed.
pub(crate) fn serve(stream: &TcpStream, name: Name, buffer: &mut Buffer) -> ! {
    close_all_but([stream.as_raw_fd()]);
    name.show();
    exit(converse(stream, buffer))
}

/// Ends this child at once: no destructor runs, nothing is flushed.
pub(crate) fn exit(outcome: Outcome) -> ! {
    process::exit(match outcome {
        Outcome::Completed => COMPLETED,
        Outcome::Failed => FAILED,
        Outcome::TimedOut => TIMED_OUT,
    })
}

/// From now on a stop closes `listener` too. For a worker, which looks at [`stop::stopping`] before it accepts, and never drops it.
pub(crate) fn close_when_stopped(listener: &TcpListener) {
    LISTENER.store(listener.as_raw_fd(), Ordering::SeqCst);
}

/// Serves one conversation whose input SIGTERM ends. A panic ends this client only.
pub(crate) fn converse(stream: &TcpStream, buffer: &mut Buffer) -> Outcome {
    let _current = stop::Current::new(stream);
    let served = panic::catch_unwind(AssertUnwindSafe(|| common::converse(stream, buffer, || false)));
    served.unwrap_or(Outcome::Failed)
}

/// Closes every descriptor beyond the standard ones except `kept`: an inherited listener would keep the port bound after the
/// parent's end, and another client's socket would keep that client from ever seeing its end.
///
/// For children only, which end by `_exit`: the inherited values that own those descriptors are never used or dropped again.
pub(crate) fn close_all_but<const N: usize>(mut kept: [i32; N]) {
    kept.sort_unstable();
    let mut first = 3;
    for last in kept.map(|kept| kept - 1).into_iter().chain([i32::MAX]) {
        if first <= last {
            // SAFETY: close_range takes no pointer, and nothing in this process uses these descriptors any more. Where it
            // fails (Linux before 5.9), they stay open until the child ends.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
        first = last.saturating_add(2);
    }
}

/// Collects one child that has ended, if any has. SIGCHLD tells of several ends at once, so call it until it says `None`.
pub(crate) fn reap() -> Option<(Pid, Outcome)> {
    let (child, code) = process::reap()?;
    let outcome = match code {
        Some(COMPLETED) => Outcome::Completed,
        Some(TIMED_OUT) => Outcome::TimedOut,
        _ => Outcome::Failed,
    };
    Some((child, outcome))
}
