//! The processes of an experiment: this program again, as `lab act`, watched while it acts.
//!
//! Each sends its lane to its parent at once, event by event, so that what it did until it was
//! killed is known.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use harness::troupe::{self, Troupe};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::part::Line;
use super::trace::{Event, Lane, Recorder, now_ns};

/// How long an experiment waits for a word from any of its processes before it gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the experiment hears of the process with this number.
#[derive(Debug)]
pub enum Heard<T> {
    /// It said this.
    Word(usize, T),
    /// It has ended, or been killed; it will say no more.
    End(usize),
}

/// The processes of an experiment, numbered from 0 in the order of their start. Dropped, they are
/// killed. They die with the thread that started them: start them from the thread that runs the
/// experiment.
#[derive(Debug)]
pub struct Cast {
    experiment: &'static str,
    actors: Troupe<Line>,
    recorded: Vec<Recorded>,
}

/// What was recorded of one process.
#[derive(Debug)]
struct Recorded {
    own: Recorder,
    others: Vec<Lane>,
    has_ended_itself: bool,
    ended_ns: u64,
}

impl Cast {
    /// Nobody yet; `experiment` is the name whose `act` they run.
    pub fn new(experiment: &'static str) -> Self {
        Self { experiment, actors: Troupe::new(), recorded: Vec::new() }
    }

    /// Starts one, which is called `name` in the picture and does `part`. Returns its number.
    ///
    /// # Errors
    /// If the system cannot start it.
    pub fn start(&mut self, name: impl Into<String>, part: &impl Serialize) -> Result<usize> {
        let started_ns = now_ns();
        let number = self.actors.start("act", &[self.experiment.to_owned(), serde_json::to_string(part)?])?;
        let own = Recorder::process(name, self.actors.pid(number), started_ns);
        self.recorded.push(Recorded { own, others: Vec::new(), has_ended_itself: false, ended_ns: 0 });
        Ok(number)
    }

    /// How many were started.
    pub fn len(&self) -> usize {
        self.actors.len()
    }

    /// Whether nobody was started.
    pub fn is_empty(&self) -> bool {
        self.actors.is_empty()
    }

    /// The process id of one.
    pub fn pid(&self, number: usize) -> i32 {
        self.actors.pid(number)
    }

    /// Waits for the next word or end of any.
    ///
    /// # Errors
    /// If all are silent for 30 s, or one says something else.
    pub fn listen<T: DeserializeOwned>(&mut self) -> Result<Heard<T>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(heard) = self.actors.listen(left)? else {
                bail!("no process has said anything for {PATIENCE:?}")
            };
            let number = heard.number;
            let is_end = heard.line.is_none();
            if let Some(word) = self.recorded[number].record(heard) {
                let understood = serde_json::from_value(word).context("cannot understand a process")?;
                return Ok(Heard::Word(number, understood));
            }
            if is_end {
                return Ok(Heard::End(number));
            }
        }
    }

    /// Waits until each has said one word, in any order; returns the words in the order of the
    /// numbers.
    ///
    /// # Errors
    /// If one ends before its word or speaks twice, or as [`listen`](Self::listen).
    pub fn listen_to_all<T: DeserializeOwned>(&mut self) -> Result<Vec<T>> {
        let mut words: Vec<Option<T>> = (0..self.len()).map(|_| None).collect();
        while words.iter().any(Option::is_none) {
            match self.listen()? {
                Heard::Word(number, word) => {
                    ensure!(words[number].replace(word).is_none(), "process {number} spoke out of turn");
                }
                Heard::End(number) if words[number].is_some() => {}
                Heard::End(number) => bail!("process {number} has ended too early"),
            }
        }
        Ok(words.into_iter().flatten().collect())
    }

    /// Says something to one, which gets it by [`Part::hear`](super::part::Part::hear).
    ///
    /// # Errors
    /// If it has ended.
    pub fn say(&mut self, number: usize, word: &impl Serialize) -> Result<()> {
        self.actors.say(number, &serde_json::to_string(word)?)
    }

    /// Says the same to all.
    ///
    /// # Errors
    /// If one has ended.
    pub fn say_to_all(&mut self, word: &impl Serialize) -> Result<()> {
        (0..self.len()).try_for_each(|number| self.say(number, word))
    }

    /// From now on the process finds that its parent has nothing more to say.
    pub fn hang_up(&mut self, number: usize) {
        self.actors.hang_up(number);
    }

    /// Sends SIGKILL to one.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn kill(&mut self, number: usize) -> Result<()> {
        self.actors.kill(number)
    }

    /// Waits for the end of all. Returns their lanes in the order of the numbers, each followed by
    /// those of its threads, and how each ended. The lane of one that was killed ends with the mark
    /// `killed`, of one that failed with `failed`.
    ///
    /// # Errors
    /// If one said what is no word of an actor, or does not end: then all are killed.
    pub fn join(mut self) -> Result<(Vec<Lane>, Vec<ExitStatus>)> {
        let recorded = &mut self.recorded;
        let statuses = self.actors.dismiss(PATIENCE, |heard| {
            // Words that nobody waits for any more.
            let _ = recorded[heard.number].record(heard);
        })?;
        let lanes = self.recorded.into_iter().zip(&statuses).flat_map(|(own, status)| own.lanes(*status));
        Ok((lanes.collect(), statuses))
    }
}

impl Recorded {
    /// Records what was heard; a word is for the experiment.
    fn record(&mut self, heard: troupe::Heard<Line>) -> Option<Value> {
        match heard.line {
            Some(Line::Event(at_ns, waited, event)) => {
                if matches!(event, Event::End) {
                    (self.has_ended_itself, self.ended_ns) = (true, at_ns);
                }
                self.own.apply_knowing(at_ns, waited, event);
            }
            Some(Line::Lane(lane)) => self.others.push(lane),
            Some(Line::Word(word)) => return Some(word),
            None if self.has_ended_itself => {}
            None => self.ended_ns = heard.at_ns,
        }
        None
    }

    /// Its own first.
    fn lanes(self, status: ExitStatus) -> Vec<Lane> {
        let own = match (status.signal(), status.success() && self.has_ended_itself) {
            (Some(_), _) => self.own.broken_off(self.ended_ns, "killed"),
            (None, false) => self.own.broken_off(self.ended_ns, "failed"),
            (None, true) => self.own.end_at(self.ended_ns),
        };
        [vec![own], self.others].concat()
    }
}
