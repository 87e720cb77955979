//! Two tasks that sleep 3 and 5 units, on one thread: 8 one after the other, 5 together. And one
//! that computes without yielding.
//!
//! The course: gevent's `spawn(func1)` and `spawn(func2)`, whose `time.sleep` has been replaced by
//! one that lets others run; 8.01 s become 5.02 s. Here `func1` and `func2` are Rust's own
//! coroutines, and what runs them is [`executor`](crate::executor).
//!
//! `func3` is not in the course. It computes for 6 units, and nothing can take the thread from it:
//! the others oversleep.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use harness::lang::Both;
use nix::unistd::gettid;
use serving::options::parse_duration;

use super::{compute, name, sleep, ways};
use crate::Experiment;
use crate::executor::{Alarms, Stuck, Task, give_way, run};
use crate::stage::Stage;
use crate::texts::{Texts, say};
use crate::trace::{Lane, Recorder, State, Trace};
use crate::verdict::{Claim, Figure, Observation, Variant};

/// How long the tasks sleep, and how long func3 computes, in units. It computes until both others
/// should have woken.
const SLEEP_1: u32 = 3;
const SLEEP_2: u32 = 5;
const COMPUTE: u32 = 6;

/// The greatest number of times that func3 yields, if it does.
const MOST_TURNS: u32 = 1000;

/// The shortest unit.
const LEAST_UNIT: Duration = Duration::from_millis(1);

/// `lab run coroutines`
#[derive(Debug, Args)]
pub struct Coroutines {
    /// A unit of time: func1 sleeps for 3, func2 for 5, func3 computes for 6. The course's is a
    /// second
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = parse_unit)]
    unit: Duration,

    /// func3 computes in so many pieces, 20 or more, and yields after each (variant yielding)
    #[arg(long, value_name = "N", default_value = "60")]
    #[arg(value_parser = clap::value_parser!(u32).range(20..=i64::from(MOST_TURNS)))]
    pieces: u32,

    /// Run only this variant
    #[arg(long, value_enum, value_name = "VARIANT")]
    only: Option<Way>,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Way {
    /// func1, and when it is over func2
    InTurn,
    /// Both at once
    Together,
    /// Both, and func3, which computes in one piece
    Greedy,
    /// Both, and func3, which yields now and then
    Yielding,
}

/// What came of one way, with times in units.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) way: Way,
    /// How long both sleep one after the other, and the longer of them.
    pub(crate) both: u32,
    pub(crate) longest: u32,
    pub(crate) length: String,
    /// How long a task slept too long.
    pub(crate) late: String,
    pub(crate) threads: usize,
    pub(crate) pieces: u32,
}

impl Experiment for Coroutines {
    const NAME: &'static str = "coroutines";
    const QUESTION: fn(&Texts) -> &'static str = |texts| texts.coroutines.question;

    fn run(&self, _stage: &Stage) -> Result<Observation> {
        let (mut variants, mut claims) = (Vec::new(), Vec::new());
        for way in ways(self.only, Way::value_variants()) {
            let (trace, threads) = self.observe(way)?;
            claims.push(self.claim(way, &trace, threads));
            variants.push(self.variant(way, trace, threads));
        }
        Ok(Observation { variants, drawings: Both::default(), claims })
    }
}

impl Coroutines {
    /// What the tasks recorded, and on how many threads they ran.
    fn observe(&self, way: Way) -> Result<(Trace, usize)> {
        let alarms = Alarms::default();
        let (mut one, mut two, mut three) = (Ran::default(), Ran::default(), Ran::default());
        let (func1, func2) = (
            self.sleeper("func1", SLEEP_1, &alarms, &mut one),
            self.sleeper("func2", SLEEP_2, &alarms, &mut two),
        );
        let tasks: Vec<Task<'_>> = match way {
            Way::InTurn => vec![Box::pin(async {
                func1.await;
                func2.await;
            })],
            Way::Together => vec![Box::pin(func1), Box::pin(func2)],
            Way::Greedy => vec![Box::pin(func1), Box::pin(func2), Box::pin(self.func3(1, &mut three))],
            Way::Yielding => {
                vec![Box::pin(func1), Box::pin(func2), Box::pin(self.func3(self.pieces, &mut three))]
            }
        };
        if let Err(Stuck { tasks }) = run(&alarms, tasks) {
            bail!("{tasks} tasks will never be woken");
        }
        let ran = [one, two, three];
        let mut threads: Vec<_> = ran.iter().flat_map(|ran| ran.threads.iter().copied()).collect();
        threads.sort_unstable();
        threads.dedup();
        Ok((Trace::new(ran.into_iter().filter_map(|ran| ran.lane).collect()), threads.len()))
    }

    /// func1 and func2 of the course. It begins to exist, as its lane does, when it runs for the
    /// first time.
    async fn sleeper(&self, name: &str, units: u32, alarms: &Alarms, ran: &mut Ran) {
        let mut me = Recorder::task(name);
        ran.here();
        me.enter(State::Sleeping);
        sleep(&mut me, alarms, self.unit * units, "overdue").await;
        ran.here();
        me.enter(State::Running);
        me.mark("over");
        ran.lane = Some(me.end());
    }

    async fn func3(&self, pieces: u32, ran: &mut Ran) {
        let mut me = Recorder::task("func3");
        for piece in 0..pieces {
            if piece > 0 {
                me.enter_with(State::Waiting, "for its turn");
                give_way().await;
            }
            ran.here();
            me.enter_with(State::Holding, "the thread, computing");
            compute(self.unit * COMPUTE / pieces);
        }
        me.enter(State::Running);
        me.mark("over");
        ran.lane = Some(me.end());
    }

    fn claim(&self, way: Way, trace: &Trace, threads: usize) -> Claim {
        let (unit, asleep) = (nanoseconds(self.unit), trace.most_at_once(State::Sleeping));
        let units = |units: u32| unit * u64::from(units);
        let (both, length) = (SLEEP_1 + SLEEP_2, trace.length_ns());
        let over = |name: &str| over(trace, name);
        let holds = match way {
            Way::InTurn => length >= units(both) && asleep == 1,
            Way::Together => (units(SLEEP_2)..units(both)).contains(&length) && asleep == 2,
            Way::Greedy => over("func3") <= over("func1").min(over("func2")) && length >= units(COMPUTE),
            Way::Yielding => over("func1").max(over("func2")) <= over("func3") && length >= units(COMPUTE),
        };
        let fact = Fact {
            way,
            both,
            longest: SLEEP_2,
            length: self.in_units(length),
            late: self.in_units(longest_overdue(trace)),
            threads,
            pieces: self.pieces,
        };
        Claim::new(threads == 1 && holds, |texts| (texts.coroutines.claim)(&fact))
    }

    fn variant(&self, way: Way, trace: Trace, threads: usize) -> Variant {
        let length = trace.length_ns();
        let figures = vec![
            ("threads", Figure::count(threads)),
            ("units", Figure::Word(self.in_units(length))),
            ("longest overdue", Figure::Time(longest_overdue(&trace))),
            ("time", Figure::Time(length)),
        ];
        Variant { name: name(way), about: say(|texts| (texts.coroutines.about)(way)), trace, figures }
    }

    #[allow(clippy::cast_precision_loss, reason = "shown with three digits")]
    fn in_units(&self, time_ns: u64) -> String {
        format!("{:.2}", time_ns as f64 / nanoseconds(self.unit).max(1) as f64)
    }
}

/// A time that is long beside what a switch costs.
fn parse_unit(text: &str) -> Result<Duration, String> {
    let unit = parse_duration(text)?;
    if unit < LEAST_UNIT { Err("takes a time of at least 1ms".to_owned()) } else { Ok(unit) }
}

/// What is known of a task afterwards.
#[derive(Debug, Default)]
struct Ran {
    lane: Option<Lane>,
    /// The kernel's numbers of the threads that it ran on.
    threads: Vec<i32>,
}

impl Ran {
    fn here(&mut self) {
        self.threads.push(gettid().as_raw());
    }
}

/// When the task was over, in nanoseconds of CLOCK_MONOTONIC.
fn over(trace: &Trace, name: &str) -> Option<u64> {
    let lane = trace.lanes.iter().find(|lane| lane.name == name)?;
    lane.marks.iter().find(|mark| mark.label == "over").map(|mark| mark.at_ns)
}

/// Of those that slept.
fn longest_overdue(trace: &Trace) -> u64 {
    let slept = trace.lanes.iter().filter(|lane| lane.total_ns(State::Sleeping) > 0);
    slept.map(|lane| lane.total_ns(State::Waiting)).max().unwrap_or(0)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
