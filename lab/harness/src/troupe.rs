//! Processes of this program that the lab talks with: each is told by lines on its stdin, and says
//! lines of JSON on its stdout.
//!
//! They die with the thread that started them (see [`leash`]): start them from the thread that
//! works with them, which lives on until they are dismissed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};
use serde::de::DeserializeOwned;

use crate::clock::now_ns;
use crate::leash;

/// The stack of a thread that reads what one process says.
const READER_STACK: usize = 256 * 1024;

/// Every process of a troupe that has not been waited for. The lock is held while one is started.
static LIVING: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// Processes, numbered from 0 in the order of their start, which all say lines of one kind.
/// Dropped, they are killed.
#[derive(Debug)]
pub struct Troupe<L> {
    members: Vec<Member>,
    send: Sender<Result<Heard<L>>>,
    heard: Receiver<Result<Heard<L>>>,
}

#[derive(Debug)]
struct Member {
    child: Child,
    stdin: Option<ChildStdin>,
    has_ended: bool,
}

/// What is heard of a process.
#[derive(Debug)]
pub struct Heard<L> {
    /// Its number.
    pub number: usize,
    /// When, in nanoseconds of [`now_ns`].
    pub at_ns: u64,
    /// What it said; `None` if it will say no more, because it has ended or was killed.
    pub line: Option<L>,
}

impl<L: DeserializeOwned + Send + 'static> Troupe<L> {
    /// Nobody yet.
    pub fn new() -> Self {
        let (send, heard) = mpsc::channel();
        Self { members: Vec::new(), send, heard }
    }

    /// Starts this program with `command`, which must [`attach`](leash::attach) to what
    /// `--dies-with` says, and `arguments`. Returns the process's number.
    ///
    /// # Errors
    /// If the system cannot start it.
    pub fn start(&mut self, command: &str, arguments: &[String]) -> Result<usize> {
        let number = self.members.len();
        let mut command = leash::this_program(&[command, "--dies-with", &getpid().to_string()]);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut living = living();
        let mut child = command.spawn().context("cannot start a process")?;
        living.push(child.id().cast_signed());
        drop(living);
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        self.members.push(Member { child, stdin, has_ended: false });
        let (stdout, send) = (stdout.context("a process has no stdout")?, self.send.clone());
        let reader = thread::Builder::new().stack_size(READER_STACK);
        reader.spawn(move || listen_to(stdout, number, &send)).context("cannot start a thread")?;
        Ok(number)
    }

    /// How many were started.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nobody was started.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The process id of one.
    pub fn pid(&self, number: usize) -> i32 {
        self.members[number].child.id().cast_signed()
    }

    /// Says a line to one. It must have no line break in it.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn say(&mut self, number: usize, line: &str) -> Result<()> {
        let stdin = self.members[number].stdin.as_mut().context("the process hears nothing any more")?;
        stdin.write_all(format!("{line}\n").as_bytes()).context("cannot speak to a process")
    }

    /// From now on the process finds that nothing more is said to it.
    pub fn hang_up(&mut self, number: usize) {
        self.members[number].stdin = None;
    }

    /// Sends SIGKILL to one.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn kill(&mut self, number: usize) -> Result<()> {
        self.members[number].child.kill().context("cannot kill a process")
    }

    /// Waits for what the next one says; `None` if that takes longer than `patience`.
    ///
    /// # Errors
    /// If one says what cannot be understood.
    pub fn listen(&mut self, patience: Duration) -> Result<Option<Heard<L>>> {
        match self.heard.recv_timeout(patience) {
            Ok(heard) => {
                let heard = heard?;
                self.members[heard.number].has_ended |= heard.line.is_none();
                Ok(Some(heard))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("there is nobody to listen to"),
        }
    }

    /// Says nothing more to any, and waits until all have ended, not longer than `patience`. What
    /// they say meanwhile is for `hear`. Returns how each ended.
    ///
    /// # Errors
    /// As [`listen`](Self::listen), and if one does not end.
    pub fn dismiss(&mut self, patience: Duration, mut hear: impl FnMut(Heard<L>)) -> Result<Vec<ExitStatus>> {
        for member in &mut self.members {
            member.stdin = None;
        }
        let deadline = Instant::now() + patience;
        while self.members.iter().any(|member| !member.has_ended) {
            let left = deadline.saturating_duration_since(Instant::now());
            let heard = self.listen(left)?;
            ensure!(heard.is_some(), "a process does not end within {patience:?}");
            heard.into_iter().for_each(&mut hear);
        }
        self.members.iter_mut().map(Member::wait).collect()
    }
}

impl<L: DeserializeOwned + Send + 'static> Default for Troupe<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L> Drop for Troupe<L> {
    fn drop(&mut self) {
        // All at once, so that none sees another's end.
        for member in &mut self.members {
            // It may have ended and been waited for already.
            let _ = member.child.kill();
        }
        for member in &mut self.members {
            let _ = member.wait();
        }
    }
}

impl Member {
    fn wait(&mut self) -> Result<ExitStatus> {
        let pid = self.child.id().cast_signed();
        // Before it is reaped: later its number could belong to a stranger.
        living().retain(|living| *living != pid);
        self.child.wait().context("cannot wait for a process")
    }
}

/// Kills every process of every troupe. As long as what is returned lives, none is started.
pub fn kill_all() -> MutexGuard<'static, Vec<i32>> {
    let living = living();
    for pid in living.iter() {
        // It may have ended: then it is a zombie, whose number is still its own.
        let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
    }
    living
}

fn living() -> MutexGuard<'static, Vec<i32>> {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads what process `number` says until it can say no more, or nobody listens.
fn listen_to<L: DeserializeOwned>(stdout: ChildStdout, number: usize, send: &Sender<Result<Heard<L>>>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let line = read_line(&mut stdout);
        let is_last = !matches!(line, Ok(Some(_)));
        let heard = line.map(|line| Heard { number, at_ns: now_ns(), line });
        if send.send(heard).is_err() || is_last {
            return;
        }
    }
}

/// The next line; `None` at the end. A last line without its end is none: its process was killed in
/// the middle of it.
fn read_line<L: DeserializeOwned>(stdout: &mut impl BufRead) -> Result<Option<L>> {
    let mut line = Vec::new();
    stdout.read_until(b'\n', &mut line).context("cannot listen to a process")?;
    if !line.ends_with(b"\n") {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line).context("cannot understand a process")?))
}
