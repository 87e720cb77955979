//! What the lab reads of a process tree from the kernel, on trees that the tests make.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use harness::sample::{Tree, cpu_time, footprint};
use nix::unistd::Pid;

/// No wait in these tests is longer.
const DEADLINE: Duration = Duration::from_secs(30);

/// What reading times in ticks may be wrong by, for each process that has ended.
const TICK: Duration = Duration::from_millis(10);

/// A shell script that is killed, with all that it started, when the test is over.
struct Script {
    shell: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Script {
    fn start(text: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", text]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = std::os::unix::process::CommandExt::process_group(&mut command, 0).spawn().unwrap();
        let (stdin, stdout) = (shell.stdin.take().unwrap(), shell.stdout.take().unwrap());
        Self { shell, stdin, stdout: BufReader::new(stdout) }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.shell.id().try_into().unwrap())
    }

    fn say(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    fn hear(&mut self, expected: &str) {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), expected);
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = nix::sys::signal::killpg(self.pid(), nix::sys::signal::Signal::SIGKILL);
        let _ = self.shell.wait();
    }
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < DEADLINE, "waited too long until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn the_cpu_time_of_a_child_is_counted_while_it_runs_and_after_it_was_reaped() {
    let begun = Instant::now();
    let mut script = Script::start(
        "(while :; do :; done) & echo started; read line; kill $!; wait $!; echo reaped; read line",
    );
    script.hear("started");
    let busy = Duration::from_millis(150);
    wait_until("the child has used some CPU time", || cpu_time(Tree::of(script.pid())).unwrap() > busy);
    let living = cpu_time(Tree::of(script.pid())).unwrap();
    assert!(living > busy, "CPU time went backwards: {living:?}");

    script.say("kill it");
    script.hear("reaped");
    let reaped = cpu_time(Tree::of(script.pid())).unwrap();
    assert!(reaped + 2 * TICK >= living, "{living:?} while the child lived, {reaped:?} after it was reaped");
    // One busy process cannot use more than the time that has passed; the shell's own share is
    // small.
    assert!(reaped <= begun.elapsed() + 2 * TICK, "{reaped:?} within {:?}", begun.elapsed());
}

#[test]
fn a_tree_is_followed_to_grandchildren_and_their_memory_is_counted() {
    let script = Script::start("sh -c 'sleep 100; :'; :");
    wait_until("the grandchild runs", || footprint(Tree::of(script.pid())).unwrap().processes == 3);
    let tree = footprint(Tree::of(script.pid())).unwrap();
    assert_eq!((tree.processes, tree.threads), (3, 3));
    // Three small processes have at least a stack page each, and far less than this.
    assert!((3 * 4096..100 << 20).contains(&tree.pss_bytes.unwrap()), "{:?} bytes", tree.pss_bytes);
}

#[test]
fn what_has_ended_cannot_be_sampled() {
    let mut ended = Command::new("true").spawn().unwrap();
    let pid = Pid::from_raw(ended.id().try_into().unwrap());
    ended.wait().unwrap();
    assert!(cpu_time(Tree::of(pid)).unwrap_err().to_string().contains("has ended"));
    assert!(footprint(Tree::of(pid)).unwrap_err().to_string().contains("has ended"));
}

#[test]
fn processes_that_come_and_go_are_skipped() {
    let script = Script::start("while :; do (:); done");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(500) {
        cpu_time(Tree::of(script.pid())).unwrap();
        assert!(footprint(Tree::of(script.pid())).unwrap().processes >= 1);
    }
}
