//! Recording a lane while it is done.

use std::borrow::Cow;
use std::mem;

use harness::clock::now_ns;
use nix::unistd::{getpid, gettid};
use serde::{Deserialize, Serialize};

use super::{Kind, Lane, Mark, Span, State, USUAL_SPANS};

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
