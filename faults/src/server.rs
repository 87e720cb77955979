//! A running server, as the world sees it: where it listens, what it logs, how it ends.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use harness::sample::{self, Tree};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::subject::{self, Subject};

/// A server that takes longer to say that it listens hangs.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// The most lines of a log that are kept; all are counted.
const MOST_LINES: usize = 2_000;

/// How often is looked whether something has happened.
pub const LOOK: Duration = Duration::from_millis(5);

/// The lines of one stream so far.
#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Written>>);

#[derive(Debug, Default)]
struct Written {
    lines: Vec<String>,
    count: usize,
    /// Whether nobody can write any more.
    is_over: bool,
}

impl Lines {
    fn collect(stream: impl Read + Send + 'static) -> Result<Self> {
        let lines = Self::default();
        let shared = lines.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
                line.clear();
                shared.write(|written| {
                    written.count += 1;
                    if written.lines.len() < MOST_LINES {
                        written.lines.push(text);
                    }
                });
            }
            shared.write(|written| written.is_over = true);
        })?;
        Ok(lines)
    }

    fn write(&self, write: impl FnOnce(&mut Written)) {
        write(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn read<T>(&self, read: impl FnOnce(&Written) -> T) -> T {
        read(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl End {
    fn of(status: ExitStatus) -> Self {
        status.code().map_or_else(|| Self::Signal(status.signal().unwrap_or(0)), Self::Code)
    }
}

/// A server process. Dropped, it is killed, with all that it has started.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pid: Pid,
    address: Option<SocketAddr>,
    stdout: Lines,
    log: Lines,
    ended: Option<End>,
    /// All processes that were ever seen.
    seen: Vec<Pid>,
    began: Instant,
}

impl Server {
    /// Starts a server behind the words of a tracer, if there are any, and waits until it listens,
    /// ends, or has hung for ten seconds: its [`address`](Self::address) says.
    ///
    /// To be called on a thread that outlives it: the server dies with that thread.
    ///
    /// # Errors
    /// If no process can be started.
    pub fn start(subject: &Subject, options: &[String], tracer: &[String]) -> Result<Self> {
        let words = [tracer, &subject.command(), &["--listen=127.0.0.1:0".to_owned()], options].concat();
        let mut command = subject::command(&words);
        for (name, _) in std::env::vars_os() {
            let foreign = name.to_string_lossy();
            if ["SHOUT_", "LISTEN_", "RUST_", "NOTIFY_SOCKET"].iter().any(|begin| foreign.starts_with(begin))
            {
                command.env_remove(&name);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", words[0]))?;
        let stdout = Lines::collect(child.stdout.take().context("there is no stdout")?)?;
        let log = Lines::collect(child.stderr.take().context("there is no stderr")?)?;
        let pid = Pid::from_raw(i32::try_from(child.id())?);
        let mut server = Self {
            child,
            pid,
            address: None,
            stdout,
            log,
            ended: None,
            seen: vec![pid],
            began: Instant::now(),
        };
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline && server.address.is_none() && server.ended().is_none() {
            thread::sleep(LOOK);
            let first = server.stdout.read(|written| written.lines.first().cloned());
            server.address = first.and_then(|line| line.strip_prefix("listening on ")?.parse().ok());
        }
        Ok(server)
    }

    /// Where it listens, if it has said so.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<End> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten().map(End::of);
        }
        self.ended
    }

    /// Sends a signal to its process.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            let _ = kill(self.pid, signal);
        }
    }

    /// Waits for its end, but not beyond the deadline.
    pub fn wait_until(&mut self, deadline: Instant) -> Option<End> {
        while self.ended().is_none() && Instant::now() < deadline {
            thread::sleep(LOOK);
        }
        self.ended()
    }

    /// Its processes that exist now.
    pub fn processes(&mut self) -> Vec<Pid> {
        let now = sample::processes(Tree::of(self.pid)).unwrap_or_default();
        self.seen.extend(now.iter().filter(|pid| !self.seen.contains(pid)).copied().collect::<Vec<_>>());
        now
    }

    /// Its worker processes.
    pub fn workers(&mut self) -> Vec<Pid> {
        let own = self.pid;
        self.processes().into_iter().filter(|pid| *pid != own).collect()
    }

    /// Waits until no process of it begins or ends any more, but not for ever.
    pub fn rest(&mut self) {
        const QUIET: Duration = Duration::from_millis(60);
        for _ in 0..30 {
            let before = self.processes();
            thread::sleep(QUIET);
            if self.processes() == before {
                return;
            }
        }
    }

    /// Its processes that are there still. They are known by their group: numbers are given anew.
    pub fn left_behind(&self) -> Vec<i32> {
        tests::processes::group(self.pid.as_raw())
    }

    /// CPU time of all its processes so far.
    pub fn cpu_time(&self) -> Duration {
        sample::cpu_time(Tree::of(self.pid)).unwrap_or_default()
    }

    /// Proportional set size of all its processes, in bytes.
    pub fn pss_bytes(&self) -> u64 {
        sample::footprint(Tree::of(self.pid)).ok().and_then(|footprint| footprint.pss_bytes).unwrap_or(0)
    }

    /// How many lines it has logged.
    pub fn log_lines(&self) -> usize {
        self.log.read(|written| written.count)
    }

    /// Waits until nobody can write to its log any more, but not for long.
    pub fn wait_log(&self) {
        let deadline = Instant::now() + Duration::from_secs(3);
        while !self.log.read(|written| written.is_over) && Instant::now() < deadline {
            thread::sleep(LOOK);
        }
    }

    /// The first lines of its log.
    pub fn log(&self) -> Vec<String> {
        self.log.read(|written| written.lines.clone())
    }

    /// The most lines that its log may have by now: ten, and three a second from each of its
    /// processes, which each may say once a second that something is lacking.
    pub fn most_log_lines(&self) -> usize {
        let seconds = usize::try_from(self.began.elapsed().as_secs()).unwrap_or(usize::MAX) + 1;
        10 + 3 * seconds * self.seen.len().min(16)
    }

    /// The number behind `name=` in its last status line.
    pub fn counted(&self, name: &str) -> Option<u64> {
        let log = self.log();
        let status = log.iter().rev().find_map(|line| line.split_once("status: "))?.1.to_owned();
        let of = |field: &str| field.split_once('=').filter(|(found, _)| *found == name)?.1.parse().ok();
        status.split(' ').find_map(of)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.ended().is_none() {
            // The parent first, so that it cannot replace a child; its children die with it.
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = killpg(self.pid, Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}
