//! `lab run pool`: how many run at once, in what order results come, and whom a failure concerns.
#![allow(clippy::unwrap_used, reason = "a test that cannot read is a test that fails")]

mod lesson;

use std::collections::BTreeSet;

use lessons::trace::{Kind, State};

use lesson::{lab, lesson};

const SMALL: [&str; 5] = ["pool", "--workers=3", "--tasks=9", "--delay=10ms", "--fails=4"];

#[test]
fn never_more_tasks_run_than_there_are_workers_and_all_are_called_back() {
    let lesson = lesson(&SMALL);
    for (way, kind) in [("threads", Kind::Thread), ("processes", Kind::Process)] {
        let trace = lesson.trace(way);
        assert!(trace.most_at_once(State::Sleeping) <= 3, "{way}");
        assert!(trace.lanes[1..].iter().all(|lane| lane.kind == kind), "{way}");
        assert_eq!(trace.lanes.len(), 4, "{way}");
        assert_eq!((lesson.count(way, "callbacks"), lesson.count(way, "failed")), (9, 0), "{way}");
        assert_eq!(trace.count("callback"), 9, "{way}");
    }
}

#[test]
fn results_come_in_the_order_in_which_they_are_ready() {
    let lesson = lesson(&SMALL);
    // The first task takes three times as long as the third.
    for way in ["threads", "processes"] {
        assert!(lesson.count(way, "overtaken") > 0, "{way}");
    }
}

#[test]
fn a_panic_fails_its_task_only_and_its_worker_goes_on() {
    let lesson = lesson(&[&SMALL[..], &["--only=panic"]].concat());
    assert_eq!((lesson.count("panic", "callbacks"), lesson.count("panic", "failed")), (9, 1));
    let trace = lesson.trace("panic");
    let worker = trace.lanes.iter().find(|lane| lane.has("panicked")).unwrap();
    let panicked_ns = worker.marks.iter().find(|mark| mark.label == "panicked").unwrap().at_ns;
    assert!(worker.spans.iter().any(|span| span.begin_ns >= panicked_ns), "the worker was over");
    assert_eq!(trace.lanes.len(), 4);
}

#[test]
fn a_panic_that_nobody_catches_loses_a_callback_and_a_worker() {
    let lesson = lesson(&[&SMALL[..], &["--only=uncaught"]].concat());
    assert_eq!((lesson.count("uncaught", "callbacks"), lesson.count("uncaught", "failed")), (8, 0));
}

#[test]
fn a_killed_worker_fails_its_task_only_and_is_replaced() {
    let lesson = lesson(&[&SMALL[..], &["--only=kill"]].concat());
    assert_eq!((lesson.count("kill", "callbacks"), lesson.count("kill", "failed")), (9, 1));
    let trace = lesson.trace("kill");
    assert_eq!(trace.count("killed"), 1);
    // The owner, three workers, and the one who came for the dead one, each with a pid of its own.
    assert_eq!(trace.lanes.iter().map(|lane| lane.pid).collect::<BTreeSet<_>>().len(), 5);
    let killed = trace.lanes.iter().find(|lane| lane.has("killed")).unwrap();
    assert_eq!(killed.spans.last().unwrap().state, State::Sleeping, "it was not killed in the middle");
}

#[test]
fn what_makes_no_sense_is_refused_with_code_2() {
    for arguments in [["--workers=1", "--tasks=9"], ["--tasks=3", "--fails=4"]] {
        let ended = lab(&[&["run", "pool"], &arguments[..]].concat());
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
    }
}
