//! A process of an experiment, seen from inside: `lab act`, started by a
//! [`Cast`](super::cast::Cast).

use std::borrow::Cow;
use std::io::{self, BufRead};

use anyhow::{Context, Result};
use clap::Args;
use client::output::say_json;
use harness::leash;
use nix::sys::prctl;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::trace::{Absence, Event, Lane, Looker, State, Waited, clock, now_ns};

/// `lab act`
#[derive(Debug, Args)]
pub struct ActOptions {
    /// Die with this process, which must be the parent
    #[arg(long, value_name = "PID")]
    dies_with: i32,
    /// The experiment
    pub experiment: String,
    /// What to do in it, as JSON that the experiment understands
    pub part: String,
}

/// What a process says to its parent, one line of JSON each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// What its own lane records.
    Event(u64, Option<Waited>, Event),
    /// The finished lane of one of its threads or tasks.
    Lane(Lane),
    /// A word to the experiment.
    Word(Value),
}

/// A process's own end of it all: its lane, and the line to its parent.
///
/// Its recording is not as cheap as a thread's: each event is a write to a pipe. A parent that has
/// gone is no error: its processes are about to be killed.
#[derive(Debug)]
pub struct Part {
    looker: Looker,
    now: Event,
}

impl Part {
    /// From now on the process is in `state`.
    pub fn enter(&mut self, state: State) {
        self.enter_with(state, "");
    }

    /// From now on the process is in `state`, with `what`, such as the name of a lock.
    pub fn enter_with(&mut self, state: State, what: impl Into<Cow<'static, str>>) {
        self.now = Event::enter(state, what);
        let (at_ns, waited) = clock();
        self.looker = Looker::new(at_ns, waited);
        let _ = write_line(&Line::Event(at_ns, waited, self.now.clone()));
    }

    /// What [`Recorder::look`](super::trace::Recorder::look) is to a thread.
    pub fn look(&mut self) {
        let Some(Absence { begin, end }) = self.looker.look() else { return };
        self.looker = Looker::new(end.0, end.1);
        if matches!(self.now, Event::Enter { state: State::Running | State::Holding, .. }) {
            let _ = write_line(&Line::Event(begin.0, begin.1, Event::enter(State::Ready, "")));
            let _ = write_line(&Line::Event(end.0, end.1, self.now.clone()));
        }
    }

    /// Something happens now. Few different labels: each gets a sign of its own.
    pub fn mark(&mut self, label: &'static str) {
        let _ = write_line(&Line::Event(now_ns(), None, Event::mark(label)));
    }

    /// The finished lane of one of this process's threads or tasks.
    pub fn hand_over(&mut self, lane: Lane) {
        let _ = write_line(&Line::Lane(lane));
    }

    /// Says something to the experiment, which gets it by
    /// [`Cast::listen`](super::cast::Cast::listen).
    ///
    /// # Errors
    /// If the parent has gone.
    pub fn tell(&mut self, word: &impl Serialize) -> Result<()> {
        write_line(&Line::Word(serde_json::to_value(word)?))
    }

    /// Waits for the next word of the parent; `None` if it has nothing more to say. The lane's
    /// state is the caller's to change.
    ///
    /// # Errors
    /// If it cannot be read or understood.
    pub fn hear<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let mut line = String::new();
        match io::stdin().lock().read_line(&mut line).context("cannot listen to the parent")? {
            0 => Ok(None),
            _ => Ok(Some(serde_json::from_str(&line).context("cannot understand the parent")?)),
        }
    }
}

/// Is a process of an experiment: `act` is what it does.
///
/// # Errors
/// What it failed with, or if its parent has gone already.
pub fn run(options: &ActOptions, act: fn(&str, &mut Part) -> Result<()>) -> Result<()> {
    leash::attach(options.dies_with)?;
    // The name by which `top` and `ps` show the process.
    prctl::set_name(c"lab-act")?;
    let mut part = Part { looker: Looker::new(now_ns(), None), now: Event::End };
    part.enter(State::Running);
    act(&options.part, &mut part)?;
    let (at_ns, waited) = clock();
    write_line(&Line::Event(at_ns, waited, Event::End))
}

fn write_line(line: &Line) -> Result<()> {
    say_json(&mut io::stdout().lock(), line).context("cannot speak to the parent")
}
