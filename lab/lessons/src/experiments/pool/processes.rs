//! A pool with a fixed number of processes: each gets one task at a time over its pipe; one that
//! dies is replaced.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::{Called, Pool};
use crate::Experiment;
use crate::cast::{Cast, Heard};
use crate::trace::{Lane, Recorder, State};

/// A task, as a worker is told it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) number: usize,
    pub(super) delay: Duration,
    /// It has no end of its own: its worker is killed in the middle of it, however late that is.
    pub(super) kills: bool,
}

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Word {
    /// It waits for a task.
    Ready,
    /// It is in the middle of its task.
    Begun,
    /// What its task returned.
    Done(usize),
}

/// The pool's side.
pub(super) struct ProcessPool {
    cast: Cast,
    /// By worker, what it does.
    doing: Vec<Option<Job>>,
    waiting: VecDeque<Job>,
    /// Tasks whose result has not been called back.
    open: usize,
}

impl ProcessPool {
    /// Starts the workers.
    ///
    /// # Errors
    /// If the system cannot start them.
    pub(super) fn start(workers: usize) -> Result<Self> {
        let cast = Cast::new(Pool::NAME);
        let mut pool = Self { cast, doing: Vec::new(), waiting: VecDeque::new(), open: 0 };
        (0..workers).try_for_each(|_| pool.hire())?;
        Ok(pool)
    }

    fn hire(&mut self) -> Result<()> {
        let number = self.cast.start(format!("worker {}", self.cast.len() + 1), &())?;
        self.doing.push(None);
        ensure!(number + 1 == self.doing.len(), "workers are numbered otherwise");
        Ok(())
    }

    /// Queues a task up, and returns at once.
    pub(super) fn submit(&mut self, task: Job) {
        self.waiting.push_back(task);
        self.open += 1;
    }

    /// Has all tasks done, and calls back for each as soon as it is. Returns the workers' lanes.
    ///
    /// # Errors
    /// If a worker says what it should not, or nobody says anything.
    pub(super) fn run(mut self, me: &mut Recorder, mut call_back: impl FnMut(Called)) -> Result<Vec<Lane>> {
        me.enter_with(State::Blocked, "for a result");
        while self.open > 0 {
            match self.cast.listen()? {
                Heard::Word(worker, Word::Ready) => self.give(worker)?,
                Heard::Word(worker, Word::Begun) => {
                    if self.doing[worker].is_some_and(|task| task.kills) {
                        self.cast.kill(worker)?;
                    }
                }
                Heard::Word(worker, Word::Done(result)) => {
                    let Some(task) = self.doing[worker].take() else { bail!("a worker had no task") };
                    self.give(worker)?;
                    self.open -= 1;
                    me.mark_with("callback", (task.number + 1).to_string());
                    call_back((task.number, Some(result)));
                }
                Heard::End(worker) => {
                    let Some(task) = self.doing[worker].take() else { bail!("a worker ended unasked") };
                    self.hire()?;
                    self.open -= 1;
                    me.mark_with("callback", (task.number + 1).to_string());
                    call_back((task.number, None));
                }
            }
        }
        me.enter(State::Running);
        // Workers that hear no more have come to their end.
        let (lanes, _) = self.cast.join()?;
        Ok(lanes)
    }

    fn give(&mut self, worker: usize) -> Result<()> {
        if let Some(task) = self.waiting.pop_front() {
            self.doing[worker] = Some(task);
            self.cast.say(worker, &task)?;
        }
        Ok(())
    }
}
