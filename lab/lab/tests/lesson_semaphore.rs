//! `lab run semaphore`: never more than the places are in at once, taken from what was recorded.
#![allow(clippy::unwrap_used, reason = "a test that cannot read is a test that fails")]

mod lesson;

use lessons::trace::State;

use lesson::lesson;

#[test]
fn never_more_than_the_places_are_in_at_once_and_everybody_was() {
    let lesson = lesson(&["semaphore", "--threads=9", "--places=3", "--stay=20ms"]);
    let trace = lesson.trace("semaphore");
    assert_eq!(trace.most_at_once(State::Holding), 3);
    assert_eq!(lesson.count("semaphore", "most_at_once"), 3);
    assert!(trace.lanes.iter().all(|lane| lane.total_ns(State::Holding) >= 20_000_000), "{trace:?}");
}

#[test]
fn without_a_semaphore_all_are_in_at_once() {
    let lesson = lesson(&["semaphore", "--threads=9", "--stay=0s", "--only=open"]);
    assert_eq!(lesson.variants(), ["open"]);
    assert_eq!(lesson.trace("open").most_at_once(State::Holding), 9);
}

#[test]
fn the_course_has_twenty_threads_and_five_places() {
    let lesson = lesson(&["semaphore"]);
    assert_eq!(lesson.trace("semaphore").lanes.len(), 20);
    assert_eq!(lesson.count("semaphore", "most_at_once"), 5);
}
