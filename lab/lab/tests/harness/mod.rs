//! What the tests of the lab have in common: it is started, waited for, and its processes are
//! looked at.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "every test file is a crate of its own and uses some of it"
)]

use std::env;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use procfs::process::{Process, all_processes};

/// No run of the lab in these tests takes longer, also on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) const LAB: &str = env!("CARGO_BIN_EXE_lab");

/// A lab that is killed when the test fails.
pub(crate) struct Lab(pub(crate) Child);

#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Lab {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_in(&env::temp_dir(), arguments)
    }

    /// One that makes its files in this folder, for a test that kills it.
    pub(crate) fn start_in(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(LAB);
        command
            .args(arguments)
            .env("TMPDIR", folder)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().cast_signed())
    }

    /// Waits for its end, and reads meanwhile what it prints: a pipe does not hold much.
    pub(crate) fn end(mut self) -> Ended {
        let (stdout, stderr) = (self.0.stdout.take().map(read), self.0.stderr.take().map(read));
        let status = wait_until("the lab ends", || self.0.try_wait().unwrap());
        let text =
            |reader: Option<JoinHandle<String>>| reader.map(|it| it.join().unwrap()).unwrap_or_default();
        Ended { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }
}

fn read(mut stream: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    })
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn lab(arguments: &[&str]) -> Ended {
    Lab::start(arguments).end()
}

pub(crate) fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(begun.elapsed() < DEADLINE, "waited too long until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A process below another, with the moment at which it began, so that nobody else is taken for it.
#[derive(Debug)]
pub(crate) struct Descendant {
    pub(crate) pid: i32,
    pub(crate) name: String,
    began: u64,
}

impl Descendant {
    pub(crate) fn lives(&self) -> bool {
        let stat = Process::new(self.pid).and_then(|process| process.stat());
        stat.is_ok_and(|stat| stat.starttime == self.began && stat.state != 'Z')
    }
}

/// Every descendant of `root`.
pub(crate) fn descendants(root: Pid) -> Vec<Descendant> {
    let stats: Vec<_> =
        all_processes().unwrap().flatten().filter_map(|process| process.stat().ok()).collect();
    let mut tree: Vec<Descendant> = Vec::new();
    let mut parents = vec![root.as_raw()];
    while let Some(parent) = parents.pop() {
        for stat in stats.iter().filter(|stat| stat.ppid == parent) {
            parents.push(stat.pid);
            tree.push(Descendant { pid: stat.pid, name: stat.comm.clone(), began: stat.starttime });
        }
    }
    tree
}

pub(crate) fn wait_until_gone(tree: &[Descendant]) {
    wait_until("nobody is left", || (!tree.iter().any(Descendant::lives)).then_some(()));
}
