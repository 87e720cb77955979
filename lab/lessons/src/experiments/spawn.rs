//! What a hundred processes, threads and tasks cost: to create, until their first instruction, and
//! to join.
//!
//! The course: `Process(target=task)` and `Thread(target=task)` a hundred times, `time.sleep(0.1)`
//! in each, 1.75 s against 0.12 s. Its comment at `p.start()` is a variant of its own: who joins
//! each before it creates the next has done them one after the other.
//!
//! A process here is this program again (fork and exec, with two pipes and a thread that reads what
//! it records; all of it is in the figure). A bare fork would be cheaper, and is unsafe where there
//! are threads. A task is what a compiler makes of an `async fn`, by hand: a boxed state machine in
//! a queue, polled by the thread that created it. It has no runtime on purpose: what is measured is
//! the task, not the machinery that wakes it.

use std::collections::{BTreeSet, VecDeque};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use clap::{Args, ValueEnum};
use harness::lang::Both;
use nix::unistd::{getpid, gettid};
use serving::options::{parse_count, parse_duration};

use super::{name, ways};
use crate::Experiment;
use crate::cast::Cast;
use crate::part::Part;
use crate::stage::Stage;
use crate::texts::{Texts, say};
use crate::trace::{Lane, Recorder, Span, State, Trace, now_ns};
use crate::verdict::{Claim, Figure, Observation, Variant};

/// The most of each kind. A process takes two descriptors and a thread of the lab.
const MOST: usize = 400;

/// What the lanes call the three times that are measured.
const CREATING: &str = "creating";
const STARTING: &str = "starting";
const JOINING: &str = "joining";

/// `lab run spawn`
#[derive(Debug, Args)]
pub struct Spawn {
    /// Processes, threads and tasks to create
    #[arg(long, value_name = "N", default_value = "100", value_parser = parse_count::<MOST>)]
    count: usize,

    /// Each sleeps for this long, and ends
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = parse_duration)]
    delay: Duration,

    /// Run only this variant
    #[arg(long, value_enum, value_name = "VARIANT")]
    only: Option<Way>,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Way {
    /// Create all, then join all
    Processes,
    /// Create all, then join all
    Threads,
    /// Create all, then poll them on this thread until all are over
    Tasks,
    /// Create a thread and join it, then the next
    OneByOne,
}

/// What there is to say.
#[derive(Debug)]
pub(crate) enum Fact {
    /// What was created in one way: how many process ids and threads they had, how many slept at
    /// one time at most, each for `delay`, and how long all took.
    Created {
        way: Way,
        count: usize,
        pids: usize,
        threads: usize,
        most: usize,
        length_ns: u64,
        delay: Duration,
    },
    /// How long it took to create all of two ways.
    Cheaper { cheap: Way, dear: Way, cheap_ns: u64, dear_ns: u64 },
}

/// One way that was gone. The first lane is that of who creates.
struct Crowd {
    way: Way,
    trace: Trace,
}

impl Experiment for Spawn {
    const NAME: &'static str = "spawn";
    const QUESTION: fn(&Texts) -> &'static str = |texts| texts.spawn.question;

    fn run(&self, _stage: &Stage) -> Result<Observation> {
        let (mut crowds, mut claims) = (Vec::new(), Vec::new());
        for way in ways(self.only, Way::value_variants()) {
            let lanes = match way {
                Way::Processes => self.processes()?,
                Way::Threads => self.threads()?,
                Way::Tasks => self.tasks(),
                Way::OneByOne => self.one_by_one()?,
            };
            let crowd = Crowd { way, trace: Trace::new(lanes) };
            claims.push(self.claim(&crowd));
            crowds.push(crowd);
        }
        claims.extend(cheaper(&crowds, Way::Threads, Way::Processes));
        claims.extend(cheaper(&crowds, Way::Tasks, Way::Threads));
        let variants = crowds.into_iter().map(|crowd| crowd.variant(self.count)).collect();
        Ok(Observation { variants, drawings: Both::default(), claims })
    }

    fn act(part: &str, me: &mut Part) -> Result<()> {
        let delay: Duration = serde_json::from_str(part)?;
        me.enter(State::Sleeping);
        thread::sleep(delay);
        me.enter(State::Running);
        Ok(())
    }
}

impl Spawn {
    fn processes(&self) -> Result<Vec<Lane>> {
        let mut cast = Cast::new(Self::NAME);
        let mut me = creator();
        for number in 1..=self.count {
            cast.start(format!("process {number}"), &self.delay)?;
        }
        me.enter_with(State::Blocked, JOINING);
        let (lanes, _) = cast.join()?;
        Ok([vec![me.end()], lanes].concat())
    }

    fn threads(&self) -> Result<Vec<Lane>> {
        let mut me = creator();
        let threads: Vec<_> = (1..=self.count).map(|number| self.thread(number)).collect::<Result<_>>()?;
        me.enter_with(State::Blocked, JOINING);
        let lanes: Vec<_> = threads.into_iter().map(join).collect::<Result<_>>()?;
        Ok([vec![me.end()], lanes].concat())
    }

    fn one_by_one(&self) -> Result<Vec<Lane>> {
        let (mut me, mut lanes) = (creator(), Vec::new());
        for number in 1..=self.count {
            me.enter_with(State::Running, CREATING);
            let thread = self.thread(number)?;
            me.enter_with(State::Blocked, JOINING);
            lanes.push(join(thread)?);
        }
        Ok([vec![me.end()], lanes].concat())
    }

    fn thread(&self, number: usize) -> Result<JoinHandle<Lane>> {
        let (created_ns, delay, name) = (now_ns(), self.delay, format!("thread {number}"));
        let work = move || {
            let mut me = Recorder::thread(format!("thread {number}"));
            me.enter(State::Sleeping);
            thread::sleep(delay);
            me.enter(State::Running);
            created(me.end(), created_ns)
        };
        thread::Builder::new().name(name).spawn(work).with_context(|| format!("cannot start thread {number}"))
    }

    fn tasks(&self) -> Vec<Lane> {
        let mut me = creator();
        let mut queue: VecDeque<Box<Sleeper>> =
            (1..=self.count).map(|number| Box::new(Sleeper::new(number, self.delay))).collect();
        me.enter_with(State::Running, JOINING);
        let mut lanes = Vec::new();
        while let Some(mut task) = queue.pop_front() {
            // All sleep equally long, so the one in front is always the first to wake.
            if let Some(wait) = task.wait() {
                me.enter_with(State::Sleeping, JOINING);
                thread::sleep(wait);
                me.enter_with(State::Running, JOINING);
            }
            match task.poll() {
                Some(lane) => lanes.push(lane),
                None => queue.push_back(task),
            }
        }
        [vec![me.end()], lanes].concat()
    }

    fn claim(&self, crowd: &Crowd) -> Claim {
        let (lab, me, count) = (getpid().as_raw(), Some(gettid().as_raw()), self.count);
        let others = crowd.others();
        let pids: BTreeSet<_> = others.iter().map(|lane| lane.pid).collect();
        let tids: BTreeSet<_> = others.iter().filter_map(|lane| lane.tid).collect();
        let (most, length_ns) = (crowd.sleeping_at_once(), crowd.trace.length_ns());
        let holds = match crowd.way {
            Way::Processes => pids.len() == count && !pids.contains(&lab),
            Way::Threads => tids.len() == count && pids == BTreeSet::from([lab]),
            Way::Tasks => tids.is_empty() && others.len() == count && crowd.trace.lanes[0].tid == me,
            Way::OneByOne => most <= 1 && u128::from(length_ns) >= self.delay.as_nanos() * count as u128,
        };
        let (way, pids, threads, delay) = (crowd.way, pids.len(), tids.len(), self.delay);
        let fact = Fact::Created { way, count, pids, threads, most, length_ns, delay };
        Claim::new(holds, |texts| (texts.spawn.claim)(&fact))
    }
}

/// A state machine: it has not begun, it sleeps, it is over.
struct Sleeper {
    number: usize,
    delay: Duration,
    created_ns: u64,
    asleep: Option<(Recorder, Instant)>,
}

impl Sleeper {
    fn new(number: usize, delay: Duration) -> Self {
        Self { number, delay, created_ns: now_ns(), asleep: None }
    }

    /// How long there is nothing to do for it; `None` if it is to be polled now.
    fn wait(&self) -> Option<Duration> {
        let (_, wakes) = self.asleep.as_ref()?;
        wakes.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero())
    }

    /// One step; its lane if it was the last.
    fn poll(&mut self) -> Option<Lane> {
        match self.asleep.take() {
            None => {
                let mut me = Recorder::task(format!("task {}", self.number));
                me.enter(State::Sleeping);
                self.asleep = Some((me, Instant::now() + self.delay));
                None
            }
            Some((mut me, _)) => {
                me.enter(State::Running);
                Some(created(me.end(), self.created_ns))
            }
        }
    }
}

fn creator() -> Recorder {
    let mut me = Recorder::thread("main");
    me.enter_with(State::Running, CREATING);
    me
}

fn join(thread: JoinHandle<Lane>) -> Result<Lane> {
    thread.join().map_err(|_| anyhow!("a thread panicked"))
}

/// The lane begins where it was created; until its own first instruction it was starting, as that
/// of a process.
fn created(mut lane: Lane, created_ns: u64) -> Lane {
    let first_ns = lane.spans.first().map_or(created_ns, |span| span.begin_ns);
    if created_ns < first_ns {
        lane.spans.insert(0, Span::new(State::Running, STARTING, created_ns, first_ns));
    }
    lane
}

/// Where both were done: which of them is cheaper to create.
fn cheaper(crowds: &[Crowd], cheap: Way, dear: Way) -> Option<Claim> {
    let cost = |way| crowds.iter().find(|crowd| crowd.way == way).map(|crowd| crowd.main_ns(CREATING));
    let (cheap_ns, dear_ns) = (cost(cheap)?, cost(dear)?);
    let fact = Fact::Cheaper { cheap, dear, cheap_ns, dear_ns };
    Some(Claim::new(cheap_ns < dear_ns, |texts| (texts.spawn.claim)(&fact)))
}

impl Crowd {
    /// All but who creates them.
    fn others(&self) -> &[Lane] {
        &self.trace.lanes[1..]
    }

    fn main_ns(&self, what: &str) -> u64 {
        spent_ns(&self.trace.lanes[0], what)
    }

    fn sleeping_at_once(&self) -> usize {
        Trace::new(self.others().to_vec()).most_at_once(State::Sleeping)
    }

    fn variant(self, count: usize) -> Variant {
        let starting: Vec<_> = self.others().iter().map(|lane| spent_ns(lane, STARTING)).collect();
        let create_ns = self.main_ns(CREATING);
        let figures = vec![
            ("created", Figure::count(count)),
            ("create", Figure::Time(create_ns)),
            ("create each", Figure::Time(create_ns / count as u64)),
            ("first instruction", Figure::Time(starting.iter().sum::<u64>() / count as u64)),
            ("latest", Figure::Time(starting.iter().copied().max().unwrap_or(0))),
            ("join", Figure::Time(self.main_ns(JOINING))),
            ("asleep at once", Figure::count(self.sleeping_at_once())),
            ("time", Figure::Time(self.trace.length_ns())),
        ];
        Variant {
            name: name(self.way),
            about: say(|texts| (texts.spawn.about)(self.way)),
            trace: self.trace,
            figures,
        }
    }
}

/// Nanoseconds that a lane spent with `what`.
fn spent_ns(lane: &Lane, what: &str) -> u64 {
    lane.spans.iter().filter(|span| span.what == what).map(|span| span.end_ns - span.begin_ns).sum()
}
