//! The client processes: this program again, as `lab hold`, which is `client hold` on a leash.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::Args;
use client::hold::{self, HoldOptions, Said, Step, StepResult};
use harness::interrupt::Interrupt;
use harness::leash;
use harness::troupe::Troupe;
use nix::sys::prctl;

/// How long is waited for a word of any of them. Each gives up by itself before that.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked whether the user wants to end it.
const LOOK: Duration = Duration::from_millis(50);

/// `lab hold`
#[derive(Debug, Args)]
pub struct LeashedOptions {
    /// Die with this process, which must be the parent
    #[arg(long, value_name = "PID")]
    dies_with: i32,
    #[command(flatten)]
    hold: HoldOptions,
}

/// Is a client process until the lab has nothing more to say.
///
/// # Errors
/// If the lab has gone, or the system denies it what it needs before it has any connection.
pub fn run(options: &LeashedOptions) -> Result<()> {
    leash::attach(options.dies_with)?;
    // The name by which `top` and `ps` show the process.
    prctl::set_name(c"lab-hold")?;
    hold::run(&options.hold).map(|_| ())
}

/// The client processes, in the order of their connections. Dropped, they are killed.
#[derive(Debug)]
pub(super) struct Crowd<'a> {
    clients: Troupe<Said>,
    /// With how many connections each has done the step that is under way.
    done: Vec<u64>,
    interrupt: &'a Interrupt,
}

impl<'a> Crowd<'a> {
    /// Nobody yet.
    pub(super) fn new(interrupt: &'a Interrupt) -> Self {
        Self { clients: Troupe::new(), done: Vec::new(), interrupt }
    }

    /// Starts one with the arguments of `client hold`. To be called on the main thread only: see
    /// [`leash`].
    ///
    /// # Errors
    /// If the system cannot start it.
    pub(super) fn start(&mut self, arguments: &[String]) -> Result<()> {
        self.clients.start("hold", arguments)?;
        self.done.push(0);
        Ok(())
    }

    /// The process ids.
    pub(super) fn pids(&self) -> Vec<i32> {
        (0..self.clients.len()).map(|number| self.clients.pid(number)).collect()
    }

    /// Waits until all are there.
    ///
    /// # Errors
    /// If one does not come, or the user interrupts it.
    pub(super) fn gather(&mut self) -> Result<()> {
        for _ in 0..self.clients.len() {
            match self.listen()? {
                (_, Said::Ready) => {}
                (number, said) => bail!("client process {number} spoke out of turn: {said:?}"),
            }
        }
        Ok(())
    }

    /// Lets all of them take a step, and waits until they have. `show` hears with how many
    /// connections they have, each time one says so.
    ///
    /// # Errors
    /// If one ends, or all are silent, or the user interrupts it. What went wrong with connections
    /// is in the result.
    pub(super) fn take(&mut self, step: Step, mut show: impl FnMut(u64)) -> Result<StepResult> {
        self.done.fill(0);
        for number in 0..self.clients.len() {
            self.clients.say(number, step.name())?;
        }
        let mut accounts = Vec::new();
        while accounts.len() < self.clients.len() {
            match self.listen()? {
                (number, Said::Progress(done)) => self.done[number] = done,
                (number, Said::Done(account)) => {
                    self.done[number] = account.done;
                    accounts.push(account);
                }
                (number, Said::Ready) => bail!("client process {number} spoke out of turn"),
            }
            show(self.done());
        }
        Ok(StepResult::of(&accounts))
    }

    /// With how many connections the last step has been taken.
    pub(super) fn done(&self) -> u64 {
        self.done.iter().sum()
    }

    /// Lets them end, and waits for it.
    ///
    /// # Errors
    /// If one does not, or not well.
    pub(super) fn dismiss(mut self) -> Result<()> {
        let statuses = self.clients.dismiss(PATIENCE, |_| ())?;
        for (number, status) in statuses.into_iter().enumerate() {
            ensure!(status.success(), "client process {number} ended with {status}");
        }
        Ok(())
    }

    fn listen(&mut self) -> Result<(usize, Said)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            ensure!(!self.interrupt.raised(), "interrupted");
            match self.clients.listen(LOOK)? {
                Some(heard) => match heard.line {
                    Some(said) => return Ok((heard.number, said)),
                    None => bail!("client process {} has ended before its time", heard.number),
                },
                None if Instant::now() < deadline => {}
                None => bail!("no client process has said anything for {PATIENCE:?}"),
            }
        }
    }
}
