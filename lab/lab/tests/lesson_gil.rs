//! `lab run gil`: what an interpreter's lock lets happen at one time, and what that costs.
#![allow(clippy::unwrap_used, reason = "a test that cannot read is a test that fails")]

mod lesson;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use lessons::trace::{Kind, State};

use lesson::{lab, lesson, lesson_of};

const NO_PYTHON: &str = "--python=no-such-python";
const NO_FREE_PYTHON: &str = "--free-python=no-such-python";

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
    let ended = lab(&[&["run", "--json=-"], &SMALL[..], &[NO_PYTHON, NO_FREE_PYTHON]].concat());
    // What is left out is said.
    assert!(ended.stderr.starts_with("note: there is no no-such-python here"), "{}", ended.stderr);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stderr, ended.stdout);
    let lesson = lesson_of(&ended);
    assert!(lesson.variants().iter().all(|way| !way.contains("python")));
    assert!(ended.stderr.contains("there is no Python without the lock here (no-such-python)"));
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
fn on_one_processor_nothing_is_computed_at_the_same_time_and_who_has_none_is_ready() {
    for way in ["compute-threads-on-one", "compute-processes-on-one"] {
        let small = ["gil", "--workers=2", "--product=10000", NO_PYTHON, NO_FREE_PYTHON, "--only", way];
        let ended = lab(&[&["run", "--json=-"], &small[..]].concat());
        let lesson = lesson_of(&ended);
        assert_eq!(lesson.count(way, "computing_at_once"), 1, "{way}: {lesson:?}");
        if procfs::process::Process::myself().unwrap().schedstat().is_err() {
            return say_skipped("this kernel does not count how long a thread is ready");
        }
        let trace = lesson.trace(way);
        let ready_ns: u64 = trace.lanes.iter().map(|lane| lane.total_ns(State::Ready)).sum();
        let computed_ns = lesson.count(way, "cpu_time_ns");
        // While one computes, the other is ready, but for the end when one is alone.
        assert!(ready_ns > computed_ns / 4, "{way}: ready for {ready_ns} ns: {trace:?}");
        assert_eq!(
            trace.lanes.iter().map(|lane| lane.ready_ns()).sum::<u64>(),
            lesson.count(way, "ready_ns")
        );
    }
}

#[test]
fn the_table_is_the_course_s_four_cases_and_says_which_python_is_not_found() {
    let ended = lab(&[
        "run",
        "--ascii",
        "gil",
        "--workers=2",
        "--product=2000",
        "--waiters=3",
        NO_PYTHON,
        NO_FREE_PYTHON,
    ]);
    let table = ended.stdout.split_once("Time until all have done it").unwrap().1;
    let (one, several) = table.split_once("all processors").unwrap();
    for half in [one, several] {
        for row in ["processes", "threads under the lock", "threads", "faster"] {
            let row = half.lines().find(|line| line.trim().starts_with(row)).unwrap();
            assert!(row.split_whitespace().count() >= 3 && !row.ends_with('-'), "{table}");
        }
    }
    let free = several.lines().find(|line| line.contains("GIL-free Python")).unwrap();
    assert!(free.ends_with("not found"), "{table}");
}

/// The real thing where it is found, else a Python that only says of itself that it has no lock:
/// what is found is started, and what its threads do is shown as threads without a lock.
#[test]
fn a_python_without_the_lock_is_found_by_what_it_says() {
    use std::os::unix::fs::PermissionsExt as _;
    let only = ["gil", "--workers=2", "--product=3000", "--only=compute-free-python"];
    let with_lock = lab(&[&["run"], &only[..], &["--free-python=python3"]].concat());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("python3.99t");
    let says = "#!/bin/sh\nshift; code=$1; shift\nexec python3 -c \"import sys; sys._is_gil_enabled = lambda: False\n$code\" \"$@\"\n";
    std::fs::write(&path, says).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    if Command::new("python3").args(["-c", ""]).stdin(Stdio::null()).status().is_err() {
        return say_skipped("there is no python3");
    }
    assert_eq!(with_lock.code, Some(1), "python3 has a lock here: {}", with_lock.stdout);
    assert!(with_lock.stderr.contains("--free-python"), "{}", with_lock.stderr);
    let named = format!("--free-python={}", path.display());
    let trace = lesson(&[&only[..], &[&named]].concat()).trace("compute-free-python");
    assert_eq!(trace.lanes.len(), 2);
    assert!(trace.lanes.iter().all(|lane| lane.total_ns(State::Holding) == 0), "{trace:?}");
    assert!(trace.lanes.iter().all(|lane| lane.total_ns(State::Running) > 0), "{trace:?}");
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
        say_skipped("there is no python3");
        return;
    }
    for (way, pids) in [("compute-python-threads", 1), ("compute-python-processes", 3)] {
        let trace = lesson(&["gil", "--workers=3", "--product=5000", "--only", way]).trace(way);
        assert_eq!(trace.lanes.len(), 3, "{way}");
        assert_eq!(trace.lanes.iter().map(|lane| lane.pid).collect::<BTreeSet<_>>().len(), pids, "{way}");
    }
}

#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
fn say_skipped(why: &str) {
    eprintln!("skipped: {why}");
}

#[test]
fn a_way_that_needs_python_without_one_is_an_error_that_says_what_to_do() {
    let ended = lab(&["run", "gil", "--only=wait-python-threads", NO_PYTHON]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("--python"), "{}", ended.stderr);
}
