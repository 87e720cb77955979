//! Recording a lane while it is done.

use std::borrow::Cow;
use std::mem;

use harness::clock::now_ns;
use nix::unistd::{getpid, gettid};
use serde::{Deserialize, Serialize};

use super::run_queue::{self, Absence, Looker, Waited};
use super::{Kind, Lane, Mark, SHORTEST_KNOWN_NS, Span, State, USUAL_SPANS};

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
    looker: Looker,
}

impl Recorder {
    /// A lane for the calling thread, which is running from now on.
    pub fn thread(name: impl Into<String>) -> Self {
        let (tid, (at_ns, waited)) = (gettid().as_raw(), run_queue::now());
        let looker = Looker::new(at_ns, waited);
        Self { looker, ..Self::new(name.into(), Kind::Thread, getpid().as_raw(), Some(tid), at_ns) }
    }

    /// A lane for a task, which is running from now on.
    pub fn task(name: impl Into<String>) -> Self {
        let (at_ns, waited) = run_queue::now();
        let looker = Looker::new(at_ns, waited);
        Self { looker, ..Self::new(name.into(), Kind::Task, getpid().as_raw(), None, at_ns) }
    }

    /// A lane for the process `pid`, whose only or first thread it shows. It begins at
    /// `started_ns`, before the process exists, and is running, with `starting`, until it enters
    /// another state.
    pub fn process(name: impl Into<String>, pid: i32, started_ns: u64) -> Self {
        let what = Cow::Borrowed("starting");
        let looker = Looker::new(started_ns, Some(Waited::not_yet(pid)));
        Self { what, looker, ..Self::new(name.into(), Kind::Process, pid, Some(pid), started_ns) }
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
            looker: Looker::new(since_ns, None),
        }
    }

    /// From now on the lane is in `state`.
    pub fn enter(&mut self, state: State) {
        self.enter_with(state, "");
    }

    /// From now on the lane is in `state`, with `what`, such as the name of a lock.
    pub fn enter_with(&mut self, state: State, what: impl Into<Cow<'static, str>>) {
        self.apply_now(Event::enter(state, what));
    }

    /// The same, with these locks in hand.
    pub fn enter_holding(
        &mut self,
        state: State,
        what: impl Into<Cow<'static, str>>,
        holds: impl IntoIterator<Item = &'static str>,
    ) {
        let holds = holds.into_iter().map(Cow::Borrowed).collect();
        self.apply_now(Event::Enter { state, what: what.into(), holds });
    }

    /// Something happens now. Few different labels: each gets a sign of its own.
    pub fn mark(&mut self, label: impl Into<Cow<'static, str>>) {
        self.mark_with(label, "");
    }

    /// Something happens now, with a value.
    pub fn mark_with(&mut self, label: impl Into<Cow<'static, str>>, value: impl Into<Cow<'static, str>>) {
        self.apply(now_ns(), Event::Mark(label.into(), value.into()));
    }

    /// A thread that computes says that it still does. It may do so at every small step: it costs
    /// a look at a clock. If it has been away for long, and was ready meanwhile, that was at the end
    /// of that time, give or take a step.
    pub fn look(&mut self) {
        let Some(Absence { begin, end }) = self.looker.look() else { return };
        if matches!(self.state, State::Running | State::Holding) {
            let (state, what, holds) = (self.state, self.what.clone(), self.holds.clone());
            let ready = Event::Enter { state: State::Ready, what: what.clone(), holds: holds.clone() };
            self.apply_knowing(begin.0, begin.1, ready);
            self.apply_knowing(end.0, end.1, Event::Enter { state, what, holds });
        }
    }

    /// The lane is over.
    pub fn end(mut self) -> Lane {
        self.apply_now(Event::End);
        self.lane
    }

    /// The lane was over at `at_ns`.
    pub fn end_at(mut self, at_ns: u64) -> Lane {
        self.apply(at_ns, Event::End);
        self.lane
    }

    fn apply_now(&mut self, event: Event) {
        let (at_ns, waited) = run_queue::now();
        self.apply_knowing(at_ns, waited, event);
    }

    /// What was to be recorded at `at_ns`, which is not before anything that was recorded until
    /// now.
    pub fn apply(&mut self, at_ns: u64, event: Event) {
        self.apply_knowing(at_ns, None, event);
    }

    /// The same, where it is known what the thread had waited for processors by then.
    pub fn apply_knowing(&mut self, at_ns: u64, waited: Option<Waited>, event: Event) {
        let at_ns = at_ns.max(self.since_ns);
        match event {
            Event::Enter { state, what, holds } => {
                self.close(at_ns, waited);
                (self.state, self.what, self.holds) = (state, what, holds);
            }
            Event::Mark(label, value) => self.lane.marks.push(Mark { at_ns, label, value }),
            Event::End => self.close(at_ns, waited),
        }
    }

    // What took no time is nothing to see.
    fn close(&mut self, end_ns: u64, waited: Option<Waited>) {
        let before = mem::replace(&mut self.looker, Looker::new(end_ns, waited)).waited();
        let (what, holds) = (mem::take(&mut self.what), mem::take(&mut self.holds));
        if self.since_ns < end_ns {
            let (state, begin_ns) = (self.state, self.since_ns);
            let can_say =
                matches!(state, State::Running | State::Holding) && end_ns - begin_ns >= SHORTEST_KNOWN_NS;
            let ready_ns = before.zip(waited).filter(|_| can_say);
            let ready_ns = ready_ns.and_then(|(before, after)| after.since(before));
            let ready_ns = ready_ns.map(|ready_ns| ready_ns.min(end_ns - begin_ns));
            self.lane.spans.push(Span { state, what, holds, begin_ns, end_ns, ready_ns });
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
    use std::sync::Barrier;
    use std::thread;
    use std::time::{Duration, Instant};

    use nix::sched::{CpuSet, sched_getaffinity};
    use nix::unistd::Pid;

    use super::*;
    use crate::experiments::work;

    /// Two threads that compute on one processor: one of them always has none.
    fn two_on_one(state: State, looks: bool) -> Vec<Lane> {
        let barrier = Barrier::new(2);
        let compute = || {
            let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap();
            let core = (0..CpuSet::count()).find(|core| allowed.is_set(*core).unwrap()).unwrap();
            harness::pin::run_on(&[core]).unwrap();
            barrier.wait();
            let mut me = Recorder::thread("one of two");
            me.enter(state);
            if looks {
                work(&mut me, Duration::from_millis(50)).unwrap();
            } else {
                work(&mut Recorder::thread("nobody"), Duration::from_millis(50)).unwrap();
            }
            me.end()
        };
        thread::scope(|scope| [scope.spawn(compute), scope.spawn(compute)].map(|it| it.join().unwrap()))
            .into()
    }

    #[test]
    fn of_two_that_compute_on_one_processor_one_is_ready() {
        if Waited::until_now().is_none() {
            return say_skipped();
        }
        for state in [State::Running, State::Holding] {
            let begun = Instant::now();
            let lanes = two_on_one(state, true);
            let lasted = u64::try_from(begun.elapsed().as_nanos()).unwrap();
            let ready: u64 = lanes.iter().map(|lane| lane.total_ns(State::Ready)).sum();
            // Who ends first has waited for nearly all that the other had until then.
            assert!((30_000_000..2 * lasted).contains(&ready), "{lanes:?}");
            for lane in &lanes {
                assert!(lane.spans.windows(2).all(|pair| pair[0].end_ns == pair[1].begin_ns), "{lane:?}");
                // What is drawn as computed is what was: 50 ms, with what it took to begin and end.
                let computed =
                    lane.total_ns(state) - lane.spans.iter().filter_map(|it| it.ready_ns).sum::<u64>();
                assert!((50_000_000..60_000_000).contains(&computed), "{computed}: {lane:?}");
            }
        }
    }

    #[test]
    fn who_does_not_look_knows_how_long_it_was_ready_and_not_when() {
        if Waited::until_now().is_none() {
            return say_skipped();
        }
        let lanes = two_on_one(State::Running, false);
        assert!(lanes.iter().all(|lane| lane.total_ns(State::Ready) == 0), "{lanes:?}");
        assert!(lanes.iter().any(|lane| lane.ready_ns() >= 15_000_000), "{lanes:?}");
        assert!(lanes.iter().flat_map(|lane| &lane.spans).any(Span::is_partly_ready), "{lanes:?}");
    }

    #[test]
    fn of_a_short_span_and_of_one_that_another_tells_of_nothing_is_said() {
        let mut short = Recorder::thread("short");
        short.enter(State::Running);
        short.enter(State::Holding);
        let mut told = Recorder::thread_of("told", 1, 1, 0);
        told.apply(SHORTEST_KNOWN_NS, Event::enter(State::Sleeping, ""));
        let told = told.end_at(2 * SHORTEST_KNOWN_NS);
        assert_eq!(told.spans[0].ready_ns, None);
        assert!(told.spans[0].may_be_ready() && !told.spans[1].may_be_ready());
        let short = short.end();
        let is_short = |span: &&Span| span.length_ns() < SHORTEST_KNOWN_NS;
        assert!(short.spans.iter().filter(is_short).all(|span| span.ready_ns.is_none()), "{short:?}");
    }

    #[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
    fn say_skipped() {
        eprintln!("skipped: this kernel does not count how long a thread is ready");
    }
}
