//! Processes: how they begin, what a child does first, and how their ends are collected.

#![allow(unsafe_code, reason = "fork, signal handlers and close_range have no safe wrapper")]

use std::ffi::CStr;
use std::fs;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicI32, Ordering};

use anyhow::{Context, Result, ensure};
use common::{Buffer, Outcome, stop};
use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, kill, sigaction};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{self, ForkResult, Pid, getpid, getppid};

/// Exit codes of a child: its conversation's outcome.
const COMPLETED: i32 = 0;
const FAILED: i32 = 1;
const TIMED_OUT: i32 = 2;

/// No listener in [`LISTENER`].
const NONE: i32 = -1;

/// The listener that a worker closes when it is told to stop, also in the middle of a conversation, so that the port is free.
static LISTENER: AtomicI32 = AtomicI32::new(NONE);

/// What a child leaves to its parent. Ctrl-C reaches the whole process group: the parent decides what it means.
const PARENTS_SIGNALS: [Signal; 4] = [Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGCHLD];

/// The longest name that the kernel keeps for a process, in bytes (PR_SET_NAME, prctl(2)).
const NAME_BYTES: usize = 15;

/// Which of the two processes the caller is in after a [`fork`].
#[derive(Debug)]
pub(crate) enum Forked {
    Parent { child: Pid },
    Child,
}

/// Makes sure that forking is sound: a lock that another thread holds would stay locked in the child for ever (fork(2)).
///
/// # Errors
/// If this process has more than one thread.
pub(crate) fn require_one_thread() -> Result<()> {
    let threads = fs::read_dir("/proc/self/task").context("cannot count this process's threads")?.count();
    ensure!(threads == 1, "a process with {threads} threads cannot fork safely");
    Ok(())
}

/// Starts a child that dies with its parent and obeys nobody else's signals.
///
/// All signals are held back meanwhile: one that reached the child before it has a handler of its own would be written into the
/// parent's pipe. Whatever can be prepared is prepared before: each page of code or data that the child is the first to touch costs
/// it a fault.
///
/// # Errors
/// `EAGAIN` or `ENOMEM`: no process to be had.
pub(crate) fn fork() -> io::Result<Forked> {
    let parent = getpid();
    // No SA_RESTART: a worker that waits for a client must come back to see that it is to stop.
    let stop = SigAction::new(SigHandler::Handler(end_input), SaFlags::empty(), SigSet::empty());
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let mut deaf = before;
    for signal in PARENTS_SIGNALS {
        deaf.add(signal);
    }
    // SAFETY: this process has one thread (`require_one_thread`), so the child may do all that the parent may.
    let forked = unsafe { unistd::fork() };
    if let Ok(ForkResult::Child) = forked {
        die_with(parent);
        // SAFETY: the handler touches atomics and calls shutdown and close: async-signal-safe.
        let handled = unsafe { sigaction(Signal::SIGTERM, &stop) };
        if handled.is_err() || deaf.thread_set_mask().is_err() {
            exit(Outcome::Failed);
        }
        return Ok(Forked::Child);
    }
    before.thread_set_mask()?;
    match forked? {
        ForkResult::Parent { child } => Ok(Forked::Parent { child }),
        ForkResult::Child => Ok(Forked::Child),
    }
}

/// Has the kernel kill this child when its parent ends, also by SIGKILL.
fn die_with(parent: Pid) {
    let armed = prctl::set_pdeathsig(Signal::SIGKILL);
    // A parent that ended before the request was made sends nothing any more.
    if armed.is_err() || getppid() != parent {
        exit(Outcome::Failed);
    }
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
    signal_hook::low_level::exit(match outcome {
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

/// What a child is doing, as `ps` shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name([u8; NAME_BYTES + 1]);

impl Name {
    /// The end of `what`: that of a peer's address tells it from others better than its beginning.
    pub(crate) fn of(what: &impl std::fmt::Display) -> Self {
        let mut text = [0_u8; 64];
        let mut rest = &mut text[..];
        // A longer text is cut, and harms nobody.
        let _ = write!(rest, "{what}");
        let left = rest.len();
        let end = text.len() - left;
        let mut name = [0_u8; NAME_BYTES + 1];
        let shown = &text[end.saturating_sub(NAME_BYTES)..end];
        name[..shown.len()].copy_from_slice(shown);
        Self(name)
    }

    /// Makes it the name of this process.
    pub(crate) fn show(&self) {
        if let Ok(name) = CStr::from_bytes_until_nul(&self.0) {
            // Not to be able to show the name harms nobody.
            let _ = prctl::set_name(name);
        }
    }
}

/// Collects one child that has ended, if any has. SIGCHLD tells of several ends at once, so call it until it says `None`.
pub(crate) fn reap() -> Option<(Pid, Outcome)> {
    match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(child, COMPLETED)) => Some((child, Outcome::Completed)),
        Ok(WaitStatus::Exited(child, TIMED_OUT)) => Some((child, Outcome::TimedOut)),
        Ok(WaitStatus::Exited(child, _) | WaitStatus::Signaled(child, _, _)) => {
            Some((child, Outcome::Failed))
        }
        // None has ended, or there is none.
        Ok(_) | Err(_) => None,
    }
}

/// Sends `signal` to every child that has not been reaped, so that no pid is another process's by now.
///
/// The parent keeps no list of its own: each change to one would part a page of memory from every child that shares it. The
/// kernel's list may miss a child while another one ends (proc_pid_task_children(5)); that end brings a SIGCHLD, so call it
/// again then.
///
/// # Errors
/// If the kernel shows no list. The children then end with their parent, since the kernel kills them.
pub(crate) fn signal_children(signal: Signal) -> Result<()> {
    let list = format!("/proc/self/task/{}/children", getpid());
    let children = fs::read_to_string(list).context("cannot list the children to stop")?;
    for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
        // It fails only where the child has just ended.
        let _ = kill(Pid::from_raw(child), signal);
    }
    Ok(())
}

/// Kills every child and waits until none is left.
///
/// # Errors
/// Those of [`signal_children`].
pub(crate) fn kill_children() -> Result<()> {
    loop {
        signal_children(Signal::SIGKILL)?;
        match waitpid(None, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return Ok(()),
        }
    }
}
