//! `lab run spawn`: what processes, threads and tasks are, and what it costs to create them.
#![allow(clippy::unwrap_used, reason = "a test that cannot read is a test that fails")]

mod lesson;

use std::collections::BTreeSet;

use lessons::trace::{Kind, State, Trace};

use lesson::lesson;

/// Enough that one of them who waits for a core, where other programs are at work, does not turn
/// the comparison of their costs.
const SMALL: [&str; 3] = ["spawn", "--count=40", "--delay=5ms"];

fn pids(trace: &Trace) -> BTreeSet<i32> {
    trace.lanes[1..].iter().map(|lane| lane.pid).collect()
}

#[test]
fn processes_have_pids_of_their_own_threads_have_one_and_tasks_have_no_thread() {
    let lesson = lesson(&SMALL);
    let [processes, threads, tasks] = ["processes", "threads", "tasks"].map(|way| lesson.trace(way));
    let lab = processes.lanes[0].pid;
    assert_eq!(pids(&processes).len(), 40);
    assert!(!pids(&processes).contains(&lab));
    assert_eq!(pids(&threads), BTreeSet::from([lab]));
    assert_eq!(threads.lanes[1..].iter().filter_map(|lane| lane.tid).collect::<BTreeSet<_>>().len(), 40);
    assert!(tasks.lanes[1..].iter().all(|lane| lane.kind == Kind::Task && lane.tid.is_none()));
}

#[test]
fn a_process_costs_more_to_create_than_a_thread_and_a_thread_more_than_a_task() {
    let lesson = lesson(&SMALL);
    let cost = |way| lesson.count(way, "create_ns");
    assert!(cost("processes") > cost("threads") && cost("threads") > cost("tasks"), "{lesson:?}");
}

#[test]
fn every_lane_begins_at_its_creation_and_sleeps_after_its_first_instruction() {
    let lesson = lesson(&SMALL);
    for way in lesson.variants() {
        let trace = lesson.trace(way);
        assert_eq!(trace.lanes.len(), 1 + 40, "{way}");
        // The staircase: who is created later begins later.
        let begins: Vec<_> = trace.lanes[1..].iter().map(|lane| lane.spans[0].begin_ns).collect();
        assert!(begins.is_sorted(), "{way}: {begins:?}");
        for lane in &trace.lanes[1..] {
            assert_eq!(lane.spans[0].what, "starting", "{way}: {lane:?}");
            assert!(lane.total_ns(State::Sleeping) >= 5_000_000, "{way}: {lane:?}");
            assert!(lane.spans.windows(2).all(|pair| pair[0].end_ns == pair[1].begin_ns), "{way}: {lane:?}");
        }
    }
}

#[test]
fn joining_each_before_the_next_does_them_one_after_the_other() {
    let lesson = lesson(&[&SMALL[..], &["--only=one-by-one"]].concat());
    assert_eq!(lesson.count("one-by-one", "asleep_at_once"), 1);
    assert!(lesson.count("one-by-one", "time_ns") >= 40 * 5_000_000);
}

#[test]
fn one_is_a_number_too() {
    assert_eq!(
        lesson(&["spawn", "--count=1", "--delay=0s", "--only=processes"]).count("processes", "created"),
        1
    );
}
