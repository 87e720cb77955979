//! The processes of this experiment, from inside.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use harness::leash;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{getpid, getppid, gettid};
use serde::{Deserialize, Serialize};

use super::request::WRITTEN;
use super::{AFTER, MONEY, Threads};
use crate::Experiment;
use crate::part::{Line, Part};
use crate::trace::{Recorder, State, now_ns};

/// Nobody waits for who sleeps so long: it is to be ended by something else.
const FOR_EVER: Duration = Duration::from_secs(60 * 60);

/// What a process is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Kin {
    /// Tells what it sees of `money`, which it may change before.
    Isolated { changes: bool, delay: Duration },
    /// Starts a thread, works for so long, and ends; if it joins the thread before, that works for
    /// three times as long.
    Main { works: Duration, joins: bool },
    /// Ends at once.
    ShortLived,
    /// Starts an `Orphan`, and waits to be killed.
    Parent,
    /// Is left alone by its parent, and lives until the lab hangs up or ends.
    Orphan,
    /// Starts a `DaemonChild`, works for so long, and ends.
    DaemonParent { works: Duration },
    /// Gets SIGTERM when its parent ends.
    DaemonChild,
    /// Has a file, which it removes at its end; when it is told, it works for so long and ends.
    Careful { file: PathBuf, works: Duration },
    /// Writes a log, which takes so long.
    Writer { delay: Duration },
}

/// What a process says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Word {
    Seen(Seen),
    /// Its thread of this number has begun to work at this nanosecond.
    ThreadWorks(i32, u64),
    /// Its thread has ended before it.
    ThreadIsOver,
    /// Its child of this number, which it began to start at this nanosecond, lives.
    ChildLives(i32, u64),
    /// Is ready.
    Ready,
}

/// What one sees of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) name: String,
    pub(super) money: u64,
}

/// What a process is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GoOn;

impl Seen {
    /// What the calling thread sees.
    pub(super) fn here() -> Self {
        Self {
            pid: getpid().as_raw(),
            parent: getppid().as_raw(),
            name: thread::current().name().unwrap_or("no name").to_owned(),
            money: MONEY.load(Ordering::SeqCst),
        }
    }
}

impl Kin {
    /// Is the process.
    pub(super) fn act(self, me: &mut Part) -> Result<()> {
        match self {
            Self::Isolated { changes, delay } => isolated(changes, delay, me),
            Self::Main { works, joins } => main(works, joins, me),
            Self::ShortLived => Ok(()),
            Self::Parent => parent(&Self::Orphan, FOR_EVER, me),
            Self::Orphan => lives_on(None, me),
            Self::DaemonParent { works } => parent(&Self::DaemonChild, works, me),
            Self::DaemonChild => lives_on(Some(Signal::SIGTERM), me),
            Self::Careful { file, works } => careful(&file, works, me),
            Self::Writer { delay } => {
                me.enter_with(State::Sleeping, "writes the log");
                thread::sleep(delay);
                me.mark(WRITTEN);
                Ok(())
            }
        }
    }
}

fn isolated(changes: bool, delay: Duration, me: &mut Part) -> Result<()> {
    me.enter_with(State::Blocked, "until it is asked");
    ensure!(me.hear::<GoOn>()?.is_some(), "the lab has left");
    me.enter(State::Running);
    if changes {
        MONEY.store(AFTER, Ordering::SeqCst);
        me.mark("changes it");
    }
    me.tell(&Word::Seen(Seen::here()))?;
    me.enter_with(State::Sleeping, "work");
    thread::sleep(delay);
    Ok(())
}

fn main(works: Duration, joins: bool, me: &mut Part) -> Result<()> {
    let (begins, has_begun) = mpsc::channel();
    let work = move || {
        let mut me = Recorder::thread("its thread");
        me.enter_with(State::Sleeping, "work");
        let _ = begins.send(Word::ThreadWorks(gettid().as_raw(), now_ns()));
        thread::sleep(if joins { works.saturating_mul(3) } else { FOR_EVER });
        me.mark("over");
        me.end()
    };
    let thread =
        thread::Builder::new().name("its thread".to_owned()).spawn(work).context("cannot start a thread")?;
    me.tell(&has_begun.recv().context("the thread has gone")?)?;
    me.enter_with(State::Sleeping, "work");
    thread::sleep(works);
    me.enter(State::Running);
    if joins {
        me.enter_with(State::Blocked, "join");
        me.hand_over(thread.join().map_err(|_| anyhow!("the thread panicked"))?);
        me.tell(&Word::ThreadIsOver)?;
        me.enter(State::Running);
    }
    me.mark("main ends");
    Ok(())
}

fn parent(of: &Kin, works: Duration, me: &mut Part) -> Result<()> {
    let part = serde_json::to_string(of)?;
    let arguments = ["act", "--dies-with", &getpid().to_string(), Threads::NAME, &part];
    let mut command = leash::this_program(&arguments);
    // Its stdin is this process's own: the lab holds the other end, so the child ends at the latest
    // with the lab.
    command.stdin(Stdio::inherit()).stdout(Stdio::piped()).stderr(Stdio::null());
    let started_ns = now_ns();
    let mut child = command.spawn().context("cannot start a child")?;
    let mut said = BufReader::new(child.stdout.take().context("the child has no stdout")?);
    let mut line = String::new();
    loop {
        line.clear();
        ensure!(said.read_line(&mut line)? > 0, "the child has ended too early");
        if matches!(serde_json::from_str(&line)?, Line::Word(_)) {
            break;
        }
    }
    me.tell(&Word::ChildLives(child.id().cast_signed(), started_ns))?;
    me.enter_with(State::Sleeping, "work");
    thread::sleep(works);
    Ok(())
}

fn careful(file: &Path, works: Duration, me: &mut Part) -> Result<()> {
    fs::write(file, "in use").context("cannot make a file")?;
    me.enter_with(State::Blocked, "until it is told");
    me.tell(&Word::Ready)?;
    ensure!(me.hear::<GoOn>()?.is_some(), "the lab has left");
    me.enter_with(State::Sleeping, "work");
    thread::sleep(works);
    me.enter(State::Running);
    fs::remove_file(file).context("cannot remove a file")?;
    me.mark("cleans up");
    Ok(())
}

/// Lives until the lab hangs up, or its parent ends if it then gets a `signal`.
fn lives_on(signal: Option<Signal>, me: &mut Part) -> Result<()> {
    set_pdeathsig(signal).context("cannot take the leash off")?;
    me.tell(&Word::Ready)?;
    while me.hear::<GoOn>()?.is_some() {}
    // Nobody reads any more what it would say at a usual end.
    process::exit(0)
}
