//! One traffic light, twenty cars: all go when it turns green; and the wake-up that is lost when
//! the waiting is written wrongly.
//!
//! The course: `event.wait()` in twenty threads, `event.set()` in one, ten seconds later. An event
//! is a flag and a condition variable, and both are needed: a notification that nobody waits for is
//! lost. A thread that looks at the flag, sees red, and *then* waits misses a notification that comes
//! in between, and sleeps on at green: a lost wake-up. It does not take luck to see it: here the light
//! turns when all have looked and none waits yet.
//!
//! The right way looks at the flag under the lock that the light takes to change it, and the lock
//! is given back only by waiting: there is no between.

use std::sync::{Barrier, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use harness::lang::Both;
use serving::options::{parse_count, parse_duration};

use super::{name, on_threads, ways};
use crate::Experiment;
use crate::stage::Stage;
use crate::texts::{Texts, say};
use crate::trace::{Recorder, State, Trace};
use crate::verdict::{Claim, Figure, Observation, Variant};

/// The most cars.
const MOST: usize = 1000;

/// A car that waits rightly waits for this long at most, which only a bug could reach.
const LIMIT: Duration = Duration::from_secs(10);

/// `lab run event`
#[derive(Debug, Args)]
pub struct Event {
    /// Cars, each a thread
    #[arg(long, value_name = "N", default_value = "20", value_parser = parse_count::<MOST>)]
    cars: usize,

    /// How long the light is red
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = parse_duration)]
    red: Duration,

    /// A car that waits wrongly looks again after this long; without that it would wait for ever
    #[arg(long, value_name = "TIME", default_value = "300ms", value_parser = parse_duration)]
    patience: Duration,

    /// Run only this variant
    #[arg(long, value_enum, value_name = "VARIANT")]
    only: Option<Way>,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Way {
    /// Look at the light, then wait for the notification
    LookThenWait,
    /// Look at the light under the lock, and wait as long as it is red
    Event,
}

/// What came of one way.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) way: Way,
    pub(crate) cars: usize,
    pub(crate) missed: usize,
    pub(crate) drove: usize,
    pub(crate) slept_ns: u64,
}

/// An event: a light, and a condition variable for those that wait.
struct Light {
    seen: Mutex<Seen>,
    turned: Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Seen {
    is_green: bool,
    /// How many notifications there were. A condition variable has no such memory, and may wake a
    /// thread without one: this tells which wake-ups are real.
    notifications: u64,
}

/// Where the threads of one variant meet, so that the light turns at the worst of all moments.
struct Meetings {
    all_have_looked: Barrier,
    has_turned: Barrier,
    red_is_over: Barrier,
    last_has_looked: Barrier,
}

impl Experiment for Event {
    const NAME: &'static str = "event";
    const QUESTION: fn(&Texts) -> &'static str = |texts| texts.event.question;

    fn run(&self, _stage: &Stage) -> Result<Observation> {
        let (mut variants, mut claims) = (Vec::new(), Vec::new());
        for way in ways(self.only, Way::value_variants()) {
            let light = Light::red();
            let meetings = Meetings {
                all_have_looked: Barrier::new(self.cars + 1),
                has_turned: Barrier::new(self.cars + 1),
                red_is_over: Barrier::new(2),
                last_has_looked: Barrier::new(2),
            };
            // The last thread is the light.
            let mut lanes =
                on_threads(self.cars + 1, "car", |number, me| match (way, number == self.cars) {
                    (Way::LookThenWait, true) => self.turn_when_all_have_looked(&light, &meetings, me),
                    (Way::LookThenWait, false) => self.look_then_wait(&light, &meetings, me),
                    (Way::Event, true) => self.turn_when_the_last_has_looked(&light, &meetings, me),
                    (Way::Event, false) => self.wait_while_red(number, &light, &meetings, me),
                })?;
            lanes.rotate_right(1);
            "light".clone_into(&mut lanes[0].name);
            let trace = Trace::new(lanes);
            claims.push(self.claim(way, &trace));
            variants.push(variant(way, trace));
        }
        Ok(Observation { variants, drawings: Both::default(), claims })
    }
}

impl Event {
    /// The wrong way: between looking and waiting, the notification may come. Here it does.
    fn look_then_wait(&self, light: &Light, meetings: &Meetings, me: &mut Recorder) {
        let is_green = light.look().is_green;
        me.mark("looks");
        me.enter_with(State::Blocked, "has seen red, does not sleep yet");
        meetings.all_have_looked.wait();
        meetings.has_turned.wait();
        if !is_green {
            me.enter_with(State::Waiting, "for the notification");
            let seen = light.look();
            let heard = seen.notifications;
            let waits = |seen: &mut Seen| seen.notifications == heard;
            let waited = light.turned.wait_timeout_while(seen, self.patience, waits);
            if waited.unwrap_or_else(PoisonError::into_inner).1.timed_out() {
                me.mark("missed it");
            }
        }
        drive(me);
    }

    fn turn_when_all_have_looked(&self, light: &Light, meetings: &Meetings, me: &mut Recorder) {
        me.enter_with(State::Sleeping, "red");
        thread::sleep(self.red);
        meetings.all_have_looked.wait();
        light.turn_green(me);
        meetings.has_turned.wait();
    }

    /// The right way. The last car looks at the same bad moment as all did in the wrong way, but
    /// with the lock in hand.
    fn wait_while_red(&self, number: usize, light: &Light, meetings: &Meetings, me: &mut Recorder) {
        let is_last = number + 1 == self.cars;
        if is_last {
            me.enter_with(State::Blocked, "comes when red is over");
            meetings.red_is_over.wait();
        }
        me.enter_with(State::Waiting, "for green");
        let seen = light.look();
        if is_last {
            me.mark("looks");
            meetings.last_has_looked.wait();
        }
        let waited = light.turned.wait_timeout_while(seen, LIMIT, |seen| !seen.is_green);
        if waited.unwrap_or_else(PoisonError::into_inner).1.timed_out() {
            me.mark("missed it");
        }
        drive(me);
    }

    fn turn_when_the_last_has_looked(&self, light: &Light, meetings: &Meetings, me: &mut Recorder) {
        me.enter_with(State::Sleeping, "red");
        thread::sleep(self.red);
        meetings.red_is_over.wait();
        meetings.last_has_looked.wait();
        // It has seen red and does not sleep yet. It has the lock, too.
        light.turn_green(me);
    }

    fn claim(&self, way: Way, trace: &Trace) -> Claim {
        let (cars, missed, drove) = (self.cars, trace.count("missed it"), trace.count("drives"));
        let holds = match way {
            Way::LookThenWait => missed == cars && first(trace, "turns green") > last(trace, "looks"),
            Way::Event => {
                missed == 0
                    && first(trace, "turns green") <= first(trace, "drives")
                    && last(trace, "looks") <= first(trace, "turns green")
            }
        };
        let fact = Fact { way, cars, missed, drove, slept_ns: shortest_wait(trace) };
        Claim::new(holds && drove == cars, |texts| (texts.event.claim)(&fact))
    }
}

impl Light {
    fn red() -> Self {
        Self { seen: Mutex::new(Seen { is_green: false, notifications: 0 }), turned: Condvar::new() }
    }

    // Both fields are written whole, so poison means nothing here.
    fn look(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn_green(&self, me: &mut Recorder) {
        me.enter_with(State::Waiting, "for the lock");
        let mut seen = self.look();
        me.enter_with(State::Running, "green");
        // Recorded before anybody can see it.
        me.mark("turns green");
        *seen = Seen { is_green: true, notifications: seen.notifications + 1 };
        self.turned.notify_all();
    }
}

fn drive(me: &mut Recorder) {
    me.enter(State::Running);
    me.mark("drives");
}

fn variant(way: Way, trace: Trace) -> Variant {
    let after_green = last(&trace, "drives").zip(first(&trace, "turns green"));
    let figures = vec![
        ("drove", Figure::count(trace.count("drives"))),
        ("missed it", Figure::count(trace.count("missed it"))),
        (
            "last car after green",
            Figure::Time(after_green.map_or(0, |(car, green)| car.saturating_sub(green))),
        ),
        ("time", Figure::Time(trace.length_ns())),
    ];
    Variant { name: name(way), about: say(|texts| (texts.event.about)(way)), trace, figures }
}

fn instants<'a>(trace: &'a Trace, label: &'a str) -> impl Iterator<Item = u64> + 'a {
    let marks = trace.lanes.iter().flat_map(|lane| &lane.marks);
    marks.filter(move |mark| mark.label == label).map(|mark| mark.at_ns)
}

fn first(trace: &Trace, label: &str) -> Option<u64> {
    instants(trace, label).min()
}

fn last(trace: &Trace, label: &str) -> Option<u64> {
    instants(trace, label).max()
}

/// Of the cars: the light waits for its lock only.
fn shortest_wait(trace: &Trace) -> u64 {
    trace.lanes.iter().skip(1).map(|lane| lane.total_ns(State::Waiting)).min().unwrap_or(0)
}
