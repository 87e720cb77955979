//! The interpreter's lock.

use crate::experiments::gil::{Fact, Way, Who, Why};
use crate::experiments::name;
use crate::texts::{GilTable, LessonTexts};
use crate::verdict::{Words, time};

pub(super) const GIL: LessonTexts<Way, Fact> = LessonTexts {
    question: "Threads under an interpreter's lock: when do they help, and when not?",
    about: |way| {
        let verb = if way.computes() { "compute" } else { "wait" };
        let about = match way.who() {
            Who::One => "one thread has all the work, one after the other".to_owned(),
            Who::Gil => format!("threads {verb} under one lock, handed over when asked and while they wait"),
            who => format!("{} {verb}", self::who(who)),
        };
        format!("{about}{}", if way.is_on_one() { ", on one processor" } else { "" })
    },
    claim: |fact| match *fact {
        Fact::OneAtATime { most, turns, interval } => Words::new(
            "under the lock one computes at a time",
            format!("at most {most} at once, in {turns} turns"),
            format!("Each computed only while it held the lock, and was asked for it after {interval:?}."),
        ),
        Fact::Python { at_once } => Words::new(
            "in Python, too, one thread computes at a time",
            format!("{at_once} at once on average"),
            "By its own clock each thread stood still while another had the lock.",
        ),
        Fact::OnOne { way, at_once, ready_ns } => Words::new(
            format!("{}: one computes at a time, and the others are ready", name(way)),
            match ready_ns {
                Some(ready_ns) => format!("{at_once} at once on average, {} ready in all", time(ready_ns)),
                None => "how long they were ready is not known here".to_owned(),
            },
            "One processor runs one; the others lack nothing but a processor.",
        ),
        Fact::Faster { fast, slow, fast_ns, slow_ns, why } => Words::new(
            format!("{} is faster than {}", name(fast), name(slow)),
            format!("{} against {}", time(fast_ns), time(slow_ns)),
            match why {
                Why::WaitTogether => "A thread that waits gives the lock away, so all wait together.",
                Why::CreatedFaster => "The waiting takes as long, but threads are created faster.",
                Why::InPythonToo => "In Python too.",
                Why::OnOneToo => "On one processor too.",
                Why::OneUsed => "The lock lets only one CPU be used.",
                Why::AllUsed => "Threads without it use them all.",
                Why::OneLockEach => "Python's threads share one lock, its processes have one each.",
                Why::NoLock => "Without the lock Python's threads use all processors.",
            },
        ),
        Fact::NotFaster { processes, threads, processes_ns, threads_ns } => Words::new(
            format!("{} is not much faster than {}", name(processes), name(threads)),
            format!("{} against {}", time(processes_ns), time(threads_ns)),
            "Where there is one processor to share, more interpreters gain nothing.",
        ),
    },
};

fn who(who: Who) -> &'static str {
    match who {
        Who::One => "one thread",
        Who::Gil => "threads under the lock",
        Who::Threads => "threads",
        Who::Processes => "processes",
        Who::PythonThreads => "Python's threads",
        Who::PythonProcesses => "Python's processes",
        Who::FreePython => "GIL-free Python threads",
    }
}

pub(super) const GIL_TABLE: GilTable = GilTable {
    title: "Time until all have done it",
    who,
    computing: "computing",
    waiting: "waiting",
    on_one: "one processor",
    on_all: "all processors",
    not_found: "not found",
    faster: "faster",
    faster_python: "faster in Python",
    equal: "equal",
    processes: "processes",
    threads: "threads",
};
