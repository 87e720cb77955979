//! `lab run threads`: what is shared, what a join is, what dies, what lives on, and that nothing of
//! it is left behind.
#![allow(clippy::unwrap_used, reason = "a test that cannot read is a test that fails")]

mod lesson;

use std::collections::BTreeSet;

use lessons::trace::{Kind, State, Trace};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::Process;

use lesson::{Lab, descendants, lab, lesson, wait_until};

const SMALL: [&str; 3] = ["threads", "--children=3", "--delay=10ms"];

fn only(way: &str) -> lesson::Lesson {
    lesson(&[&SMALL[..], &["--only", way]].concat())
}

fn at_ns(trace: &Trace, lane: &str, label: &str) -> u64 {
    let lane = trace.lanes.iter().find(|its| its.name == lane).unwrap_or_else(|| panic!("no lane {lane}"));
    let mark = lane.marks.iter().find(|mark| mark.label == label);
    mark.unwrap_or_else(|| panic!("no mark {label}: {lane:?}")).at_ns
}

/// The process with this number, unless it is another that got it meanwhile: those of the lab have
/// a name.
fn is_left(pid: i32) -> bool {
    let stat = Process::new(pid).and_then(|process| process.stat());
    stat.is_ok_and(|stat| stat.comm == "lab-act" || stat.comm == "lab")
}

#[test]
fn threads_have_one_pid_names_of_their_own_and_one_money() {
    let lesson = only("shared");
    let figures = ["pids", "active", "saw_it", "money"].map(|name| lesson.count("shared", name));
    assert_eq!(figures, [1, 4, 3, 666]);
    let trace = lesson.trace("shared");
    assert!(trace.lanes.iter().all(|lane| lane.kind == Kind::Thread && lane.pid == trace.lanes[0].pid));
}

#[test]
fn processes_have_other_pids_and_each_its_own_money() {
    let lesson = only("isolated");
    let figures = ["pids", "saw_it", "money"].map(|name| lesson.count("isolated", name));
    assert_eq!(figures, [3, 1, 100]);
    let trace = lesson.trace("isolated");
    assert_eq!(trace.lanes.iter().map(|lane| lane.pid).collect::<BTreeSet<_>>().len(), 3);
}

#[test]
fn main_goes_on_before_its_child_is_over_unless_it_joins_it() {
    let (without, with) = (only("no-join").trace("no-join"), only("join").trace("join"));
    assert!(at_ns(&without, "main", "goes on") < at_ns(&without, "child", "over"));
    assert!(at_ns(&with, "main", "goes on") >= at_ns(&with, "child", "over"));
    assert!(with.lanes[0].total_ns(State::Blocked) > 0, "the join waited for nothing");
}

#[test]
fn a_thread_dies_with_main_unless_main_joins_it() {
    let daemon = only("daemon");
    assert_eq!(daemon.figure("daemon", "work"), "lost");
    let trace = daemon.trace("daemon");
    assert_eq!((trace.count("died"), trace.count("over")), (1, 0));
    assert!(
        trace.lanes[1].total_ns(State::Sleeping) >= 10_000_000,
        "it did not work while main did: {trace:?}"
    );
    let joined = only("no-daemon");
    assert_eq!(joined.figure("no-daemon", "work"), "done");
    let trace = joined.trace("no-daemon");
    assert!(at_ns(&trace, "its thread", "over") <= at_ns(&trace, "a process", "main ends"));
}

#[test]
fn who_has_ended_is_a_zombie_until_it_is_reaped() {
    let lesson = only("zombie");
    assert_eq!(lesson.count("zombie", "left"), 0);
    let trace = lesson.trace("zombie");
    let child = trace.lanes.iter().find(|lane| lane.name == "child").unwrap();
    assert!(child.total_ns(State::Done) >= 10_000_000, "{child:?}");
    assert!(child.spans.windows(2).all(|pair| pair[0].end_ns == pair[1].begin_ns), "{child:?}");
    assert!(child.has("reaped") && !is_left(child.pid));
}

#[test]
fn an_orphan_outlives_its_parent_gets_another_and_is_reaped() {
    let lesson = only("orphan");
    let trace = lesson.trace("orphan");
    let (parent, child) = (&trace.lanes[0], &trace.lanes[1]);
    assert_eq!(lesson.figure("orphan", "parent"), &parent.pid.to_string());
    assert_ne!(lesson.figure("orphan", "then"), &parent.pid.to_string());
    let ended_ns = |lane: &lessons::trace::Lane| lane.spans.last().unwrap().end_ns;
    assert!(parent.has("killed") && ended_ns(parent) + 10_000_000 <= ended_ns(child), "{trace:?}");
    assert!(child.has("reaped"));
    assert!(!is_left(parent.pid) && !is_left(child.pid));
}

#[test]
fn who_is_terminated_leaves_its_file_and_who_ends_itself_does_not() {
    let ended = lab(&[&["run"], &SMALL[..], &["--only=terminate"]].concat());
    assert_eq!(ended.code, Some(0), "{}{}", ended.stderr, ended.stdout);
    // Before the start, at work, ended by itself, terminated.
    let answers = ended.stdout.lines().filter(|line| line.contains("p.is_alive()"));
    let answers: Vec<_> = answers.map(|line| line.split_whitespace().last().unwrap()).collect();
    assert_eq!(answers, ["no", "yes", "no", "no"], "{}", ended.stdout);
    let lesson = only("terminate");
    assert_eq!(lesson.figure("terminate", "exit_code"), "-15");
    assert_eq!(lesson.count("terminate", "files_left"), 1);
    let trace = lesson.trace("terminate");
    assert!(trace.lanes[1].has("cleans up") && !trace.lanes[1].has("killed"), "{trace:?}");
    assert!(trace.lanes[2].has("killed") && !trace.lanes[2].has("cleans up"), "{trace:?}");
}

#[test]
fn a_daemon_ends_with_its_parent_and_an_orphan_does_not() {
    let lesson = only("daemon-child");
    assert_eq!(lesson.figure("daemon-child", "ended_by"), "SIGTERM");
    assert_eq!(lesson.count("daemon-child", "left"), 0);
    let trace = lesson.trace("daemon-child");
    let (parent, child) = (&trace.lanes[0], &trace.lanes[1]);
    assert!(!parent.has("killed") && child.has("reaped"), "{trace:?}");
    assert!(!is_left(parent.pid) && !is_left(child.pid));
}

#[test]
fn what_a_view_has_started_goes_on_when_it_has_answered() {
    let page_and_log = |way: &str| {
        let lesson = lesson(&["threads", "--delay=300ms", "--only", way]);
        let trace = lesson.trace(way);
        let log_at = trace.lanes.iter().find(|lane| lane.has("log written")).unwrap().name.clone();
        let took_ns = lesson.count(way, "page_after_ns");
        (at_ns(&trace, "client", "has the page"), at_ns(&trace, &log_at, "log written"), took_ns, trace)
    };
    let (page, log, took_ns, _) = page_and_log("request-alone");
    assert!(log < page && took_ns >= 300_000_000);
    for (way, kind) in [("request-thread", Kind::Thread), ("request-process", Kind::Process)] {
        let (page, log, took_ns, trace) = page_and_log(way);
        let returned = at_ns(&trace, "server", "returns");
        assert!(page < log && returned < log && took_ns < 300_000_000, "{trace:?}");
        let writer = trace.lanes.iter().find(|lane| lane.has("log written")).unwrap();
        assert_eq!((writer.kind, writer.pid == trace.lanes[1].pid), (kind, kind == Kind::Thread));
    }
}

#[test]
fn nothing_is_left_behind() {
    let lesson = lesson(&SMALL);
    for way in lesson.variants() {
        for lane in lesson.trace(way).lanes {
            assert!(!is_left(lane.pid), "{way}: {lane:?}");
        }
    }
}

#[test]
fn an_orphan_does_not_outlive_a_lab_that_is_killed_or_interrupted() {
    for signal in [Signal::SIGKILL, Signal::SIGINT] {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::start_in(folder.path(), &["run", "threads", "--only=orphan", "--delay=10m"]);
        let pid = i32::try_from(lab.0.id()).unwrap();
        // The parent is a zombie and the orphan a child of the lab, when both are.
        let family = wait_until("the child is an orphan", || {
            let family: Vec<i32> = descendants(lab.pid()).iter().map(|one| one.pid).collect();
            let is_child = |pid_of: i32| {
                Process::new(pid_of).and_then(|one| one.stat()).is_ok_and(|stat| stat.ppid == pid)
            };
            let states: Vec<_> =
                family.iter().filter_map(|one| Process::new(*one).ok()?.stat().ok()).collect();
            let has_zombie = states.iter().any(|stat| stat.state == 'Z');
            (family.len() == 2 && has_zombie && family.iter().all(|one| is_child(*one))).then_some(family)
        });
        kill(Pid::from_raw(pid), signal).unwrap();
        lab.end();
        // Whoever is process 1 here may be slow to reap, or not do it: a zombie does nothing any
        // more.
        let lives =
            |pid: &i32| Process::new(*pid).and_then(|one| one.stat()).is_ok_and(|stat| stat.state != 'Z');
        wait_until("the orphan has ended", || (!family.iter().any(lives)).then_some(()));
    }
}
