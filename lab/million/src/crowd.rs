//! The client processes: this program again, as `lab crowd`, heard over pipes. They die with the
//! thread that started them (see [`harness::leash`]).

use std::io::BufReader;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use client::load::histogram;
use harness::interrupt::Interrupt;
use harness::leash;
use nix::unistd::getpid;
use serde::{Deserialize, Serialize};

use super::words::{Account, Order, Part, Word, hear, say};

/// How long is waited for a word of any of them. Each gives up by itself before that.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked whether the user wants to end it.
const LOOK: Duration = Duration::from_millis(50);

/// The stack of a thread that reads what one process says.
const READER_STACK: usize = 256 * 1024;

/// What one of them says; `None`: no more, it has ended.
type Heard = (usize, Result<Option<Word>>);

/// The client processes, in the order of their connections. Dropped, they are killed.
#[derive(Debug)]
pub(super) struct Crowd<'a> {
    members: Vec<Member>,
    send: Sender<Heard>,
    heard: Receiver<Heard>,
    interrupt: &'a Interrupt,
}

#[derive(Debug)]
struct Member {
    child: Child,
    stdin: Option<ChildStdin>,
    /// With how many connections it has done what it was last told.
    done: u64,
}

/// How all of them together have carried out an order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Phase {
    /// With how many connections it went well.
    pub done: u64,
    /// With how many not.
    pub failed: u64,
    /// What happened to the first of one process, for each to which anything did.
    pub failures: Vec<String>,
    /// From the first process's beginning to the last one's end, in seconds.
    pub took_s: f64,
    /// How often a second it went well.
    pub per_s: f64,
    /// How long each took, in nanoseconds: from merged histograms.
    pub p50_ns: u64,
    /// Of a hundred, the slowest took longer.
    pub p99_ns: u64,
    /// The slowest.
    pub max_ns: u64,
}

impl<'a> Crowd<'a> {
    /// Nobody yet.
    pub(super) fn new(interrupt: &'a Interrupt) -> Self {
        let (send, heard) = mpsc::channel();
        Self { members: Vec::new(), send, heard, interrupt }
    }

    /// Starts one. To be called on the main thread only: see [`leash`].
    ///
    /// # Errors
    /// If the system cannot start it.
    pub(super) fn start(&mut self, part: &Part) -> Result<()> {
        let number = self.members.len();
        let part = serde_json::to_string(part)?;
        let mut command = leash::this_program(&["crowd", "--dies-with", &getpid().to_string(), &part]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start client process {number}"))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        self.members.push(Member { child, stdin, done: 0 });
        let (stdout, send) = (stdout.context("a client process has no stdout")?, self.send.clone());
        let reader = thread::Builder::new().stack_size(READER_STACK);
        reader.spawn(move || listen_to(stdout, number, &send)).context("cannot start a thread")?;
        Ok(())
    }

    /// The process ids.
    pub(super) fn pids(&self) -> Vec<i32> {
        self.members.iter().map(|member| member.child.id().cast_signed()).collect()
    }

    /// Waits until all are there.
    ///
    /// # Errors
    /// If one does not come, or the user interrupts it.
    pub(super) fn gather(&mut self) -> Result<()> {
        for _ in 0..self.members.len() {
            match self.listen()? {
                (_, Word::Ready) => {}
                (number, word) => bail!("client process {number} spoke out of turn: {word:?}"),
            }
        }
        Ok(())
    }

    /// Gives all of them the same order and waits until all have carried it out. `show` hears with
    /// how many connections they have, each time one says so.
    ///
    /// # Errors
    /// If one ends, or all are silent, or the user interrupts it. What went wrong with connections
    /// is in the [`Phase`].
    pub(super) fn carry_out(&mut self, order: Order, mut show: impl FnMut(u64)) -> Result<Phase> {
        for member in &mut self.members {
            member.done = 0;
            say(member.stdin.as_mut().context("a client process hears nothing")?, &order)?;
        }
        let mut accounts = Vec::new();
        while accounts.len() < self.members.len() {
            let (number, done) = match self.listen()? {
                (number, Word::Progress(done)) => (number, done),
                (number, Word::Done(account)) => {
                    accounts.push((number, account));
                    (number, accounts.last().map_or(0, |(_, account)| account.done))
                }
                (number, Word::Ready) => bail!("client process {number} spoke out of turn"),
            };
            self.members[number].done = done;
            show(self.done());
        }
        Ok(Phase::of(&accounts))
    }

    /// With how many connections the last order has been carried out.
    pub(super) fn done(&self) -> u64 {
        self.members.iter().map(|member| member.done).sum()
    }

    /// Lets them end, and waits for it.
    ///
    /// # Errors
    /// If one does not, or not well.
    pub(super) fn dismiss(mut self) -> Result<()> {
        for member in &mut self.members {
            member.stdin = None;
        }
        let deadline = Instant::now() + PATIENCE;
        for (number, member) in self.members.iter_mut().enumerate() {
            let status = loop {
                if let Some(status) = member.child.try_wait()? {
                    break status;
                }
                ensure!(Instant::now() < deadline, "client process {number} does not end");
                thread::sleep(LOOK / 10);
            };
            ensure!(status.success(), "client process {number} ended with {status}");
        }
        Ok(())
    }

    fn listen(&self) -> Result<(usize, Word)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            ensure!(!self.interrupt.raised(), "interrupted");
            match self.heard.recv_timeout(LOOK) {
                Ok((number, Ok(Some(word)))) => return Ok((number, word)),
                Ok((number, Ok(None))) => bail!("client process {number} has ended before its time"),
                Ok((_, Err(error))) => return Err(error),
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                Err(_) => bail!("no client process has said anything for {PATIENCE:?}"),
            }
        }
    }
}

impl Drop for Crowd<'_> {
    fn drop(&mut self) {
        // All at once, so that none sees another's connections end.
        for member in &mut self.members {
            let _ = member.child.kill();
        }
        for member in &mut self.members {
            let _ = member.child.wait();
        }
    }
}

/// Reads what process `number` says until it can say no more.
fn listen_to(stdout: ChildStdout, number: usize, send: &Sender<Heard>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let heard = hear(&mut stdout);
        let is_last = !matches!(heard, Ok(Some(_)));
        // Nobody listens any more when it has been given up.
        if send.send((number, heard)).is_err() || is_last {
            return;
        }
    }
}

impl Phase {
    fn of(accounts: &[(usize, Account)]) -> Self {
        let accounts = accounts.iter();
        let mut times = histogram();
        for (value, count) in accounts.clone().flat_map(|(_, account)| &account.times) {
            times.saturating_record_n(*value, *count);
        }
        let began_ns = accounts.clone().map(|(_, account)| account.began_ns).min().unwrap_or(0);
        let ended_ns = accounts.clone().map(|(_, account)| account.ended_ns).max().unwrap_or(0);
        let took_s = Duration::from_nanos(ended_ns.saturating_sub(began_ns)).as_secs_f64();
        let done = accounts.clone().map(|(_, account)| account.done).sum();
        Self {
            done,
            failed: accounts.clone().map(|(_, account)| account.failed).sum(),
            failures: accounts.filter_map(|(_, account)| account.first_failure.clone()).collect(),
            took_s,
            per_s: if took_s > 0.0 { done as f64 / took_s } else { 0.0 },
            p50_ns: times.value_at_quantile(0.5),
            p99_ns: times.value_at_quantile(0.99),
            max_ns: times.max(),
        }
    }
}
