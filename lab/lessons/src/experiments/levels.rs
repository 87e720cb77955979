//! Processes, threads and coroutines together: the last lesson.
//!
//! The course ends with it: a process for each core, some threads in each, many coroutines in each
//! thread. Every level does what the one above cannot do as cheaply: processes compute at the same
//! time whatever language they are written in, and one's crash is its own; threads share memory;
//! coroutines wait by the thousand. `server-hybrid` is this as a server.
//!
//! Here twenty clients each wait for an answer and then compute a little. A client is a coroutine
//! on one thread, then on two threads, then on two threads in each of two processes.

use std::cell::RefCell;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use harness::lang::Both;
use serde::{Deserialize, Serialize};
use serving::options::{parse_count, parse_duration};

use super::{name, sleep, ways, work};
use crate::Experiment;
use crate::cast::Cast;
use crate::executor::{Alarms, Stuck, Task, run};
use crate::part::Part;
use crate::stage::Stage;
use crate::texts::{Texts, say};
use crate::trace::{Kind, Lane, Recorder, State, Trace};
use crate::verdict::{Claim, Figure, Observation, Variant};

/// The most clients, processes and threads, and the longest of a client's times.
const MOST: usize = 1000;
const MOST_PROCESSES: usize = 20;
const LONGEST: Duration = Duration::from_secs(5);

/// `lab run levels`
#[derive(Debug, Args)]
pub struct Levels {
    /// Clients in all
    #[arg(long, value_name = "N", default_value = "20", value_parser = parse_count::<MOST>)]
    clients: usize,

    /// Processes, and threads in each
    #[arg(long, value_name = "N", default_value = "2", value_parser = parse_count::<MOST_PROCESSES>)]
    processes: usize,

    /// A client waits for this long
    #[arg(long, value_name = "TIME", default_value = "60ms", value_parser = parse_time)]
    wait: Duration,

    /// Then it computes for this long, of a processor's time
    #[arg(long, value_name = "TIME", default_value = "3ms", value_parser = parse_time)]
    compute: Duration,

    /// Run only this variant
    #[arg(long, value_enum, value_name = "VARIANT")]
    only: Option<Way>,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Way {
    /// A coroutine for each client, on one thread
    Coroutines,
    /// The coroutines shared out among threads
    Threads,
    /// The threads shared out among processes
    Processes,
}

/// What came of one way.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) way: Way,
    pub(crate) length_ns: u64,
    /// The most that waited at one time, and that computed.
    pub(crate) asleep: usize,
    pub(crate) computing: usize,
    /// Processes, and threads in each; and how many processes there were.
    pub(crate) processes: usize,
    pub(crate) seen: usize,
}

/// What a thread has to do: these clients, all at once.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Share {
    first: usize,
    clients: usize,
    threads: usize,
    wait: Duration,
    compute: Duration,
}

/// What a process says when its clients are done.
#[derive(Debug, Serialize, Deserialize)]
struct Done;

impl Experiment for Levels {
    const NAME: &'static str = "levels";
    const QUESTION: fn(&Texts) -> &'static str = |texts| texts.levels.question;

    fn run(&self, _stage: &Stage) -> Result<Observation> {
        let mut seen: Vec<(Way, Trace)> = Vec::new();
        for way in ways(self.only, Way::value_variants()) {
            seen.push((way, Trace::new(self.observe(way)?)));
        }
        let claims = seen.iter().map(|(way, trace)| self.claim(*way, trace)).collect();
        let variants = seen.into_iter().map(|(way, trace)| variant(way, trace)).collect();
        Ok(Observation { variants, drawings: Both::default(), claims })
    }

    fn act(part: &str, me: &mut Part) -> Result<()> {
        let share: Share = serde_json::from_str(part)?;
        me.enter_with(State::Blocked, "its threads");
        share.on_threads()?.into_iter().for_each(|lane| me.hand_over(lane));
        me.tell(&Done)
    }
}

impl Levels {
    fn observe(&self, way: Way) -> Result<Vec<Lane>> {
        let threads = if way == Way::Threads { self.processes } else { 1 };
        let all = Share { first: 0, clients: self.clients, threads, wait: self.wait, compute: self.compute };
        if way != Way::Processes {
            return all.on_threads();
        }
        let mut cast = Cast::new(Self::NAME);
        for (number, share) in all.parts(self.processes).enumerate() {
            cast.start(format!("process {}", number + 1), &Share { threads: self.processes, ..share })?;
        }
        cast.listen_to_all::<Done>()?;
        let (lanes, statuses) = cast.join()?;
        if statuses.iter().any(|status| !status.success()) {
            bail!("a process failed");
        }
        Ok(lanes)
    }

    fn claim(&self, way: Way, trace: &Trace) -> Claim {
        let clients: Vec<&Lane> = trace.lanes.iter().filter(|lane| lane.kind == Kind::Task).collect();
        let asleep = trace.most_at_once(State::Sleeping);
        let computing = trace.most_at_once(State::Holding);
        let mut processes: Vec<_> = clients.iter().map(|lane| lane.pid).collect();
        processes.sort_unstable();
        processes.dedup();
        let seen = processes.len();
        let holds = match way {
            Way::Coroutines => asleep > self.clients / 2 && computing == 1 && seen == 1,
            Way::Threads => computing <= self.processes && seen == 1,
            Way::Processes => seen == self.processes.min(self.clients),
        };
        let (length_ns, processes) = (trace.length_ns(), self.processes);
        let fact = Fact { way, length_ns, asleep, computing, processes, seen };
        Claim::new(clients.len() == self.clients && holds, |texts| (texts.levels.claim)(&fact))
    }
}

impl Share {
    /// As equal as can be.
    fn parts(self, count: usize) -> impl Iterator<Item = Self> {
        let start = move |part: usize| self.clients * part / count;
        (0..count)
            .map(move |part| Self {
                first: self.first + start(part),
                clients: start(part + 1) - start(part),
                ..self
            })
            .filter(|share| share.clients > 0)
    }

    /// Runs all clients, and returns their lanes.
    fn on_threads(self) -> Result<Vec<Lane>> {
        thread::scope(|scope| {
            let start = |(number, share): (usize, Self)| {
                let thread = thread::Builder::new().name(format!("thread {}", number + 1));
                thread
                    .spawn_scoped(scope, move || share.on_one_thread(number + 1))
                    .context("cannot start a thread")
            };
            let threads: Vec<_> = self.parts(self.threads).enumerate().map(start).collect::<Result<_>>()?;
            let lanes = threads.into_iter().map(|it| it.join().map_err(|_| anyhow!("a thread panicked"))?);
            lanes.collect::<Result<Vec<_>>>().map(|lanes| lanes.concat())
        })
    }

    fn on_one_thread(self, thread: usize) -> Result<Vec<Lane>> {
        let alarms = Alarms::default();
        let lanes = RefCell::new(Vec::new());
        let clients =
            (0..self.clients).map(|number| self.client(self.first + number, thread, &alarms, &lanes));
        let tasks: Vec<Task<'_>> = clients.map(|client| Box::pin(client) as Task<'_>).collect();
        if let Err(Stuck { tasks }) = run(&alarms, tasks) {
            bail!("{tasks} clients will never be woken");
        }
        lanes.into_inner().into_iter().collect()
    }

    async fn client(self, number: usize, thread: usize, alarms: &Alarms, lanes: &RefCell<Vec<Result<Lane>>>) {
        let mut me = Recorder::task(format!("client {}", number + 1));
        me.enter_with(State::Sleeping, format!("on thread {thread}"));
        sleep(&mut me, alarms, self.wait, "").await;
        me.enter(State::Holding);
        let worked = work(&mut me, self.compute);
        lanes.borrow_mut().push(worked.map(|()| me.end()));
    }
}

/// Long enough to be seen, and so short that a thousand clients on one thread are done in time.
fn parse_time(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(time) if (Duration::from_millis(1)..=LONGEST).contains(&time) => Ok(time),
        _ => Err("takes a time from 1ms to 5s".to_owned()),
    }
}

fn variant(way: Way, trace: Trace) -> Variant {
    let figures = vec![
        ("clients", Figure::count(trace.lanes.iter().filter(|lane| lane.kind == Kind::Task).count())),
        ("most waiting at once", Figure::count(trace.most_at_once(State::Sleeping))),
        ("most computing at once", Figure::count(trace.most_at_once(State::Holding))),
        ("ready", Figure::Time(trace.lanes.iter().map(Lane::ready_ns).sum())),
        ("time", Figure::Time(trace.length_ns())),
    ];
    Variant { name: name(way), about: say(|texts| (texts.levels.about)(way)), trace, figures }
}
