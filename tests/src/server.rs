//! A running server, and what it left when it ended.

use std::net::SocketAddr;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::log::Lines;
use crate::{Client, Launch, Model, eventually, processes};

/// What a server says that it has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Conversations that are open.
    pub open: u64,
    /// Conversations that began.
    pub accepted: u64,
    /// Those that ended well.
    pub completed: u64,
    /// Those that broke or were cut.
    pub failed: u64,
    /// Those that were silent for too long.
    pub timed_out: u64,
}

impl Tally {
    /// Reads a status line of the log, whatever stands before the word `status`.
    fn parse(line: &str) -> Option<Self> {
        let (_, fields) = line.split_once("status: ")?;
        let mut values = fields.split(' ').map(|field| field.split_once('='));
        let mut next = |name: &str| match values.next() {
            Some(Some((found, value))) if found == name => value.parse().ok(),
            _ => None,
        };
        let tally = Self {
            open: next("open")?,
            accepted: next("accepted")?,
            completed: next("completed")?,
            failed: next("failed")?,
            timed_out: next("timed_out")?,
        };
        Some(tally)
    }

    fn adds_up(&self) -> bool {
        self.accepted == self.open + self.completed + self.failed + self.timed_out
    }
}

/// How a server ended.
#[derive(Debug)]
pub struct Exit {
    /// Its exit code; `None` where a signal killed it.
    pub code: Option<i32>,
    /// All that it wrote to stderr.
    pub log: Vec<String>,
    /// All that it wrote to stdout.
    pub output: Vec<String>,
}

impl Exit {
    /// What the last line of the log says that was counted.
    ///
    /// # Panics
    /// If that is not a status line.
    #[track_caller]
    pub fn tally(&self) -> Tally {
        let last = self.log.last().map_or("", String::as_str);
        Tally::parse(last)
            .unwrap_or_else(|| panic!("the last line is not the status; log:\n{}", self.log.join("\n")))
    }

    /// The lines of the log that contain `text`.
    pub fn lines_with(&self, text: &str) -> Vec<&String> {
        self.log.iter().filter(|line| line.contains(text)).collect()
    }
}

/// A server process. It is killed, with its children, when the value is dropped.
#[derive(Debug)]
pub struct Server {
    model: Model,
    child: Child,
    address: Option<SocketAddr>,
    stdout: Lines,
    log: Lines,
    exited: Option<ExitStatus>,
}

impl Server {
    /// Starts a server on a free port with these options; [`Launch`] can do more.
    #[track_caller]
    pub fn start(model: Model, options: &[&str]) -> Self {
        Launch::of(model).options(options).start()
    }

    pub(crate) fn new(model: Model, mut child: Child) -> Self {
        let stdout = Lines::collect(child.stdout.take().expect("stdout is piped"));
        let log = Lines::collect(child.stderr.take().expect("stderr is piped"));
        Self { model, child, address: None, stdout, log, exited: None }
    }

    pub(crate) fn set_address(&mut self, address: SocketAddr) {
        self.address = Some(address);
    }

    pub(crate) fn stdout(&self) -> &Lines {
        &self.stdout
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address.expect("a started server has an address")
    }

    /// What it has logged.
    pub fn log(&self) -> &Lines {
        &self.log
    }

    /// Its process: the parent, where it has several.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process number is positive")
    }

    /// Sends a signal to its process.
    pub fn signal(&self, signal: Signal) {
        assert!(self.exited.is_none(), "its process number may belong to another by now");
        kill(Pid::from_raw(self.pid()), signal).expect("its own child can be signalled");
    }

    /// Asks it for its status and waits for the answer.
    ///
    /// # Panics
    /// If the numbers do not add up.
    #[track_caller]
    pub fn status(&self) -> Tally {
        let tallies =
            |lines: &[String]| lines.iter().filter_map(|line| Tally::parse(line)).collect::<Vec<_>>();
        let before = tallies(&self.log.so_far()).len();
        self.signal(Signal::SIGUSR1);
        let tally = self.log.wait_for("status line", |lines| tallies(lines).get(before).copied());
        assert!(tally.adds_up(), "{tally:?}");
        tally
    }

    /// Asks for its status until `expected` holds.
    #[track_caller]
    pub fn eventually_counts(&self, what: &str, expected: impl Fn(&Tally) -> bool) -> Tally {
        let mut tally = Tally::default();
        eventually(what, || {
            tally = self.status();
            expected(&tally)
        });
        tally
    }

    /// Waits until its workers have all started, and no process or thread is on its first or last
    /// steps any more.
    ///
    /// Only for a server that was started with the model's own number of workers.
    #[track_caller]
    pub fn eventually_rests(&self) {
        const LONG: Duration = Duration::from_millis(100);
        eventually("the server is at rest", || {
            let before = processes::holdings(self.pid());
            thread::sleep(LONG);
            before.len() > self.model.worker_processes() && processes::holdings(self.pid()) == before
        });
    }

    /// Serves its first client and comes to rest: what is made once has been made then.
    #[track_caller]
    pub fn serves_one_and_rests(&self) {
        let first = Client::connect(self.address());
        first.ask(b"hello");
        first.finish();
        self.eventually_counts("it is over", |tally| tally.completed == 1);
        self.eventually_rests();
    }

    /// Takes descriptors away from all its processes when it has served somebody and is at rest.
    /// Returns a client that has asked `anybody there?` and waits for the answer, and the processes.
    #[track_caller]
    pub fn starve_of_descriptors(&self, soft: u64) -> (Client, Vec<i32>) {
        self.serves_one_and_rests();
        let all = processes::tree(self.pid());
        processes::limit_all_descriptors(&all, soft);
        // The clients before it get what was asked for before the limit sank, and make room for
        // the next.
        loop {
            let client = Client::connect(self.address());
            client.send(b"anybody there?");
            if client.hears_nothing_for(Duration::from_millis(300)) {
                return (client, all);
            }
            client.expect_answer(b"anybody there?");
            client.finish();
        }
    }

    /// Sends SIGTERM and waits until the process has taken it; what the server then does may take
    /// longer.
    #[track_caller]
    pub fn begin_stop(&self) {
        self.signal(Signal::SIGTERM);
        eventually("the signal is taken", || !processes::has_pending_signal(self.pid()));
    }

    /// Stops it by SIGTERM and checks what every stop promises: exit code 0, the status as the last
    /// line, nothing open, the sum right, and not a word on stdout but the address.
    #[track_caller]
    pub fn stop(self) -> Tally {
        self.signal(Signal::SIGTERM);
        self.stopped()
    }

    /// Waits for the end of a server that was told to stop, and checks what every stop promises.
    #[track_caller]
    pub fn stopped(self) -> Tally {
        let heard = !self.stdout.so_far().is_empty();
        let exit = self.wait_exit();
        assert_eq!(exit.code, Some(0), "log:\n{}", exit.log.join("\n"));
        assert_eq!(
            exit.output.len(),
            usize::from(heard),
            "more than the address on stdout: {:?}",
            exit.output
        );
        let tally = exit.tally();
        assert!(tally.open == 0 && tally.adds_up(), "{tally:?}");
        tally
    }

    /// Waits for the end of its process, and of all that hold its output.
    #[track_caller]
    pub fn wait_exit(mut self) -> Exit {
        let mut status = None;
        eventually("the server exits", || {
            status = self.child.try_wait().expect("its own child can be waited for");
            status.is_some()
        });
        self.exited = status;
        Exit {
            code: status.and_then(|status| status.code()),
            log: self.log.until_end(),
            output: self.stdout.until_end(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.exited.is_some() {
            return;
        }
        // The parent first, so that it cannot replace a child. Its children are remembered from
        // before, because they have another parent afterwards; those of the right parent's program
        // only.
        let children = if self.model.has_children() { processes::children(self.pid()) } else { Vec::new() };
        let _ = self.child.kill();
        let _ = self.child.wait();
        for child in children {
            if processes::runs_program(child, self.model.program) {
                let _ = kill(Pid::from_raw(child), Signal::SIGKILL);
            }
        }
    }
}
