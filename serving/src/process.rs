//! What is the same for all servers with child processes: how a child begins, and how its end is
//! learned.

#![allow(unsafe_code, reason = "fork has no safe wrapper")]

use std::ffi::CStr;
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::prctl;
pub use nix::sys::signal::Signal;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, kill, sigaction};
use nix::sys::wait::waitpid;
pub use nix::unistd::Pid;
use nix::unistd::{self, ForkResult, getpid, getppid};
use rustix::process::{WaitOptions, wait};

use crate::{Drain, Outcome, Pause, stop};

/// Exit code of a child that could not begin, or was made to end by an error of its own.
pub const FAILED: i32 = 1;

/// What a child leaves to its parent. Ctrl-C reaches the whole process group: the parent decides
/// what it means.
const PARENTS_SIGNALS: [Signal; 5] =
    [Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGALRM, Signal::SIGCHLD];

/// The longest name that the kernel keeps for a process, in bytes (PR_SET_NAME, prctl(2)).
const NAME_BYTES: usize = 15;

/// Whether this process makes children of its own.
static FORKS: AtomicBool = AtomicBool::new(false);

/// Which of the two processes the caller is in after a [`fork`].
#[derive(Debug)]
pub enum Forked {
    /// The process that called, and the number of the new one.
    Parent(Pid),
    /// The new process.
    Child,
}

/// Makes sure that forking is sound: a lock that another thread holds would stay locked in the
/// child for ever (fork(2)).
///
/// # Errors
/// If this process has more than one thread.
pub fn require_one_thread() -> Result<()> {
    let threads = fs::read_dir("/proc/self/task").context("cannot count this process's threads")?.count();
    ensure!(threads == 1, "a process with {threads} threads cannot fork safely");
    FORKS.store(true, Ordering::Relaxed);
    Ok(())
}

/// Starts a child that dies with its parent. Only for a process that has passed
/// [`require_one_thread`] and started none since.
///
/// All signals are held back in the child until it calls [`hear_only_sigterm`]: one that reached it
/// before it has a handler of its own would ring the parent's bell.
///
/// # Errors
/// `EAGAIN` or `ENOMEM`: no process to be had.
pub fn fork() -> io::Result<Forked> {
    let parent = getpid();
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    // SAFETY: this process has one thread (`require_one_thread`), so the child may do all that the
    // parent may.
    let forked = unsafe { unistd::fork() };
    if let Ok(ForkResult::Child) = forked {
        die_with(parent);
        return Ok(Forked::Child);
    }
    before.thread_set_mask()?;
    match forked? {
        ForkResult::Parent { child } => Ok(Forked::Parent(child)),
        ForkResult::Child => Ok(Forked::Child),
    }
}

/// In a child whose SIGTERM handler is in place: what was held back since [`fork`] may come, except
/// what its parent is to obey.
///
/// # Errors
/// None that sigprocmask(2) names for it.
pub fn hear_only_sigterm() -> io::Result<()> {
    let deaf: SigSet = PARENTS_SIGNALS.into_iter().collect();
    Ok(deaf.thread_set_mask()?)
}

/// In a child that serves one conversation after the other, or only one: SIGTERM wakes it
/// ([`stop::wake`]), and what was held back since [`fork`] may come, except what its parent is to
/// obey.
///
/// # Errors
/// None that sigaction(2) and sigprocmask(2) name for it.
pub fn obey_sigterm() -> io::Result<()> {
    extern "C" fn wake(_: i32) {
        stop::wake();
    }
    // No SA_RESTART: a worker that waits for a client must come back to see that it is to stop.
    let action = SigAction::new(SigHandler::Handler(wake), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler only touches atomics and calls ioctl: async-signal-safe.
    unsafe { sigaction(Signal::SIGTERM, &action) }?;
    hear_only_sigterm()
}

/// Closes every descriptor beyond the standard ones except `kept`: an inherited listener would keep
/// the port bound after the parent's end, and another client's socket would keep that client from
/// ever seeing its end.
///
/// For children only, which end by [`exit`]: the inherited values that own those descriptors are
/// never used or dropped again.
pub fn close_all_but<const N: usize>(mut kept: [BorrowedFd<'_>; N]) {
    kept.sort_unstable_by_key(AsRawFd::as_raw_fd);
    let mut first = 3;
    for last in kept.map(|kept| kept.as_raw_fd() - 1).into_iter().chain([i32::MAX]) {
        if first <= last {
            // SAFETY: close_range takes no pointer, and nothing in this process uses these
            // descriptors any more. Where it fails (Linux before 5.9), they stay open until the
            // child ends.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
        first = last.saturating_add(2);
    }
}

/// Has the kernel kill this child when its parent ends, also by SIGKILL.
fn die_with(parent: Pid) {
    let armed = prctl::set_pdeathsig(Signal::SIGKILL);
    // A parent that ended before the request was made sends nothing any more.
    if armed.is_err() || getppid() != parent {
        exit(FAILED);
    }
}

/// Ends this child at once: no destructor runs, nothing is flushed.
pub fn exit(code: i32) -> ! {
    signal_hook::low_level::exit(code)
}

/// Exit codes of a child that has served one conversation: its outcome; besides these, [`FAILED`].
const COMPLETED: i32 = 0;
const TIMED_OUT: i32 = 2;

/// Ends a child that has served one conversation, at once: its outcome is the exit code.
pub fn exit_with(outcome: Outcome) -> ! {
    exit(match outcome {
        Outcome::Completed => COMPLETED,
        Outcome::Failed => FAILED,
        Outcome::TimedOut => TIMED_OUT,
    })
}

/// What a child is doing, as `ps` shows it.
#[derive(Debug, Clone, Copy)]
pub struct Name([u8; NAME_BYTES + 1]);

impl Name {
    /// The end of `what`: of a peer's address it is the port, which tells it from others.
    pub fn of(what: &impl std::fmt::Display) -> Self {
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
    pub fn show(&self) {
        if let Ok(name) = CStr::from_bytes_until_nul(&self.0) {
            // Not to be able to show the name harms nobody.
            let _ = prctl::set_name(name);
        }
    }
}

/// Sends `signal` to a child that has not been reaped, so that its number is no other process's by
/// now.
pub fn signal(child: Pid, signal: Signal) {
    // It fails only where the child has just ended.
    let _ = kill(child, signal);
}

/// Collects one child that has ended, if any has, and how its conversation ended ([`exit_with`]).
/// SIGCHLD tells of several ends at once, so call it until it says `None`.
pub fn reap() -> Option<(Pid, Outcome)> {
    // It fails only where there are no children. nix's would fail, having reaped, for who was ended
    // by a real-time signal: it has no name for one.
    let (child, status) = wait(WaitOptions::NOHANG).ok().flatten()?;
    let outcome = match status.exit_status() {
        Some(COMPLETED) => Outcome::Completed,
        Some(TIMED_OUT) => Outcome::TimedOut,
        _ => Outcome::Failed,
    };
    Some((Pid::from_raw(child.as_raw_pid()), outcome))
}

/// In a process that makes no children: collects those that it was given. The first process of a
/// container is the parent of all whose own parent has ended.
pub(crate) fn reap_strangers() {
    if !FORKS.load(Ordering::Relaxed) {
        while reap().is_some() {}
    }
}

/// Kills a child that has not been reaped, and waits for its end. One that may not be killed is not
/// waited for: it dies with this process.
pub fn kill_and_reap(child: Pid) {
    if kill(child, Signal::SIGKILL).is_ok() {
        // It fails only if that process is not a child.
        let _ = waitpid(child, None);
    }
}

/// A worker that lives for less than this has died at once: its successor must wait.
const STEADY: Duration = Duration::from_secs(1);

/// How long the successor of a worker that died at once waits; doubled each time it happens again,
/// up to [`LONGEST_BACK_OFF`].
const BACK_OFF: Duration = Duration::from_millis(100);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);

/// The places of a fixed pool of worker processes, and who fills them. A worker that dies is
/// replaced.
#[derive(Debug)]
pub struct Places {
    places: Vec<Place>,
    /// Until when no worker is started, because the system had none to give.
    pause: Pause,
}

#[derive(Debug, Clone)]
struct Place {
    pid: Option<Pid>,
    back_off: BackOff,
}

impl Places {
    /// So many empty places.
    pub fn new(count: usize) -> Self {
        let empty = Place { pid: None, back_off: BackOff::new(Instant::now()) };
        Self { places: vec![empty; count], pause: Pause::default() }
    }

    /// The workers that live.
    fn living(&self) -> impl Iterator<Item = Pid> {
        self.places.iter().filter_map(|place| place.pid)
    }

    /// Whether a worker is left.
    pub fn any_living(&self) -> bool {
        self.living().next().is_some()
    }

    /// Sends `signal` to all workers that are left.
    pub fn signal(&self, signal: Signal) {
        self.living().for_each(|worker| self::signal(worker, signal));
    }

    /// Kills all workers that are left, and waits for their ends.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
        self.living().for_each(kill_and_reap);
    }

    /// When the next empty place may be filled, if there is one.
    pub fn next_start(&self) -> Option<Instant> {
        let empty = self.places.iter().filter(|place| place.pid.is_none());
        empty
            .map(|place| place.back_off.start_at)
            .min()
            .map(|start| self.pause.until().unwrap_or(start).max(start))
    }

    /// The next empty place whose time has come.
    pub fn next_empty(&self) -> Option<usize> {
        let now = Instant::now();
        let due = |place: &Place| place.pid.is_none() && place.back_off.start_at <= now;
        self.places.iter().position(due).filter(|_| self.pause.until().is_none())
    }

    /// Fills a place.
    pub fn started(&mut self, index: usize, pid: Pid) {
        self.places[index].pid = Some(pid);
        self.places[index].back_off.started = Instant::now();
    }

    /// A worker could not be started: what one could not have, the next cannot have either.
    pub fn not_started(&mut self, error: &io::Error) {
        self.pause.begin("start a worker", error);
    }

    /// Empties the place of a process that has ended, and says which it was.
    pub fn ended(&mut self, pid: Pid) -> Option<usize> {
        let index = self.places.iter().position(|place| place.pid == Some(pid))?;
        self.places[index].pid = None;
        let delay = self.places[index].back_off.ended(Instant::now());
        if Drain::current().is_none() {
            log::warn!("worker {pid} ended; replacing it in {} ms", delay.as_millis());
        }
        Some(index)
    }
}

/// When a place may be filled again: later and later if its processes keep dying at once, so that a
/// worker that cannot live does not become a fork bomb.
#[derive(Debug, Clone, Copy)]
struct BackOff {
    started: Instant,
    /// How often in a row a process died at once.
    quick_deaths: u32,
    start_at: Instant,
}

impl BackOff {
    /// It may be filled now.
    fn new(now: Instant) -> Self {
        Self { started: now, quick_deaths: 0, start_at: now }
    }

    /// Its process has ended. Says how long the place stays empty.
    fn ended(&mut self, now: Instant) -> Duration {
        let delay = if now.saturating_duration_since(self.started) < STEADY {
            let doubled = BACK_OFF.saturating_mul(2_u32.saturating_pow(self.quick_deaths));
            self.quick_deaths += 1;
            doubled.min(LONGEST_BACK_OFF)
        } else {
            self.quick_deaths = 0;
            Duration::ZERO
        };
        self.start_at = now + delay;
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pause;

    #[test]
    fn where_one_worker_cannot_be_started_no_other_is_tried_for_a_while() {
        let mut places = Places::new(10_000);
        assert_eq!(places.next_empty(), Some(0));
        places.not_started(&io::ErrorKind::WouldBlock.into());
        assert_eq!(places.next_empty(), None, "ten thousand would fail, and each with a line");
        let next = places.next_start().expect("there are empty places");
        assert!(next > Instant::now() && next <= Instant::now() + pause::LENGTH);
    }

    #[test]
    fn a_worker_that_keeps_dying_at_once_is_replaced_ever_later() {
        let now = Instant::now();
        let mut back_off = BackOff::new(now);
        let delays: Vec<u128> = (0..8).map(|_| back_off.ended(now).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        back_off.ended(now + STEADY);
        assert_eq!(back_off.start_at, now + STEADY, "one that has lived is replaced at once");
    }
}
