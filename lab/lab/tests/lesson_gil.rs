//! `lab run gil`: what an interpreter's lock lets happen at one time, and what that costs.
#![allow(clippy::unwrap_used, reason = "a test that cannot read is a test that fails")]

mod lesson;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use lessons::trace::{Kind, State};

use lesson::{lab, lesson, lesson_of};

const NO_PYTHON: &str = "--python=no-such-python";

/// A tenth of a second for each worker: less would be lost in what else the machine does.
const SMALL: [&str; 5] = ["gil", "--workers=3", "--product=40000", "--waiters=40", "--wait=10ms"];

#[test]
fn under_the_lock_one_computes_at_a_time_and_it_is_handed_over() {
    let lesson = lesson(&["gil", "--workers=3", "--product=15000", "--interval=1ms", "--only=compute-gil"]);
    assert_eq!(lesson.trace("compute-gil").most_at_once(State::Holding), 1);
    // More often than each worker takes it once.
    assert!(lesson.count("compute-gil", "turns") > 6, "{lesson:?}");
}

#[test]
fn computing_the_lock_costs_what_processes_gain_and_waiting_it_costs_nothing() {
    let ended = lab(&[&["run", "--json=-"], &SMALL[..], &[NO_PYTHON]].concat());
    // What is left out is said.
    assert!(ended.stderr.starts_with("note: there is no no-such-python here"), "{}", ended.stderr);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stderr, ended.stdout);
    let lesson = lesson_of(&ended);
    assert!(lesson.variants().iter().all(|way| !way.contains("python")));
    let was_busy = ended.stderr.contains("others used the CPUs all the time");
    let time = |way| lesson.count(way, "time_ns");
    if std::thread::available_parallelism().unwrap().get() > 1 {
        assert!(time("compute-processes") < time("compute-gil") || was_busy, "{lesson:?}");
    }
    assert!(time("wait-gil") < time("wait-one"), "{lesson:?}");
    assert!(time("wait-gil") < time("wait-processes"), "{lesson:?}");
    assert!(time("wait-one") >= 40 * 10_000_000, "{lesson:?}");
}

#[test]
fn processes_are_processes_and_threads_are_threads() {
    for (way, kind, pids) in [("wait-processes", Kind::Process, 40), ("wait-threads", Kind::Thread, 1)] {
        let trace = lesson(&[&SMALL[..], &[NO_PYTHON, "--only", way]].concat()).trace(way);
        assert!(trace.lanes.iter().all(|lane| lane.kind == kind), "{way}");
        assert_eq!(trace.lanes.iter().map(|lane| lane.pid).collect::<BTreeSet<_>>().len(), pids, "{way}");
    }
}

#[test]
fn where_there_is_a_python_it_does_the_same() {
    let found = Command::new("python3").args(["-c", ""]).stdin(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        say_skipped();
        return;
    }
    for (way, pids) in [("compute-python-threads", 1), ("compute-python-processes", 3)] {
        let trace = lesson(&["gil", "--workers=3", "--product=5000", "--only", way]).trace(way);
        assert_eq!(trace.lanes.len(), 3, "{way}");
        assert_eq!(trace.lanes.iter().map(|lane| lane.pid).collect::<BTreeSet<_>>().len(), pids, "{way}");
    }
}

#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
fn say_skipped() {
    eprintln!("skipped: there is no python3");
}

#[test]
fn a_way_that_needs_python_without_one_is_an_error_that_says_what_to_do() {
    let ended = lab(&["run", "gil", "--only=wait-python-threads", NO_PYTHON]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("--python"), "{}", ended.stderr);
}
