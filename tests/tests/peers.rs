//! The course's own servers in Python keep their promises too: runs `peers/test_peers.py`.

use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How long all of it may take: each wait in it has a deadline of its own.
const DEADLINE: Duration = Duration::from_secs(300);

/// How often it is looked at whether it has ended.
const LOOK: Duration = Duration::from_millis(50);

/// Each server's promises in an interpreter of its own, all at once: they wait most of the time.
#[test]
fn the_servers_in_python_keep_their_promises() {
    if let Err(reason) = python_suffices() {
        tests::skip(&reason);
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../peers/test_peers.py");
    let source = fs::read_to_string(&script).expect("it is here");
    let classes: Vec<_> = source.lines().filter_map(class_of_tests).collect();
    assert!(classes.len() > 4, "{classes:?}");
    thread::scope(|scope| {
        for class in classes {
            scope.spawn(|| keeps_its_promises(&script, class));
        }
    });
}

/// The name of a class of tests, if the line begins one.
fn class_of_tests(line: &str) -> Option<&str> {
    line.strip_prefix("class ")?.strip_suffix("unittest.TestCase):")?.split('(').next()
}

fn keeps_its_promises(script: &Path, class: &str) {
    let mut run = Command::new("python3")
        .arg("-B")
        .arg(script)
        .args(["--verbose", class])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("python3 has just been found");
    let mut told = run.stderr.take().expect("it is piped");
    let reader = thread::spawn(move || {
        let mut report = String::new();
        told.read_to_string(&mut report).map(|_| report)
    });
    let passed = ended_well(&mut run);
    let report = reader.join().expect("the reader does not panic").expect("the report is text");
    for line in skips(&report) {
        tests::skip(line);
    }
    assert!(passed, "{report}");
    assert!(report.contains("\nRan "), "it ran tests: {report}");
}

/// Whether python3 is here and new enough, or why not.
fn python_suffices() -> Result<(), String> {
    let asked = Command::new("python3")
        .args(["-c", "import sys; sys.exit(sys.version_info < (3, 9))"])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("no python3 can be run ({error})"))?;
    if asked.status.success() { Ok(()) } else { Err("python3 is older than 3.9, or broken".to_owned()) }
}

/// Waits for the end, and says whether all has passed. At the deadline it is killed with the
/// servers that it has started.
fn ended_well(run: &mut Child) -> bool {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(status) = run.try_wait().expect("it is our child") {
            return status.success();
        }
        if Instant::now() > deadline {
            let group = i32::try_from(run.id()).expect("a process number is positive");
            killpg(Pid::from_raw(group), Signal::SIGKILL).expect("it is our child's group");
            run.wait().expect("it is our child");
            return false;
        }
        thread::sleep(LOOK);
    }
}

/// What was skipped and why; unittest tells each skipped test in a line, and a skipped class test
/// by test.
fn skips(report: &str) -> impl Iterator<Item = &str> {
    report.lines().filter(|line| line.contains(" ... skipped "))
}
