//! `lab run queue`: what a bound does, that nothing is lost, and that a queue between processes
//! keeps its bound, too.
#![allow(clippy::unwrap_used, reason = "a test that cannot read is a test that fails")]

mod lesson;

use std::collections::BTreeSet;

use lessons::trace::{Kind, State, Trace};

use lesson::{lab, lesson};

const SMALL: [&str; 5] = ["queue", "--items=8", "--capacity=3", "--produce=1ms", "--consume=4ms"];

/// Nanoseconds for which lanes of that name waited for that.
fn waited_ns(trace: &Trace, who: &str, what: &str) -> u64 {
    let lanes = trace.lanes.iter().filter(|lane| lane.name.starts_with(who));
    let spans = lanes.flat_map(|lane| &lane.spans).filter(|span| span.state == State::Blocked);
    spans.filter(|span| span.what == what).map(|span| span.end_ns - span.begin_ns).sum()
}

#[test]
fn without_a_bound_everything_is_queued_and_with_one_never_more_than_fit_in() {
    let lesson = lesson(&SMALL);
    assert_eq!(lesson.count("unbounded", "most_queued"), 16);
    for way in ["threads", "processes"] {
        assert_eq!(lesson.count(way, "most_queued"), 3, "{way}");
        assert_eq!(lesson.count(way, "items"), 16, "{way}");
    }
}

#[test]
fn a_full_queue_makes_the_producers_wait_and_the_lanes_show_it() {
    let lesson = lesson(&SMALL);
    let waited = |way| waited_ns(&lesson.trace(way), "producer", "for a place");
    // The consumers need 32 ms for what is made in 8, and there is room for three.
    for way in ["threads", "processes"] {
        assert!(waited(way) > waited("unbounded"), "{way}: {}", waited(way));
    }
    assert_eq!(waited("threads"), lesson.count("threads", "producers_waited_ns"));
}

#[test]
fn between_processes_everybody_has_a_pid_of_his_own() {
    let trace = lesson(&[&SMALL[..], &["--producers=3", "--only=processes"]].concat()).trace("processes");
    assert!(trace.lanes.iter().all(|lane| lane.kind == Kind::Process));
    assert_eq!(trace.lanes.iter().map(|lane| lane.pid).collect::<BTreeSet<_>>().len(), 5);
}

#[test]
fn one_of_each_and_one_place_is_a_queue_too() {
    let lesson = lesson(&["queue", "--producers=1", "--consumers=1", "--items=3", "--capacity=1"]);
    assert_eq!(lesson.count("processes", "most_queued"), 1);
}

#[test]
fn a_bound_that_nobody_would_feel_is_refused_with_code_2() {
    let ended = lab(&["run", "queue", "--items=1", "--capacity=2"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("--capacity"), "{}", ended.stderr);
}
