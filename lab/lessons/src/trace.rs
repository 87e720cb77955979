//! Who did what when: a lane for each process, thread or task, recorded by its owner alone.
//!
//! A [`Recorder`] belongs to one thread and shares nothing, so recording cannot put in order what
//! it observes. All times are nanoseconds of CLOCK_MONOTONIC (clock_gettime(2)), one clock for
//! every process of this machine.
//!
//! What is recorded of a lock lies inside the truth if its holder says [`State::Holding`] *after*
//! it has the lock and leaves that state *before* it gives the lock back: then two that overlap in
//! the recording did overlap.

mod recorder;
mod run_queue;

use std::borrow::Cow;

pub use harness::clock::now_ns;
use serde::{Deserialize, Serialize};

pub use recorder::{Event, Recorder};
pub(crate) use run_queue::{Absence, Looker};
pub use run_queue::{Waited, now as clock};

/// Spans for which a lane has room before it has to grow.
const USUAL_SPANS: usize = 16;

/// Of a shorter span nobody says how long it was ready, in nanoseconds: to read the count takes a
/// microsecond or two itself.
const SHORTEST_KNOWN_NS: u64 = 100_000;

/// What a lane is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It runs. How much of the time it was only ready is the span's `ready_ns`; where that is not
    /// known, it ran or was ready.
    Running,
    /// It could run, and has no processor: another has it. Recorded where a thread that computes has
    /// [looked](Recorder::look) often enough to know when that was.
    Ready,
    /// It waits for a lock, a place or a signal.
    Waiting,
    /// It has the lock or the place, whatever it does with it.
    Holding,
    /// It sleeps for a time that it chose.
    Sleeping,
    /// It waits for I/O, a queue, or another's end.
    Blocked,
    /// It has ended, but is still there: a zombie. A lane without it is over at its last span.
    Done,
}

impl State {
    /// All, in the order of the legend.
    pub const ALL: [Self; 7] =
        [Self::Running, Self::Ready, Self::Waiting, Self::Holding, Self::Sleeping, Self::Blocked, Self::Done];

    /// What the legend calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ready => "ready",
            Self::Waiting => "waiting",
            Self::Holding => "holding",
            Self::Sleeping => "sleeping",
            Self::Blocked => "blocked",
            Self::Done => "done",
        }
    }
}

/// What a lane is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A process of its own.
    Process,
    /// A thread of the process `pid`.
    Thread,
    /// Something that takes turns on threads.
    Task,
}

/// A time during which a lane was in one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// In which.
    pub state: State,
    /// With what, such as the name of the lock; empty if there is nothing to tell.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub what: Cow<'static, str>,
    /// The names of the locks in hand, where there are several locks to be told apart. A lane that
    /// waits may hold some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Cow<'static, str>>,
    /// Nanoseconds of CLOCK_MONOTONIC.
    pub begin_ns: u64,
    /// Not before `begin_ns`.
    pub end_ns: u64,
    /// For how many of its nanoseconds a span in which the lane runs or holds was only ready,
    /// without a processor, by the kernel's own count; when, within the span, is not known. None
    /// where that is not known either, and in a span that is too short to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_ns: Option<u64>,
}

/// An instant worth a sign in the picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Nanoseconds of CLOCK_MONOTONIC.
    pub at_ns: u64,
    /// What happened; few different ones, since each gets a sign of its own.
    pub label: Cow<'static, str>,
    /// With which value, such as the number that was read; empty if there is none.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub value: Cow<'static, str>,
}

impl Span {
    /// One without a lock in hand.
    pub fn new(state: State, what: impl Into<Cow<'static, str>>, begin_ns: u64, end_ns: u64) -> Self {
        Self { state, what: what.into(), holds: Vec::new(), begin_ns, end_ns, ready_ns: None }
    }

    /// In nanoseconds.
    pub fn length_ns(&self) -> u64 {
        self.end_ns - self.begin_ns
    }

    /// Whether so much of it was only ready that it is to be seen: a tenth.
    pub fn is_partly_ready(&self) -> bool {
        self.ready_ns.is_some_and(|ready_ns| ready_ns > self.length_ns() / 10)
    }

    /// Whether it may have been only ready for a time that nobody knows.
    pub fn may_be_ready(&self) -> bool {
        self.state == State::Running && self.ready_ns.is_none() && self.length_ns() >= SHORTEST_KNOWN_NS
    }
}

impl Mark {
    /// One without a value.
    pub fn new(at_ns: u64, label: impl Into<Cow<'static, str>>) -> Self {
        Self { at_ns, label: label.into(), value: Cow::Borrowed("") }
    }
}

/// One row of the picture. Its spans follow one another without gap or overlap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// Short, and its own in the trace.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The process that it is or was part of.
    pub pid: i32,
    /// The kernel's number of the thread that recorded it; none for a task.
    pub tid: Option<i32>,
    /// In the order of time.
    pub spans: Vec<Span>,
    /// In the order of time.
    pub marks: Vec<Mark>,
}

impl Lane {
    /// Whether it has a mark with this label.
    pub fn has(&self, label: &str) -> bool {
        self.marks.iter().any(|mark| mark.label == label)
    }

    /// Nanoseconds in `state`, all its spans together.
    pub fn total_ns(&self, state: State) -> u64 {
        self.spans.iter().filter(|span| span.state == state).map(Span::length_ns).sum()
    }

    /// Nanoseconds in which it was known to be ready: at known times, and within other spans.
    pub fn ready_ns(&self) -> u64 {
        let within: u64 = self.spans.iter().filter_map(|span| span.ready_ns).sum();
        self.total_ns(State::Ready) + within
    }
}

/// What was recorded of one variant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// From top to bottom.
    pub lanes: Vec<Lane>,
    /// What is drawn below them; usually nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bands: Vec<Band>,
}

/// How many of something there were, over time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Band {
    /// Short.
    pub name: String,
    /// When the number became what, in the order of time; 0 before.
    pub values: Vec<(u64, u64)>,
}

impl Band {
    /// From when how many came or went.
    pub fn of_changes(name: impl Into<String>, mut changes: Vec<(u64, i64)>) -> Self {
        // At one instant who leaves goes before who comes.
        changes.sort_unstable();
        let mut now = 0_i64;
        let values = changes.into_iter().map(|(at_ns, change)| {
            now += change;
            (at_ns, u64::try_from(now).unwrap_or(0))
        });
        Self { name: name.into(), values: values.collect() }
    }

    /// The most there were at one time.
    pub fn most(&self) -> u64 {
        self.values.iter().map(|(_, value)| *value).max().unwrap_or(0)
    }

    /// The most there were at any time from one instant to before another.
    pub fn most_within(&self, from_ns: u64, to_ns: u64) -> u64 {
        let before = self.values.iter().rfind(|(at_ns, _)| *at_ns <= from_ns).map_or(0, |(_, value)| *value);
        let within = self.values.iter().filter(|(at_ns, _)| (from_ns..to_ns).contains(at_ns));
        within.map(|(_, value)| *value).fold(before, u64::max)
    }
}

impl Trace {
    /// These lanes, from top to bottom.
    pub fn new(lanes: Vec<Lane>) -> Self {
        Self { lanes, bands: Vec::new() }
    }

    /// The same, with a band below.
    pub fn with(mut self, band: Band) -> Self {
        self.bands.push(band);
        self
    }

    /// The first and the last instant, in nanoseconds of CLOCK_MONOTONIC; equal if there is
    /// nothing.
    pub fn bounds_ns(&self) -> (u64, u64) {
        let spans = || self.lanes.iter().flat_map(|lane| &lane.spans);
        let marks = || self.lanes.iter().flat_map(|lane| &lane.marks).map(|mark| mark.at_ns);
        let begin = spans().map(|span| span.begin_ns).chain(marks()).min().unwrap_or(0);
        (begin, spans().map(|span| span.end_ns).chain(marks()).max().unwrap_or(begin))
    }

    /// From the first instant to the last, in nanoseconds.
    pub fn length_ns(&self) -> u64 {
        let (begin, end) = self.bounds_ns();
        end - begin
    }

    /// The most lanes that were in `state` at one time.
    pub fn most_at_once(&self, state: State) -> usize {
        let spans = self.lanes.iter().flat_map(|lane| &lane.spans);
        let mut changes: Vec<(u64, i32)> = spans
            .filter(|span| span.state == state && span.begin_ns < span.end_ns)
            .flat_map(|span| [(span.begin_ns, 1), (span.end_ns, -1)])
            .collect();
        // At one instant who leaves goes before who enters.
        changes.sort_unstable();
        let mut now = 0;
        let most = changes.iter().map(|(_, change)| {
            now += change;
            now
        });
        most.max().and_then(|most| usize::try_from(most).ok()).unwrap_or(0)
    }

    /// How many marks have this label.
    pub fn count(&self, label: &str) -> usize {
        self.lanes.iter().flat_map(|lane| &lane.marks).filter(|mark| mark.label == label).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_follow_one_another_without_a_gap() {
        let mut recorder = Recorder::thread("one");
        recorder.enter_with(State::Waiting, "the lock");
        recorder.enter(State::Holding);
        recorder.mark("sold");
        recorder.enter(State::Running);
        let lane = recorder.end();
        assert!(lane.spans.windows(2).all(|pair| pair[0].end_ns == pair[1].begin_ns), "{lane:?}");
        assert!(lane.spans.iter().all(|span| span.begin_ns < span.end_ns), "{lane:?}");
        assert!(lane.has("sold"));
    }

    #[test]
    fn who_comes_when_another_leaves_was_not_there_with_him() {
        let lane = |begin_ns, end_ns| {
            let mut lane = Recorder::task("task").end();
            lane.spans = vec![Span::new(State::Holding, "", begin_ns, end_ns)];
            lane
        };
        let trace = Trace::new(vec![lane(0, 10), lane(10, 20), lane(5, 10), lane(12, 12)]);
        assert_eq!(trace.most_at_once(State::Holding), 2);
        assert_eq!(trace.most_at_once(State::Waiting), 0);
        assert_eq!(trace.bounds_ns(), (0, 20));
    }
}
