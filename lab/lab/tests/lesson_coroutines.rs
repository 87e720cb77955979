//! `lab run coroutines`: 8 units in turn, 5 together, on one thread; and who does not give way
//! holds the others up.
#![allow(clippy::unwrap_used, reason = "a test that cannot read is a test that fails")]

mod lesson;

use lessons::trace::{Kind, State, Trace};

use lesson::{lab, lesson};

const UNIT_NS: u64 = 40_000_000;
const SMALL: [&str; 2] = ["coroutines", "--unit=40ms"];

fn over(trace: &Trace, name: &str) -> u64 {
    let lane = trace.lanes.iter().find(|lane| lane.name == name).unwrap();
    lane.marks.iter().find(|mark| mark.label == "over").unwrap().at_ns
}

#[test]
fn in_turn_takes_eight_units_and_together_five_on_one_thread() {
    let lesson = lesson(&SMALL);
    let time = |way| lesson.count(way, "time_ns");
    assert!(time("in-turn") >= 8 * UNIT_NS, "{}", time("in-turn"));
    assert!((5 * UNIT_NS..8 * UNIT_NS).contains(&time("together")), "{}", time("together"));
    assert_eq!(lesson.trace("in-turn").most_at_once(State::Sleeping), 1);
    assert_eq!(lesson.trace("together").most_at_once(State::Sleeping), 2);
    for way in lesson.variants() {
        assert_eq!(lesson.count(way, "threads"), 1, "{way}");
        assert!(lesson.trace(way).lanes.iter().all(|lane| lane.kind == Kind::Task), "{way}");
    }
}

#[test]
fn who_computes_without_giving_way_holds_the_others_up() {
    let lesson = lesson(&[&SMALL[..], &["--only=greedy"]].concat());
    let trace = lesson.trace("greedy");
    assert!(over(&trace, "func3") <= over(&trace, "func1"), "{trace:?}");
    assert!(over(&trace, "func3") <= over(&trace, "func2"), "{trace:?}");
    // Due after 3 units, it goes on after 6.
    assert!(lesson.count("greedy", "longest_overdue_ns") >= 2 * UNIT_NS);
}

#[test]
fn who_gives_way_now_and_then_does_not() {
    let lesson = lesson(&[&SMALL[..], &["--only=yielding", "--pieces=30"]].concat());
    let trace = lesson.trace("yielding");
    assert!(over(&trace, "func1") <= over(&trace, "func2"), "{trace:?}");
    assert!(over(&trace, "func2") <= over(&trace, "func3"), "{trace:?}");
}

#[test]
fn too_few_pieces_and_too_short_a_unit_are_refused() {
    assert_eq!(lab(&["run", "coroutines", "--unit=0s"]).code, Some(2));
    assert_eq!(lab(&["run", "coroutines", "--pieces=1"]).code, Some(2));
}
