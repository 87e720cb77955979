//! `lab run event`: a notification that comes between looking and waiting is missed by all, and an event by
//! nobody.
#![allow(clippy::unwrap_used, reason = "a test that cannot read is a test that fails")]

mod lesson;

use lessons::trace::{Lane, State, Trace};

use lesson::lesson;

const SMALL: [&str; 4] = ["event", "--cars=6", "--red=10ms", "--patience=80ms"];

fn instant(lane: &Lane, label: &str) -> u64 {
    lane.marks.iter().find(|mark| mark.label == label).unwrap().at_ns
}

/// The light, and the cars.
fn split(trace: &Trace) -> (&Lane, &[Lane]) {
    let (light, cars) = trace.lanes.split_first().unwrap();
    assert_eq!(light.name, "light");
    (light, cars)
}

#[test]
fn who_looks_and_then_waits_sleeps_at_green() {
    let lesson = lesson(&SMALL);
    assert_eq!(lesson.count("look-then-wait", "missed_it"), 6);
    let trace = lesson.trace("look-then-wait");
    let (light, cars) = split(&trace);
    let green = instant(light, "turns green");
    for car in cars {
        assert!(instant(car, "looks") <= green, "{car:?}");
        assert!(instant(car, "drives") >= green + 80_000_000, "{car:?}");
        assert!(car.total_ns(State::Waiting) >= 80_000_000, "{car:?}");
    }
}

#[test]
fn who_waits_for_an_event_misses_nothing_however_late_it_looks() {
    let lesson = lesson(&SMALL);
    assert_eq!(lesson.count("event", "missed_it"), 0);
    assert_eq!(lesson.count("event", "drove"), 6);
    let trace = lesson.trace("event");
    let (light, cars) = split(&trace);
    let green = instant(light, "turns green");
    assert!(instant(cars.last().unwrap(), "looks") <= green, "the last car came too late");
    assert!(cars.iter().all(|car| instant(car, "drives") >= green), "somebody drove at red");
}

#[test]
fn one_car_alone_misses_the_notification_too() {
    let lesson = lesson(&["event", "--cars=1", "--red=0s", "--patience=1ms"]);
    assert_eq!(lesson.count("look-then-wait", "missed_it"), 1);
    assert_eq!(lesson.count("event", "missed_it"), 0);
}

#[test]
fn the_course_has_twenty_cars() {
    let lesson = lesson(&["event", "--only=event"]);
    assert_eq!(lesson.variants(), ["event"]);
    assert_eq!(lesson.trace("event").lanes.len(), 21);
}
