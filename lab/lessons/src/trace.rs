//! Who did what when: a lane for each process, thread or task, recorded by its owner alone.
//!
//! A [`Recorder`] belongs to one thread and shares nothing, so recording cannot put in order what
//! it observes. All times are nanoseconds of CLOCK_MONOTONIC (clock_gettime(2)), one clock for
//! every process of this machine.
//!
//! What is recorded of a lock lies inside the truth if its holder says [`State::Holding`] *after*
//! it has the lock and leaves that state *before* it gives the lock back: then two that overlap in
//! the recording did overlap.

use std::borrow::Cow;
use std::mem;

pub use harness::clock::now_ns;
use nix::unistd::{getpid, gettid};
use serde::{Deserialize, Serialize};

/// Spans for which a lane has room before it has to grow.
const USUAL_SPANS: usize = 16;

/// What a lane is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It runs, or could.
    Running,
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
    pub const ALL: [Self; 6] =
        [Self::Running, Self::Waiting, Self::Holding, Self::Sleeping, Self::Blocked, Self::Done];

    /// What the legend calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
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
        Self { state, what: what.into(), holds: Vec::new(), begin_ns, end_ns }
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
        self.spans.iter().filter(|span| span.state == state).map(|span| span.end_ns - span.begin_ns).sum()
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

/// What a lane is told; a process sends it to its parent as a line of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The lane is in another state from now on.
    Enter {
        /// Which.
        state: State,
        /// With what; may be empty.
        what: Cow<'static, str>,
        /// With which locks in hand.
        #[serde(default)]
        holds: Vec<Cow<'static, str>>,
    },
    /// Something happens, with a value that may be empty.
    Mark(Cow<'static, str>, Cow<'static, str>),
    /// The lane is over.
    End,
}

impl Event {
    /// The lane is in `state` from now on, with `what` and no lock in hand.
    pub fn enter(state: State, what: impl Into<Cow<'static, str>>) -> Self {
        Self::Enter { state, what: what.into(), holds: Vec::new() }
    }

    /// Something happens.
    pub fn mark(label: impl Into<Cow<'static, str>>) -> Self {
        Self::Mark(label.into(), Cow::Borrowed(""))
    }
}

/// A lane that is not over, with the state that it is in since `since_ns`.
#[derive(Debug)]
pub struct Recorder {
    lane: Lane,
    state: State,
    what: Cow<'static, str>,
    holds: Vec<Cow<'static, str>>,
    since_ns: u64,
}

impl Recorder {
    /// A lane for the calling thread, which is running from now on.
    pub fn thread(name: impl Into<String>) -> Self {
        Self::new(name.into(), Kind::Thread, getpid().as_raw(), Some(gettid().as_raw()), now_ns())
    }

    /// A lane for a task, which is running from now on.
    pub fn task(name: impl Into<String>) -> Self {
        Self::new(name.into(), Kind::Task, getpid().as_raw(), None, now_ns())
    }

    /// A lane for the process `pid`, whose only or first thread it shows. It begins at
    /// `started_ns`, before the process exists, and is running, with `starting`, until it enters
    /// another state.
    pub fn process(name: impl Into<String>, pid: i32, started_ns: u64) -> Self {
        let what = Cow::Borrowed("starting");
        Self { what, ..Self::new(name.into(), Kind::Process, pid, Some(pid), started_ns) }
    }

    /// A lane for the thread `tid` of another process, which is running from `started_ns` on.
    pub fn thread_of(name: impl Into<String>, pid: i32, tid: i32, started_ns: u64) -> Self {
        Self::new(name.into(), Kind::Thread, pid, Some(tid), started_ns)
    }

    fn new(name: String, kind: Kind, pid: i32, tid: Option<i32>, since_ns: u64) -> Self {
        let spans = Vec::with_capacity(USUAL_SPANS);
        Self {
            lane: Lane { name, kind, pid, tid, spans, marks: Vec::new() },
            state: State::Running,
            what: Cow::Borrowed(""),
            holds: Vec::new(),
            since_ns,
        }
    }

    /// From now on the lane is in `state`.
    pub fn enter(&mut self, state: State) {
        self.enter_with(state, "");
    }

    /// From now on the lane is in `state`, with `what`, such as the name of a lock.
    pub fn enter_with(&mut self, state: State, what: impl Into<Cow<'static, str>>) {
        self.apply(now_ns(), Event::enter(state, what));
    }

    /// The same, with these locks in hand.
    pub fn enter_holding(
        &mut self,
        state: State,
        what: impl Into<Cow<'static, str>>,
        holds: impl IntoIterator<Item = &'static str>,
    ) {
        let holds = holds.into_iter().map(Cow::Borrowed).collect();
        self.apply(now_ns(), Event::Enter { state, what: what.into(), holds });
    }

    /// Something happens now. Few different labels: each gets a sign of its own.
    pub fn mark(&mut self, label: impl Into<Cow<'static, str>>) {
        self.mark_with(label, "");
    }

    /// Something happens now, with a value.
    pub fn mark_with(&mut self, label: impl Into<Cow<'static, str>>, value: impl Into<Cow<'static, str>>) {
        self.apply(now_ns(), Event::Mark(label.into(), value.into()));
    }

    /// The lane is over.
    pub fn end(self) -> Lane {
        self.end_at(now_ns())
    }

    /// The lane was over at `at_ns`.
    pub fn end_at(mut self, at_ns: u64) -> Lane {
        self.apply(at_ns, Event::End);
        self.lane
    }

    /// What was to be recorded at `at_ns`, which is not before anything that was recorded until
    /// now.
    pub fn apply(&mut self, at_ns: u64, event: Event) {
        let at_ns = at_ns.max(self.since_ns);
        match event {
            Event::Enter { state, what, holds } => {
                self.close(at_ns);
                (self.state, self.what, self.holds) = (state, what, holds);
            }
            Event::Mark(label, value) => self.lane.marks.push(Mark { at_ns, label, value }),
            Event::End => self.close(at_ns),
        }
    }

    // What took no time is nothing to see.
    fn close(&mut self, end_ns: u64) {
        let (what, holds) = (mem::take(&mut self.what), mem::take(&mut self.holds));
        if self.since_ns < end_ns {
            let (state, begin_ns) = (self.state, self.since_ns);
            self.lane.spans.push(Span { state, what, holds, begin_ns, end_ns });
        }
        self.since_ns = end_ns;
    }

    /// The lane of someone who has ended without saying so; that was noticed at `at_ns`.
    pub fn broken_off(mut self, at_ns: u64, label: &'static str) -> Lane {
        self.apply(at_ns, Event::mark(label));
        self.end_at(at_ns)
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
