//! How long a thread has waited for a processor: ready, and not running.
//!
//! Linux counts it for each thread, in nanoseconds (`/proc/thread-self/schedstat`: the time on a
//! processor, the time in a run queue, the number of turns). What a thread reads of itself is
//! complete: while it reads, it runs. Where the kernel does not count, there is no such file, or it
//! says that a thread that runs has never had a turn.

use std::cell::RefCell;
use std::fs::File;
use std::mem;
use std::os::unix::fs::FileExt;

use nix::unistd::gettid;
use serde::{Deserialize, Serialize};

use super::now_ns;

/// How often a clock and a count are read that do not fit together.
const ATTEMPTS: usize = 3;

/// What a thread has waited for processors since it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waited {
    tid: i32,
    ns: u64,
}

/// A thread that computes is away for longer between two looks only if it has lost its processor,
/// most likely: then it asks the kernel, in nanoseconds. Shorter absences are told with the span
/// that they are in, as a part of it: were each told on its own, who listens would be woken by it,
/// and take a processor away from who computes again.
const AWAY_NS: u64 = 1_000_000;

/// Finds the times in which a thread that computes had no processor.
#[derive(Debug)]
pub(crate) struct Looker {
    since_ns: u64,
    looked_ns: u64,
    waited: Option<Waited>,
}

/// A time without a processor.
#[derive(Debug)]
pub(crate) struct Absence {
    /// When it began, and what had been waited by then.
    pub(crate) begin: (u64, Option<Waited>),
    /// When it was over, and what had been waited by then.
    pub(crate) end: (u64, Option<Waited>),
}

impl Looker {
    /// Whoever looks is, from then on, in another state.
    pub(crate) fn new(since_ns: u64, waited: Option<Waited>) -> Self {
        Self { since_ns, looked_ns: since_ns, waited }
    }

    /// What the thread had waited when its state began, if that is known.
    pub(crate) fn waited(&self) -> Option<Waited> {
        self.waited
    }

    /// Of a thread that computes, at every small step: it costs a look at a clock. An absence is at
    /// the end of the time since the last look, give or take a step.
    pub(crate) fn look(&mut self) -> Option<Absence> {
        let before_ns = mem::replace(&mut self.looked_ns, now_ns());
        if self.looked_ns.saturating_sub(before_ns) < AWAY_NS {
            return None;
        }
        let (end_ns, waited) = now();
        self.looked_ns = end_ns;
        let ready_ns = waited?.since(self.waited?)?;
        let begin_ns = end_ns.saturating_sub(ready_ns).max(before_ns).max(self.since_ns);
        // What was waited before that, in short absences, is told of the span that ends there.
        let begin = (begin_ns, waited.map(|waited| waited.less(end_ns - begin_ns)));
        (begin_ns < end_ns).then_some(Absence { begin, end: (end_ns, waited) })
    }
}

struct Counter {
    tid: i32,
    file: Option<File>,
}

thread_local! {
    static COUNTER: RefCell<Counter> = RefCell::new(Counter {
        tid: gettid().as_raw(),
        file: File::open("/proc/thread-self/schedstat").ok(),
    });
}

impl Waited {
    /// A thread of which nothing is known but that it has not begun.
    pub fn not_yet(tid: i32) -> Self {
        Self { tid, ns: 0 }
    }

    /// The calling thread's until now; none where it is not counted.
    pub fn until_now() -> Option<Self> {
        // None also for a thread that is about to end and has no such variables any more.
        COUNTER.try_with(|counter| counter.borrow().read()).ok().flatten()
    }

    /// What it was when so much less had been waited.
    pub fn less(self, ns: u64) -> Self {
        Self { ns: self.ns.saturating_sub(ns), ..self }
    }

    /// Nanoseconds from `before` on; none if that was another thread.
    pub fn since(self, before: Self) -> Option<u64> {
        (self.tid == before.tid).then(|| self.ns.saturating_sub(before.ns))
    }
}

/// Nanoseconds of CLOCK_MONOTONIC, and what the calling thread has waited until exactly then.
pub fn now() -> (u64, Option<Waited>) {
    let mut before = Waited::until_now();
    for _ in 0..ATTEMPTS {
        let (at_ns, after) = (now_ns(), Waited::until_now());
        if before == after {
            return (at_ns, after);
        }
        // It has lost its processor between two looks.
        before = after;
    }
    (now_ns(), None)
}

impl Counter {
    fn read(&self) -> Option<Waited> {
        let mut text = [0; 96];
        let length = self.file.as_ref()?.read_at(&mut text, 0).ok()?;
        let ns = waited(std::str::from_utf8(text.get(..length)?).ok()?)?;
        Some(Waited { tid: self.tid, ns })
    }
}

fn waited(text: &str) -> Option<u64> {
    let mut numbers = text.split_ascii_whitespace().map(|number| number.parse::<u64>().ok());
    let (_, waited, turns) = (numbers.next()??, numbers.next()??, numbers.next()??);
    // A thread that reads this has had a turn: the kernel does not count.
    (turns > 0).then_some(waited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_does_not_count_is_not_taken_for_one_without_waits() {
        assert_eq!(waited("173952 74058 1\n"), Some(74058));
        assert_eq!(waited("173952 0 1\n"), Some(0));
        for nothing in ["0 0 0\n", "", "1 2\n", "a b c\n", "-1 -1 -1\n"] {
            assert_eq!(waited(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn what_another_thread_has_waited_is_no_difference() {
        let (one, other) = (Waited { tid: 1, ns: 5 }, Waited { tid: 2, ns: 9 });
        assert_eq!(other.since(one), None);
        assert_eq!(Waited { tid: 1, ns: 9 }.since(one), Some(4));
    }
}
