//! `lab run starve`: who is overtaken with which lock, and what holding it for less does.
#![allow(clippy::unwrap_used, reason = "a test that cannot read is a test that fails")]

mod lesson;

use lessons::trace::{State, Trace};

use lesson::{lab, lesson};

const SMALL: [&str; 4] = ["starve", "--threads=4", "--turns=60", "--work=2ms"];

fn total(trace: &Trace, state: State) -> u64 {
    trace.lanes.iter().map(|lane| lane.total_ns(state)).sum()
}

#[test]
fn nobody_overtakes_in_a_ticket_lock_and_somebody_does_in_a_mutex() {
    let lesson = lesson(&SMALL);
    assert_eq!(lesson.count("ticket-long", "most_overtaken"), 0);
    assert_eq!(lesson.count("ticket-short", "most_overtaken"), 0);
    assert!(lesson.count("mutex-long", "most_overtaken") > 0);
    for way in lesson.variants() {
        assert_eq!(lesson.trace(way).most_at_once(State::Holding), 1, "{way}");
    }
}

#[test]
fn held_for_long_they_wait_more_than_they_work_and_held_for_short_less() {
    let lesson = lesson(&SMALL);
    for (way, waits_more) in
        [("mutex-long", true), ("ticket-long", true), ("mutex-short", false), ("ticket-short", false)]
    {
        let trace = lesson.trace(way);
        let worked = total(&trace, State::Holding) + total(&trace, State::Sleeping);
        assert_eq!(total(&trace, State::Waiting) > worked, waits_more, "{way}");
    }
}

#[test]
fn everybody_has_a_turn_with_a_ticket_lock() {
    let lesson = lesson(&[&SMALL[..], &["--only=ticket-long"]].concat());
    assert_eq!(lesson.variants(), ["ticket-long"]);
    // Four threads share 60 turns; before the last of them has come, the first has had some alone.
    assert!(lesson.count("ticket-long", "fewest_turns") >= 1);
    assert!(lesson.count("ticket-long", "longest_wait_ns") < lesson.count("ticket-long", "time_ns"));
}

#[test]
fn the_waits_are_drawn_and_the_picture_is_bounded() {
    let ended = lab(&["run", "starve", "--ascii", "--width=80"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stderr, ended.stdout);
    assert!(
        ended.stdout.contains("Distribution of waits") && ended.stdout.contains(" #"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.is_ascii() && ended.stdout.lines().all(|line| line.len() <= 80), "{}", ended.stdout);
    for refused in ["--turns=9", "--turns=2001", "--threads=2", "--threads=11", "--work=0s"] {
        assert_eq!(lab(&["run", "starve", refused]).code, Some(2), "{refused}");
    }
}
