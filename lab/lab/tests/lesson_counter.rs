//! `lab run counter`: which ways lose updates, and which do not.

mod lesson;

use lessons::trace::State;

use lesson::lesson;

#[test]
fn where_all_read_before_any_writes_all_updates_but_one_are_lost_also_under_an_interpreters_lock() {
    let lesson = lesson(&["counter", "--workers=12", "--delay=1ms"]);
    for way in ["barrier", "gil"] {
        assert_eq!(lesson.count(way, "left"), 11, "{way}");
    }
    assert_eq!(lesson.trace("gil").most_at_once(State::Holding), 1);
}

#[test]
fn a_sleep_alone_loses_most_and_without_a_pause_it_is_luck() {
    let lesson = lesson(&["counter", "--workers=20", "--delay=100ms"]);
    assert!(lesson.count("race", "left") > 10, "{lesson:?}");
    assert!(lesson.count("no-pause", "left") < 20, "{lesson:?}");
}

#[test]
fn a_mutex_and_an_atomic_lose_nothing() {
    let lesson = lesson(&["counter", "--workers=12", "--delay=1ms"]);
    for way in ["mutex", "atomic"] {
        assert_eq!(lesson.count(way, "left"), 0, "{way}");
    }
    assert_eq!(lesson.trace("mutex").most_at_once(State::Holding), 1);
    assert!(lesson.count("mutex", "time_ns") >= 12_000_000, "they did not wait for one another");
}

#[test]
fn one_worker_has_no_rival_and_loses_nothing() {
    assert_eq!(lesson(&["counter", "--workers=1", "--delay=0s"]).count("race", "left"), 0);
}
