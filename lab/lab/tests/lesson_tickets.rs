//! `lab run tickets`: how often a ticket is sold, and what is left when a buyer, or the lab, is
//! killed.
#![allow(clippy::unwrap_used, reason = "a test that cannot read is a test that fails")]

mod lesson;

use std::fs;

use lessons::trace::{Kind, State};
use nix::sys::signal::{Signal, kill};

use lesson::{Lab, descendants, lab, lesson, lesson_of, wait_until, wait_until_gone};

const SMALL: [&str; 4] = ["tickets", "--buyers=4", "--look=10ms", "--delay=5ms"];

fn small(arguments: &[&'static str]) -> lesson::Lesson {
    lesson(&[&SMALL[..], arguments].concat())
}

#[test]
fn without_a_lock_every_buyer_is_sold_the_one_ticket() {
    let lesson = small(&["--only=no-lock"]);
    assert_eq!(lesson.count("no-lock", "sold"), 4);
    assert_eq!(lesson.count("no-lock", "left"), 0);
    assert_eq!(lesson.trace("no-lock").count("bought"), 4);
}

#[test]
fn with_a_lock_it_is_sold_once_and_one_has_the_lock_at_a_time() {
    let lesson = small(&[]);
    for way in ["lock", "lock-look"] {
        assert_eq!((lesson.count(way, "sold"), lesson.count(way, "left")), (1, 0), "{way}");
        let trace = lesson.trace(way);
        assert_eq!(trace.most_at_once(State::Holding), 1, "{way}");
        assert_eq!((trace.count("bought"), trace.count("sold out")), (1, 3), "{way}");
    }
}

#[test]
fn every_buyer_is_a_process_of_its_own_on_one_clock() {
    let trace = small(&["--only=lock"]).trace("lock");
    let mut pids: Vec<_> = trace.lanes.iter().map(|lane| lane.pid).collect();
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 4);
    for lane in &trace.lanes {
        assert_eq!(lane.kind, Kind::Process);
        assert!(lane.spans.windows(2).all(|pair| pair[0].end_ns == pair[1].begin_ns), "{lane:?}");
    }
    // The lock is handed over, so the time in which somebody has it is all of it one after the
    // other.
    let held: u64 = trace.lanes.iter().map(|lane| lane.total_ns(State::Holding)).sum();
    assert!(held <= trace.length_ns());
}

#[test]
fn several_tickets_are_sold_to_as_many() {
    let lesson = small(&["--tickets=3", "--only=lock"]);
    assert_eq!((lesson.count("lock", "sold"), lesson.count("lock", "left")), (3, 0));
}

#[test]
fn a_buyer_killed_in_the_middle_loses_no_ticket_and_leaves_no_torn_file_and_no_lock() {
    let lesson = small(&["--only=kill-rename"]);
    assert_eq!(lesson.count("kill-rename", "sold"), 1);
    assert_eq!(lesson.count("kill-rename", "left"), 0);
    let trace = lesson.trace("kill-rename");
    let killed = trace.lanes.iter().find(|lane| lane.has("killed")).unwrap();
    assert_eq!(killed.spans.last().unwrap().state, State::Holding, "it was not killed in the middle");
}

#[test]
fn written_in_place_the_file_is_torn_by_the_same_kill() {
    let lesson = small(&["--kill"]);
    assert_eq!(lesson.variants(), ["kill-in-place", "kill-rename"]);
    assert_eq!(lesson.figure("kill-in-place", "left"), "torn");
    assert_eq!(lesson.trace("kill-in-place").count("torn"), 3);
}

#[test]
fn two_labs_at_one_shop_sell_its_tickets_once() {
    let folder = tempfile::tempdir().unwrap();
    let shop = format!("--shop={}", folder.path().join("shop").display());
    let arguments = [&["run", "--json=-"], &SMALL[..], &["--only=lock", "--tickets=5", &shop]].concat();
    let labs = [Lab::start(&arguments), Lab::start(&arguments)];
    let sold = labs.map(|lab| {
        let ended = lab.end();
        assert_eq!(ended.code, Some(0), "{}{}", ended.stderr, ended.stdout);
        lesson_of(&ended).count("lock", "sold")
    });
    // Eight want one of five.
    assert_eq!(sold.iter().sum::<u64>(), 5);
    let data = fs::read_to_string(folder.path().join("shop/data.json")).unwrap();
    assert_eq!(data, "{\"ticket_num\":0}");
}

#[test]
fn ctrl_c_and_a_killed_lab_leave_no_process() {
    for (signal, code) in [(Signal::SIGINT, Some(1)), (Signal::SIGKILL, None)] {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::start_in(folder.path(), &["run", "tickets", "--buyers=4", "--delay=10m"]);
        let buyers =
            wait_until("the buyers run", || Some(descendants(lab.pid())).filter(|buyers| buyers.len() == 4));
        kill(lab.pid(), signal).unwrap();
        let ended = lab.end();
        assert_eq!(ended.code, code, "{}", ended.stderr);
        wait_until_gone(&buyers);
    }
}

#[test]
fn ctrl_c_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::start_in(folder.path(), &["run", "tickets", "--buyers=4", "--delay=10m"]);
    wait_until("the buyers run", || (descendants(lab.pid()).len() == 4).then_some(()));
    kill(lab.pid(), Signal::SIGTERM).unwrap();
    let ended = lab.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), "error: interrupted\n"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn who_ignores_the_lock_is_noticed_and_what_is_not_as_expected_ends_with_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let shop = format!("--shop={}", folder.path().display());
    let mut lab = Lab::start(&["run", "tickets", "--only=lock", "--buyers=2", "--delay=300ms", &shop]);
    // When there are buyers, the lab has counted the one ticket.
    wait_until("the buyers run", || (descendants(lab.pid()).len() == 2).then_some(()));
    wait_until("the lab ends", || {
        fs::write(folder.path().join("refill"), "{\"ticket_num\":1000}").unwrap();
        fs::rename(folder.path().join("refill"), folder.path().join("data.json")).unwrap();
        lab.0.try_wait().unwrap()
    });
    let ended = lab.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stdout.contains("verdict: NOT as expected"), "{}", ended.stdout);
    assert!(ended.stdout.contains("does not fit what was expected"), "{}", ended.stdout);
    assert_eq!(ended.stderr, "error: tickets: not as expected\n");
}

#[test]
fn what_makes_no_sense_is_refused_with_code_2() {
    let nonsense: [&[&str]; 6] = [
        &["--buyers=0"],
        &["--buyers=1"],
        &["--delay=5"],
        &["--kill", "--tickets=10"],
        &["--shop=/tmp"],
        &["--only=lock", "--kill"],
    ];
    for arguments in nonsense {
        let ended = lab(&[&["run", "tickets"], arguments].concat());
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
    }
}
