//! Threads and processes: what they share, what a join is, what dies with the main thread, and what
//! lives on.
//!
//! The course: threads of one pid with names of their own, `active_count()`, the global `money`
//! that a thread changes for all and a process for itself; `join`; `t1.daemon = True`; zombies and
//! orphans; `terminate`, `is_alive`; a web server's view that answers while a thread that it has
//! started still works. In Rust every thread is a daemon: when main returns, the process ends. What Python does
//! for other threads, join them at the end, is to be written down.
//!
//! What may cross to a thread is in its type. What belongs to one thread only is not `Send`, so this
//! does not compile:
//!
//! ```compile_fail
//! let shared = std::rc::Rc::new(1);
//! std::thread::spawn(move || println!("{shared}"));
//! ```
//!
//! A thread may outlive the function that starts it, so what it borrows must be `'static`, and this
//! does not compile either:
//!
//! ```compile_fail
//! let name = String::from("jason");
//! std::thread::spawn(|| println!("{name}"));
//! ```
//!
//! Between processes only bytes cross: what cannot be written as such (Python: pickled), as a lock or
//! a socket, stays behind.

mod ended;
mod family;
mod kin;
mod request;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use harness::lang::Both;
use nix::unistd::getpid;
use procfs::process::Process;
use serving::options::{parse_count, parse_duration};

use super::{name, on_threads, ways};
use crate::Experiment;
use crate::cast::{Cast, Heard};
use crate::part::Part;
use crate::stage::Stage;
use crate::texts::{Texts, say};
use crate::trace::{Recorder, State, Trace};
use crate::verdict::{Claim, Drawing, Figure, Observation, Variant};

use self::kin::{GoOn, Kin, Seen, Word};
pub(crate) use self::request::Writer;

/// The most children.
const MOST: usize = 100;

/// What the course's global is before and after a child has changed it.
const BEFORE: u64 = 100;
const AFTER: u64 = 666;

/// The course's `money`, global to the program; every process that runs it has one.
static MONEY: AtomicU64 = AtomicU64::new(BEFORE);

/// `lab run threads`
#[derive(Debug, Args)]
pub struct Threads {
    /// Children, where there are several
    #[arg(long, value_name = "N", default_value = "5", value_parser = parse_count::<MOST>)]
    children: usize,

    /// A child works, and a zombie or an orphan is left alone, for this long
    #[arg(long, value_name = "TIME", default_value = "30ms", value_parser = parse_duration)]
    delay: Duration,

    /// Run only this variant
    #[arg(long, value_enum, value_name = "VARIANT")]
    only: Option<Way>,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Way {
    /// Threads, of which the first changes a global
    Shared,
    /// Processes, of which the first changes a global
    Isolated,
    /// Main goes on while its child works
    NoJoin,
    /// Main waits for its child
    Join,
    /// Main ends while a thread works
    Daemon,
    /// Main joins its thread before it ends
    NoDaemon,
    /// A process has ended, and its parent does not ask how
    Zombie,
    /// A process is killed, and its child lives on
    Orphan,
    /// A child that is terminated, and one that ends itself
    Terminate,
    /// A child process that ends with its parent
    DaemonChild,
    /// A request whose slow work is done before the answer
    RequestAlone,
    /// A request whose slow work a thread does, after the answer
    RequestThread,
    /// A request whose slow work a process does, after the answer
    RequestProcess,
}

/// What there is to say.
#[derive(Debug)]
pub(crate) enum Fact {
    /// Threads, and how many are alive with the main one; and what main sees of the global.
    Shared { children: usize, pids: usize, names: usize, active: usize, money: u64 },
    /// Processes and their parent; and what the first and main see of the global.
    Isolated { children: usize, pids: usize, parent: i32, first: u64, money: u64 },
    /// Whether main went on before its child was over.
    Join { joins: bool, main_was_first: bool },
    /// Whether a thread's work was done when main ended.
    MainEnds { joins: bool, is_over: bool },
    /// What was left of a process that had ended, and for how long.
    Zombie { was_zombie: bool, left_ns: u64, is_left: bool },
    /// The parents of a process, the first of which was killed.
    Orphan { parent: i32, after: i32, is_lab: bool, is_left: bool },
    /// Whether the files are left of one that ended and of one that was terminated, and by what.
    Terminated { left: [bool; 2], signal: Option<i32> },
    /// What ended a child whose parent has ended.
    Daemon { how: String, is_left: bool },
    /// When an answer came whose log is written by this.
    Request { writer: Writer, took_ns: u64, is_written_before: bool },
}

impl Fact {
    fn claim(self, holds: bool) -> Claim {
        Claim::new(holds, |texts| (texts.threads.claim)(&self))
    }
}

/// What came of one way.
struct Scene {
    trace: Trace,
    figures: Vec<(&'static str, Figure)>,
    claim: Claim,
}

impl Experiment for Threads {
    const NAME: &'static str = "threads";
    const QUESTION: fn(&Texts) -> &'static str = |texts| texts.threads.question;

    fn run(&self, stage: &Stage) -> Result<Observation> {
        let (mut variants, mut claims) = (Vec::new(), Vec::new());
        let mut drawings: Vec<Both<Drawing>> = Vec::new();
        for way in ways(self.only, Way::value_variants()) {
            let Scene { trace, figures, claim } = match way {
                Way::Shared => self.shared()?,
                Way::Isolated => self.isolated()?,
                Way::NoJoin => self.join(false)?,
                Way::Join => self.join(true)?,
                Way::Daemon => family::main_ends(self.delay, false)?,
                Way::NoDaemon => family::main_ends(self.delay, true)?,
                Way::Zombie => family::zombie(self.delay)?,
                Way::Orphan => family::orphan(self.delay)?,
                Way::Terminate => {
                    let (scene, words) = ended::terminate(self.delay, &stage.folder("threads")?)?;
                    drawings.push(words);
                    scene
                }
                Way::DaemonChild => ended::daemon_child(self.delay)?,
                Way::RequestAlone => request::request(Writer::Itself, self.delay)?,
                Way::RequestThread => request::request(Writer::Thread, self.delay)?,
                Way::RequestProcess => request::request(Writer::Process, self.delay)?,
            };
            variants.push(Variant {
                name: name(way),
                about: say(|texts| (texts.threads.about)(way)),
                trace,
                figures,
            });
            claims.push(claim);
        }
        Ok(Observation {
            variants,
            drawings: Both::each(|lang| drawings.iter().map(|drawing| drawing.get(lang).clone()).collect()),
            claims,
        })
    }

    fn act(part: &str, me: &mut Part) -> Result<()> {
        serde_json::from_str::<Kin>(part)?.act(me)
    }
}

impl Threads {
    fn shared(&self) -> Result<Scene> {
        MONEY.store(BEFORE, Ordering::SeqCst);
        let (changed, counted) = (Barrier::new(self.children), Barrier::new(self.children));
        let (all, active) = (Mutex::new(Vec::new()), Mutex::new(Ok(0)));
        let lanes = on_threads(self.children, "child", |number, me| {
            if number == 0 {
                MONEY.store(AFTER, Ordering::SeqCst);
                me.mark("changes it");
            }
            me.enter_with(State::Blocked, "until it is changed");
            changed.wait();
            me.enter(State::Running);
            all.lock().unwrap_or_else(PoisonError::into_inner).push(Seen::here());
            if number == 0 {
                *active.lock().unwrap_or_else(PoisonError::into_inner) = active_count();
            }
            me.enter_with(State::Blocked, "until all are counted");
            counted.wait();
            me.enter_with(State::Sleeping, "work");
            thread::sleep(self.delay);
        })?;
        let all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
        let active = active.into_inner().unwrap_or_else(PoisonError::into_inner)?;
        let names: BTreeSet<_> = all.iter().map(|seen| &seen.name).collect();
        let money = MONEY.load(Ordering::SeqCst);
        let holds = all.iter().all(|seen| seen.pid == getpid().as_raw() && seen.money == AFTER)
            && names.len() == self.children
            && active == self.children + 1
            && money == AFTER;
        let (children, pids, names) = (self.children, pids(&all), names.len());
        let claim = Fact::Shared { children, pids, names, active, money }.claim(holds);
        Ok(Scene { trace: Trace::new(lanes), figures: figures(&all, Some(active), money), claim })
    }

    fn isolated(&self) -> Result<Scene> {
        MONEY.store(BEFORE, Ordering::SeqCst);
        let mut cast = Cast::new(Self::NAME);
        for number in 0..self.children {
            let child = Kin::Isolated { changes: number == 0, delay: self.delay };
            cast.start(format!("child {}", number + 1), &child)?;
        }
        let mut all = Vec::new();
        // One after the other: who is asked later could see what the first has changed.
        for number in 0..self.children {
            cast.say(number, &GoOn)?;
            all.push(loop {
                match cast.listen()? {
                    Heard::Word(_, Word::Seen(seen)) => break seen,
                    // It was asked before, and its work is done.
                    Heard::End(its) if its < number => {}
                    other => bail!("a child said {other:?}"),
                }
            });
        }
        let (lanes, _) = cast.join()?;
        let (lab, money) = (getpid().as_raw(), MONEY.load(Ordering::SeqCst));
        let others = all.iter().skip(1).all(|seen| seen.money == BEFORE);
        let own_pids =
            pids(&all) == self.children && all.iter().all(|seen| seen.pid != lab && seen.parent == lab);
        let (children, pids, first) = (self.children, pids(&all), all[0].money);
        let holds = own_pids && first == AFTER && others && money == BEFORE;
        let claim = Fact::Isolated { children, pids, parent: lab, first, money }.claim(holds);
        Ok(Scene { trace: Trace::new(lanes), figures: figures(&all, None, money), claim })
    }

    fn join(&self, joins: bool) -> Result<Scene> {
        let (goes_on, may_work) = mpsc::channel();
        let delay = self.delay;
        let mut me = Recorder::thread("main");
        let work = move || {
            let mut me = Recorder::thread("child");
            // Without a join it does not take luck that main is first.
            me.enter_with(State::Blocked, "until main has gone on");
            let _ = may_work.recv();
            me.enter_with(State::Sleeping, "work");
            thread::sleep(delay);
            me.mark("over");
            me.end()
        };
        let child =
            thread::Builder::new().name("child".to_owned()).spawn(work).context("cannot start a thread")?;
        let join = |child: thread::JoinHandle<_>| child.join().map_err(|_| anyhow!("a child panicked"));
        let lanes = if joins {
            goes_on.send(()).context("the child has gone")?;
            me.enter_with(State::Blocked, "join");
            let lane = join(child)?;
            me.enter(State::Running);
            me.mark("goes on");
            vec![me.end(), lane]
        } else {
            me.mark("goes on");
            goes_on.send(()).context("the child has gone")?;
            let main = me.end();
            // Of no interest to main; nothing is left behind.
            vec![main, join(child)?]
        };
        let at = |lane: usize| lanes[lane].marks.first().map(|mark| mark.at_ns);
        let was_first = at(0) < at(1);
        let claim = Fact::Join { joins, main_was_first: was_first }.claim(was_first != joins);
        let first = if was_first { "main" } else { "child" };
        let figures = vec![("first", Figure::Word(first.to_owned()))];
        Ok(Scene { trace: Trace::new(lanes), figures, claim })
    }
}

/// The course's `active_count()`: the threads of this process that this experiment has, with the
/// main one.
fn active_count() -> Result<usize> {
    let tasks = Process::myself().and_then(|process| process.tasks()).context("cannot read /proc")?;
    let is_ours = |comm: &str, tid: i32| comm.starts_with("child ") || tid == getpid().as_raw();
    // One that ends meanwhile cannot be read: none of ours, they wait.
    Ok(tasks.flatten().filter(|task| task.stat().is_ok_and(|stat| is_ours(&stat.comm, stat.pid))).count())
}

fn pids(all: &[Seen]) -> usize {
    all.iter().map(|seen| seen.pid).collect::<BTreeSet<_>>().len()
}

fn figures(all: &[Seen], active: Option<usize>, money: u64) -> Vec<(&'static str, Figure)> {
    let sees = all.iter().filter(|seen| seen.money == AFTER).count();
    let mut figures = vec![("pids", Figure::count(pids(all)))];
    figures.extend(active.map(|active| ("active", Figure::count(active))));
    figures.extend([("saw it", Figure::count(sees)), ("money", Figure::Count(money))]);
    figures
}
