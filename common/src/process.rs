//! What is the same for all servers with child processes: how a child begins, and how its end is learned.

#![allow(unsafe_code, reason = "fork has no safe wrapper")]

use std::ffi::CStr;
use std::fs;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{self, ForkResult, Pid, getpid, getppid};

use crate::stop;

/// Exit code of a child that could not begin, or was made to end by an error of its own.
pub const FAILED: i32 = 1;

/// What a child leaves to its parent. Ctrl-C reaches the whole process group: the parent decides what it means.
const PARENTS_SIGNALS: [Signal; 4] = [Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGCHLD];

/// The longest name that the kernel keeps for a process, in bytes (PR_SET_NAME, prctl(2)).
const NAME_BYTES: usize = 15;

/// Which of the two processes the caller is in after a [`fork`].
#[derive(Debug)]
pub enum Forked {
    /// The process that called.
    Parent {
        /// The new one.
        child: Pid,
    },
    /// The new process.
    Child,
}

/// Makes sure that forking is sound: a lock that another thread holds would stay locked in the child for ever (fork(2)).
///
/// # Errors
/// If this process has more than one thread.
pub fn require_one_thread() -> Result<()> {
    let threads = fs::read_dir("/proc/self/task").context("cannot count this process's threads")?.count();
    ensure!(threads == 1, "a process with {threads} threads cannot fork safely");
    Ok(())
}

/// Starts a child that dies with its parent. Only for a process that has passed [`require_one_thread`] and started none since.
///
/// All signals are held back in the child until it calls [`hear_only_sigterm`]: one that reached it before it has a handler of its
/// own would be written into the parent's pipe.
///
/// # Errors
/// `EAGAIN` or `ENOMEM`: no process to be had.
pub fn fork() -> io::Result<Forked> {
    let parent = getpid();
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    // SAFETY: this process has one thread (`require_one_thread`), so the child may do all that the parent may.
    let forked = unsafe { unistd::fork() };
    if let Ok(ForkResult::Child) = forked {
        die_with(parent);
        return Ok(Forked::Child);
    }
    before.thread_set_mask()?;
    match forked? {
        ForkResult::Parent { child } => Ok(Forked::Parent { child }),
        ForkResult::Child => Ok(Forked::Child),
    }
}

/// In a child whose SIGTERM handler is in place: what was held back since [`fork`] may come, except what its parent is to obey.
///
/// # Errors
/// None that sigprocmask(2) names for it.
pub fn hear_only_sigterm() -> io::Result<()> {
    let deaf: SigSet = PARENTS_SIGNALS.into_iter().collect();
    Ok(deaf.thread_set_mask()?)
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

/// What a child is doing, as `ps` shows it.
#[derive(Debug, Clone, Copy)]
pub struct Name([u8; NAME_BYTES + 1]);

impl Name {
    /// The end of `what`: that of a peer's address tells it from others better than its beginning.
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

/// Collects one child that has ended, if any has, with its exit code, or `None` where a signal killed it. SIGCHLD tells of several
/// ends at once, so call it until it says `None`.
pub fn reap() -> Option<(Pid, Option<i32>)> {
    match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(child, code)) => Some((child, Some(code))),
        Ok(WaitStatus::Signaled(child, _, _)) => Some((child, None)),
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
pub fn signal_children(signal: Signal) -> Result<()> {
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
pub fn kill_children() -> Result<()> {
    loop {
        signal_children(Signal::SIGKILL)?;
        match waitpid(None, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return Ok(()),
        }
    }
}

/// A worker that lives for less than this has died at once: its successor must wait.
const STEADY: Duration = Duration::from_secs(1);

/// How long the successor of a worker that died at once waits; doubled each time it happens again, up to [`LONGEST_BACK_OFF`].
const BACK_OFF: Duration = Duration::from_millis(100);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);

/// The places of a fixed pool of worker processes, and who fills them. Who dies is replaced.
#[derive(Debug)]
pub struct Places(Vec<Place>);

#[derive(Debug, Clone)]
struct Place {
    pid: Option<Pid>,
    back_off: BackOff,
}

impl Places {
    /// So many empty places.
    pub fn new(count: usize) -> Self {
        Self(vec![Place { pid: None, back_off: BackOff::new(Instant::now()) }; count])
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How many are filled.
    pub fn living(&self) -> usize {
        self.0.iter().filter(|place| place.pid.is_some()).count()
    }

    /// When the next empty place may be filled, if there is one.
    pub fn next_start(&self) -> Option<Instant> {
        self.0.iter().filter(|place| place.pid.is_none()).map(|place| place.back_off.start_at).min()
    }

    /// Fills the empty places whose time has come, by `fork`. In the child, and only there, it says which place is its own.
    pub fn start_missing(&mut self, fork: fn() -> io::Result<Forked>) -> Option<usize> {
        let now = Instant::now();
        for (index, place) in self.0.iter_mut().enumerate() {
            if place.pid.is_some() || place.back_off.start_at > now {
                continue;
            }
            match fork() {
                Ok(Forked::Child) => return Some(index),
                Ok(Forked::Parent { child }) => {
                    place.pid = Some(child);
                    place.back_off.started = now;
                }
                Err(error) => {
                    place.back_off.start_at = now + STEADY;
                    log::warn!("cannot start a worker: {error}; trying again in {} s", STEADY.as_secs());
                    // What one could not have, the next cannot have either.
                    return None;
                }
            }
        }
        None
    }

    /// Empties the place of a process that has ended, and says which it was.
    pub fn ended(&mut self, pid: Pid) -> Option<usize> {
        let index = self.0.iter().position(|place| place.pid == Some(pid))?;
        self.0[index].pid = None;
        let delay = self.0[index].back_off.ended(Instant::now());
        if !stop::stopping() {
            log::warn!("worker {pid} ended; replacing it in {} ms", delay.as_millis());
        }
        Some(index)
    }
}

/// When a place may be filled again: later and later if its processes keep dying at once, so that a worker that cannot live does not
/// become a fork bomb.
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
