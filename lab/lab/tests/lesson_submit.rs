//! `lab run submit`: who waits, who asks, and who is called back.

mod lesson;

use lessons::trace::State;

use lesson::{Lesson, lesson};

fn submit() -> Lesson {
    lesson(&["submit", "--tasks=6", "--workers=3", "--delay=40ms"])
}

#[test]
fn waiting_for_each_result_makes_the_pool_do_one_task_at_a_time() {
    let lesson = submit();
    assert_eq!(lesson.trace("each-result").most_at_once(State::Sleeping), 1);
    assert_eq!(lesson.trace("all-results").most_at_once(State::Sleeping), 3);
    assert!(lesson.count("each-result", "time_ns") >= 240_000_000);
}

#[test]
fn who_waits_does_nothing_else_and_who_does_not_wait_does() {
    let lesson = submit();
    for way in ["each-result", "all-results"] {
        assert_eq!(lesson.count(way, "did_something_else_ns"), 0, "{way}");
        assert!(lesson.trace(way).lanes[0].total_ns(State::Blocked) >= 40_000_000, "{way}");
    }
    for way in ["ask", "callback"] {
        assert!(lesson.count(way, "did_something_else_ns") >= 40_000_000, "{way}");
    }
    assert!(lesson.count("ask", "asked_in_vain") > 0);
    assert_eq!(lesson.count("callback", "asked_in_vain"), 0);
    let trace = lesson.trace("callback");
    let called = trace.lanes[1..].iter().flat_map(|lane| &lane.marks).filter(|mark| mark.label == "callback");
    assert_eq!(called.count(), 6, "the workers call back, not the caller");
}
