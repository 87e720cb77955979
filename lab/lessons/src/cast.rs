//! The processes of an experiment: this program again, as `lab act`, watched and heard over pipes.
//!
//! Each sends its lane to its parent at once, event by event, so that what it did until it was
//! killed is known. They die with the thread that started them (see [`harness::leash`]): start them
//! from the thread that runs the experiment.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use harness::leash;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::part::{Line, json_line};
use super::trace::{Event, Lane, Recorder, now_ns};

/// How long an experiment waits for a word from any of its processes before it gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether all have ended.
const LOOK: Duration = Duration::from_millis(5);

/// The stack of a thread that reads what one process says.
const READER_STACK: usize = 256 * 1024;

/// Every process of a cast that has not been waited for. The lock is held while one is started.
static LIVING: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// What the experiment hears of the process with this number.
#[derive(Debug)]
pub enum Heard<T> {
    /// It said this.
    Word(usize, T),
    /// It has ended, or been killed; it will say no more.
    End(usize),
}

/// The processes of an experiment, numbered from 0 in the order of their start. Dropped, they are
/// killed.
#[derive(Debug)]
pub struct Cast {
    experiment: &'static str,
    actors: Vec<Actor>,
    send: Sender<Heard<Value>>,
    heard: Receiver<Heard<Value>>,
}

#[derive(Debug)]
struct Actor {
    child: Child,
    stdin: Option<ChildStdin>,
    reader: Option<JoinHandle<Result<Recorded>>>,
}

/// What the reader of one process has gathered.
struct Recorded {
    own: Recorder,
    others: Vec<Lane>,
    has_ended_itself: bool,
    ended_ns: u64,
}

impl Cast {
    /// Nobody yet; `experiment` is the name whose `act` they run.
    pub fn new(experiment: &'static str) -> Self {
        let (send, heard) = mpsc::channel();
        Self { experiment, actors: Vec::new(), send, heard }
    }

    /// Starts one, which is called `name` in the picture and does `part`. Returns its number.
    ///
    /// # Errors
    /// If the system cannot start it.
    pub fn start(&mut self, name: impl Into<String>, part: &impl Serialize) -> Result<usize> {
        let number = self.actors.len();
        let (parent, part) = (getpid().to_string(), serde_json::to_string(part)?);
        let mut command = leash::this_program(&["act", "--dies-with", &parent, self.experiment, &part]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let started_ns = now_ns();
        let mut living = living();
        let mut child = command.spawn().context("cannot start a process")?;
        living.push(child.id().cast_signed());
        drop(living);
        let own = Recorder::process(name, child.id().cast_signed(), started_ns);
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        self.actors.push(Actor { child, stdin, reader: None });
        let (stdout, send) = (stdout.context("a process has no stdout")?, self.send.clone());
        let read = move || {
            let recorded = listen_to(stdout, number, own, &send);
            // Nobody listens any more when the experiment has been given up.
            let _ = send.send(Heard::End(number));
            recorded
        };
        let reader = thread::Builder::new().stack_size(READER_STACK).spawn(read);
        self.actors[number].reader = Some(reader.context("cannot start a thread")?);
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
        self.actors[number].child.id().cast_signed()
    }

    /// Waits for the next word or end of any.
    ///
    /// # Errors
    /// If all are silent for 30 s, or one says something else.
    pub fn listen<T: DeserializeOwned>(&self) -> Result<Heard<T>> {
        match self.heard.recv_timeout(PATIENCE) {
            Ok(Heard::End(number)) => Ok(Heard::End(number)),
            Ok(Heard::Word(number, word)) => {
                let understood = serde_json::from_value(word).context("cannot understand a process")?;
                Ok(Heard::Word(number, understood))
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                bail!("no process has said anything for {PATIENCE:?}")
            }
        }
    }

    /// Waits until each has said one word, in any order; returns the words in the order of the
    /// numbers.
    ///
    /// # Errors
    /// If one ends instead or speaks twice, or as [`listen`](Self::listen).
    pub fn listen_to_all<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        let mut words: Vec<Option<T>> = self.actors.iter().map(|_| None).collect();
        while words.iter().any(Option::is_none) {
            match self.listen()? {
                Heard::Word(number, word) => {
                    ensure!(words[number].replace(word).is_none(), "process {number} spoke out of turn");
                }
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
        let stdin = self.actors[number].stdin.as_mut().context("the process hears nothing any more")?;
        stdin.write_all(&json_line(word)?).context("cannot speak to a process")
    }

    /// Says the same to all.
    ///
    /// # Errors
    /// If one has ended.
    pub fn say_to_all(&mut self, word: &impl Serialize) -> Result<()> {
        (0..self.actors.len()).try_for_each(|number| self.say(number, word))
    }

    /// From now on the process finds that its parent has nothing more to say.
    pub fn hang_up(&mut self, number: usize) {
        self.actors[number].stdin = None;
    }

    /// Sends SIGKILL to one.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn kill(&mut self, number: usize) -> Result<()> {
        self.actors[number].child.kill().context("cannot kill a process")
    }

    /// Waits for the end of all. Returns their lanes in the order of the numbers, each followed by
    /// those of its threads, and how each ended. The lane of one that was killed ends with the mark
    /// `killed`, of one that failed with `failed`.
    ///
    /// # Errors
    /// If one said what is no word of an actor, or does not end: then all are killed.
    pub fn join(mut self) -> Result<(Vec<Lane>, Vec<ExitStatus>)> {
        for actor in &mut self.actors {
            actor.stdin = None;
        }
        let deadline = Instant::now() + PATIENCE;
        while self.actors.iter().any(Actor::is_heard) {
            ensure!(Instant::now() < deadline, "a process does not end within {PATIENCE:?}");
            // Words that nobody waits for any more; with the last of them a reader ends.
            let _ = self.heard.recv_timeout(LOOK);
        }
        let (mut lanes, mut statuses) = (Vec::new(), Vec::new());
        for actor in &mut self.actors {
            let reader = actor.reader.take().context("a process was not listened to")?;
            let recorded = reader.join().map_err(|_| anyhow!("a reader panicked"))??;
            let status = actor.wait()?;
            lanes.extend(recorded.lanes(status));
            statuses.push(status);
        }
        Ok((lanes, statuses))
    }
}

impl Drop for Cast {
    fn drop(&mut self) {
        for actor in &mut self.actors {
            // It may have ended and been waited for already.
            let _ = actor.child.kill();
            let _ = actor.wait();
        }
    }
}

impl Actor {
    fn wait(&mut self) -> Result<ExitStatus> {
        let pid = self.child.id().cast_signed();
        // Before it is reaped: later its number could belong to a stranger.
        living().retain(|living| *living != pid);
        self.child.wait().context("cannot wait for a process")
    }

    fn is_heard(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| !reader.is_finished())
    }
}

impl Recorded {
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

/// Kills every process of every cast. As long as what is returned lives, none is started.
pub(super) fn kill_all() -> MutexGuard<'static, Vec<i32>> {
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

/// Reads what process `number` says until it can say no more.
///
/// # Errors
/// If it is no word of an actor. A last line without its end is none: its process was killed in the
/// middle of it.
fn listen_to(
    stdout: ChildStdout,
    number: usize,
    own: Recorder,
    send: &Sender<Heard<Value>>,
) -> Result<Recorded> {
    let mut recorded = Recorded { own, others: Vec::new(), has_ended_itself: false, ended_ns: 0 };
    let mut stdout = BufReader::new(stdout);
    let mut line = Vec::new();
    while stdout.read_until(b'\n', &mut line).context("cannot listen to a process")? > 0
        && line.ends_with(b"\n")
    {
        match serde_json::from_slice(&line).context("cannot understand a process")? {
            Line::Event(at_ns, Event::End) => (recorded.has_ended_itself, recorded.ended_ns) = (true, at_ns),
            Line::Event(at_ns, event) => recorded.own.apply(at_ns, event),
            Line::Lane(lane) => recorded.others.push(lane),
            // Nobody listens any more when the experiment has been given up.
            Line::Word(word) => drop(send.send(Heard::Word(number, word))),
        }
        line.clear();
    }
    if !recorded.has_ended_itself {
        recorded.ended_ns = now_ns();
    }
    Ok(recorded)
}
