//! `lab run deadlock`: it deadlocks, is found and left; and the right ways do not.
#![allow(clippy::unwrap_used, reason = "a test that cannot read is a test that fails")]

mod lesson;

use lessons::trace::{Kind, State};

use lesson::{lab, lesson};

const SMALL: [&str; 4] = ["deadlock", "--threads=5", "--hold=2ms", "--standstill=100ms"];

#[test]
fn the_deadlock_is_found_nothing_moves_in_it_and_all_threads_get_out() {
    let lesson = lesson(&SMALL);
    assert!(lesson.count("crosswise", "deadlocks") >= 1);
    assert_eq!(lesson.count("crosswise", "in_the_cycle"), 2);
    assert_eq!(lesson.count("crosswise", "done") + lesson.count("crosswise", "gave_up"), 5);
    assert!(lesson.count("crosswise", "gave_up") >= 1);
    let trace = lesson.trace("crosswise");
    // While the lab looked on, all five waited: taken from what they recorded.
    let lab = trace.lanes.iter().find(|lane| lane.name == "lab").unwrap();
    let looks_on = lab.spans.iter().find(|span| span.state == State::Sleeping).unwrap();
    assert!(looks_on.end_ns - looks_on.begin_ns >= 100_000_000);
    let mut with_a_lock_in_hand = Vec::new();
    for lane in trace.lanes.iter().filter(|lane| lane.name != "lab") {
        let span = lane.spans.iter().find(|span| span.end_ns > looks_on.begin_ns).unwrap();
        assert_eq!(span.state, State::Waiting, "{lane:?}");
        assert!(span.end_ns >= looks_on.end_ns, "{lane:?}");
        if let [held] = &span.holds[..] {
            with_a_lock_in_hand.push(format!("{held}, waits for {}", span.what));
        }
    }
    with_a_lock_in_hand.sort_unstable();
    assert_eq!(with_a_lock_in_hand, ["mutexA, waits for mutexB", "mutexB, waits for mutexA"]);
}

#[test]
fn ordered_locks_do_not_deadlock() {
    let lesson = lesson(&[&SMALL[..], &["--only=ordered"]].concat());
    assert_eq!(lesson.variants(), ["ordered"]);
    assert_eq!(lesson.count("ordered", "deadlocks"), 0);
    assert_eq!(lesson.count("ordered", "done"), 5);
}

#[test]
fn who_backs_off_gets_through_later_and_nobody_is_stuck() {
    let lesson = lesson(&SMALL);
    assert_eq!(lesson.count("back-off", "deadlocks"), 0);
    assert_eq!(lesson.count("back-off", "done"), 5);
    let back_offs = lesson.count("back-off", "times_backed_off");
    assert!(back_offs >= 1);
    assert_eq!(u64::try_from(lesson.trace("back-off").count("back off")).unwrap(), back_offs);
}

#[test]
fn two_threads_suffice_for_a_deadlock_and_one_is_refused() {
    let lesson = lesson(&["deadlock", "--threads=2", "--hold=0s", "--standstill=0s"]);
    // One is taken out; the other has no rival any more.
    assert_eq!(lesson.count("crosswise", "deadlocks"), 1);
    assert_eq!(lesson.count("crosswise", "gave_up"), 1);
    assert_eq!(lab(&["run", "deadlock", "--threads=1"]).code, Some(2));
}

#[test]
fn the_course_has_ten_threads_and_the_graph_names_who_holds_what() {
    let ended = lab(&["run", "deadlock", "--ascii", "--width=80"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stderr, ended.stdout);
    for named in ["which holds mutexA", "which holds mutexB", "Behind them, holding nothing, wait for mutexA"]
    {
        assert!(ended.stdout.contains(named), "no {named} in\n{}", ended.stdout);
    }
    assert!(ended.stdout.lines().all(|line| line.len() <= 80), "{}", ended.stdout);
    let lesson = lesson(&["deadlock", "--only=crosswise"]);
    let threads = lesson.trace("crosswise").lanes.into_iter().filter(|lane| lane.kind == Kind::Thread);
    assert_eq!(threads.count(), 11, "ten, and the lab");
}
