//! Starting a server in a fresh process, and ending it so that nothing of it is left.

use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getpid};

use crate::contender::{Contender, PORT, Start};
use crate::interrupt::Interrupt;
use crate::leash;
use crate::pin;
use crate::sample::Tree;
use crate::tail::Tail;

/// A server that takes longer to listen is given up.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A server that takes longer to stop is killed. Nobody is connected by then, so there is nothing
/// to drain.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How often is looked whether something has happened that nothing announces.
const LOOK: Duration = Duration::from_millis(5);

/// Longest `listening on ADDRESS` line that is read, in bytes.
const LINE_BYTES: u64 = 1024;

/// Variables that would change what is measured, or make the server use a socket that was meant for
/// another.
const FOREIGN_VARIABLES: [&str; 4] = ["LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET", "RUST_LOG"];

/// The environment variables of our servers' options begin with this.
const OWN_VARIABLES: &str = "SHOUT_";

/// A server that listens. Dropped, it is killed, with all that it has started.
#[derive(Debug)]
pub struct Server<'a> {
    process: Process<'a>,
    address: SocketAddr,
    is_ours: bool,
}

impl<'a> Server<'a> {
    /// Starts it, on these cores if any are given, and waits until a client can connect. To be
    /// called on the main thread only: see [`leash`].
    ///
    /// # Errors
    /// If it does not listen within ten seconds, or ends before; with the last line of its log.
    pub fn start(contender: &Contender, cores: Option<&[usize]>, interrupt: &'a Interrupt) -> Result<Self> {
        let (process, address) = match &contender.start {
            Start::Own(arguments) => {
                start_own(&[arguments, &["-q".to_owned()][..]].concat(), cores, interrupt)?
            }
            Start::Foreign(command) => start_foreign(command, cores, interrupt)?,
        };
        Ok(Self { process, address, is_ours: !contender.start.is_foreign() })
    }

    /// Starts one of ours on all cores, with these arguments, and lets it log as it does by itself:
    /// its last line is its status.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_talking(arguments: &[String], interrupt: &'a Interrupt) -> Result<Self> {
        let (process, address) = start_own(arguments, None, interrupt)?;
        Ok(Self { process, address, is_ours: true })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its processes.
    pub fn tree(&self) -> Tree {
        if self.is_ours { Tree::of(self.process.pid()) } else { Tree::kept_by(self.process.pid()) }
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// How it ended.
    pub fn check_alive(&mut self) -> Result<()> {
        match self.process.ended() {
            None => Ok(()),
            Some(how) if self.is_ours => Err(self.process.failure(&format!("the server {how}"))),
            Some(how) => Err(self
                .process
                .failure(&format!("the server {how}, and must serve many clients until it is told to stop"))),
        }
    }

    /// Asks it to stop by SIGTERM, and kills it when it does not. Returns its log.
    ///
    /// # Errors
    /// If it had to be killed, or is one of ours and says that it failed.
    pub fn stop(self) -> Result<Tail> {
        self.stop_within(STOP_TIMEOUT)
    }

    /// The same, with a longer time for it.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub fn stop_within(mut self, timeout: Duration) -> Result<Tail> {
        self.check_alive()?;
        let _ = kill(self.process.pid(), Signal::SIGTERM);
        let deadline = Instant::now() + timeout;
        while self.process.ended().is_none() {
            if Instant::now() >= deadline {
                bail!("the server did not stop within {timeout:?} of SIGTERM and was killed");
            }
            thread::sleep(LOOK);
        }
        let status = self.process.kill()?;
        // A foreign server may end by the signal, and with any exit code.
        if self.is_ours && !status.success() {
            return Err(self.process.failure(&format!("the server stopped with {status}")));
        }
        Ok(self.process.log.clone())
    }
}

/// Runs the lab itself as a server on port 0, and reads from its one line where it listens.
fn start_own<'a>(
    arguments: &[String],
    cores: Option<&[usize]>,
    interrupt: &'a Interrupt,
) -> Result<(Process<'a>, SocketAddr)> {
    let parent = getpid().to_string();
    let mut command = leash::this_program(&["serve", "--dies-with", &parent]);
    command.args(cores.map(|cores| format!("--cores={}", pin::list(cores))));
    command.args(arguments).args(["--listen=127.0.0.1:0", "--drain-timeout=2s"]);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(OWN_VARIABLES))
    {
        command.env_remove(name);
    }
    let mut process = Process::start(command, false, interrupt)?;
    let stdout = process.child.stdout.take().context("the server has no stdout")?;
    let line = process.first_line(stdout)?;
    let address = line.trim().strip_prefix("listening on ").and_then(|address| address.parse().ok());
    let address = address.ok_or_else(|| anyhow!("expected `listening on ADDRESS`, got {line:?}"))?;
    Ok((process, address))
}

/// Runs a shell command with a free port, and waits until a connection to that port succeeds.
fn start_foreign<'a>(
    command: &str,
    cores: Option<&[usize]>,
    interrupt: &'a Interrupt,
) -> Result<(Process<'a>, SocketAddr)> {
    let address = free_address()?;
    let command = leash::shell(&command.replace(PORT, &address.port().to_string()), cores);
    let mut process = Process::start(command, true, interrupt)?;
    if let Some(stdout) = process.child.stdout.take() {
        process.log.read(stdout);
    }
    let deadline = Instant::now() + START_TIMEOUT;
    while !accepts(address) {
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, address.port()));
        let is_elsewhere = Instant::now() >= deadline && accepts(v6);
        if let Err(error) = process.check_starting(deadline) {
            let why = "it listens on ::1, and must on 127.0.0.1";
            return Err(if is_elsewhere { error.context(why) } else { error });
        }
        thread::sleep(LOOK);
    }
    // Long enough for a server to end that serves one client only.
    thread::sleep(4 * LOOK);
    if let Some(how) = process.ended() {
        return Err(process
            .failure(&format!("the server {how} after its first connection, and must serve many clients")));
    }
    Ok((process, address))
}

/// An address that nobody has, for a server that is to be told one. It lies below those that the
/// system gives to whoever asks for any: there another program could be given it before the server
/// has begun to listen.
fn free_address() -> Result<SocketAddr> {
    const LOWEST: u16 = 10_000;
    const TRIES: u64 = 1_000;
    let given = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first: u16 = given.split_whitespace().next().and_then(|port| port.parse().ok()).unwrap_or(0);
    let span = u64::from(first.saturating_sub(LOWEST));
    let drawn = RandomState::new().hash_one(getpid().as_raw());
    let low = (0..if span > 0 { TRIES } else { 0 })
        .filter_map(|step| u16::try_from(u64::from(LOWEST) + drawn.wrapping_add(step) % span).ok());
    // Where there are none below, any.
    low.chain([0])
        .find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?.local_addr().ok())
        .context("cannot find a free port")
}

/// Whether a client can connect. A socket without a listener can connect to itself when the kernel
/// gives it the very port that it asks for: that does not count.
fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, START_TIMEOUT)
        .is_ok_and(|stream| stream.local_addr().is_ok_and(|local| local != address))
}

/// A started process, the leader of a process group. Dropped, the group is killed.
#[derive(Debug)]
struct Process<'a> {
    child: Child,
    log: Tail,
    interrupt: &'a Interrupt,
    status: Option<ExitStatus>,
    /// Whether it is a keeper of others, see [`leash`].
    keeps: bool,
}

impl<'a> Process<'a> {
    fn start(mut command: Command, keeps: bool, interrupt: &'a Interrupt) -> Result<Self> {
        for name in FOREIGN_VARIABLES {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start a process")?;
        let log = Tail::default();
        if let Some(stderr) = child.stderr.take() {
            log.read(stderr);
        }
        Ok(Self { child, log, interrupt, status: None, keeps })
    }

    fn pid(&self) -> Pid {
        // The kernel's process ids fit: they come from it as i32.
        Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX))
    }

    /// How the leader has ended; `None` while it runs. It stays a zombie, so that its process group
    /// keeps its number.
    fn ended(&self) -> Option<String> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(self.pid()), flags) {
            Ok(WaitStatus::Exited(_, code)) => Some(format!("ended with exit code {code}")),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(format!("was ended by {signal}")),
            Err(Errno::EINVAL) => Some("was ended by a real-time signal".to_owned()),
            _ => None,
        }
    }

    /// The first line of the server's stdout; what follows it is read and forgotten.
    fn first_line(&mut self, stdout: ChildStdout) -> Result<String> {
        let (send, receive) = mpsc::channel();
        thread::Builder::new().name("first line".to_owned()).spawn(move || {
            let mut stdout = BufReader::new(stdout);
            let mut line = String::new();
            if matches!(stdout.by_ref().take(LINE_BYTES).read_line(&mut line), Ok(1..)) {
                // Nobody waits for it any more when the start has been given up.
                let _ = send.send(line);
            }
            let _ = std::io::copy(&mut stdout, &mut std::io::sink());
        })?;
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            match receive.recv_timeout(LOOK) {
                Ok(line) => return Ok(line),
                Err(RecvTimeoutError::Timeout) => self.check_starting(deadline)?,
                // Its stdout is closed: it has ended, or is about to.
                Err(RecvTimeoutError::Disconnected) => {
                    self.check_starting(deadline)?;
                    thread::sleep(LOOK);
                }
            }
        }
    }

    /// # Errors
    /// If there is no more reason to wait until the server listens.
    fn check_starting(&mut self, deadline: Instant) -> Result<()> {
        ensure!(!self.interrupt.raised(), "interrupted");
        if let Some(how) = self.ended() {
            return Err(self.failure(&format!("the server {how} before it listened")));
        }
        if Instant::now() >= deadline {
            return Err(self.failure(&format!("the server did not listen within {START_TIMEOUT:?}")));
        }
        Ok(())
    }

    /// An error that says `what`, with the last line of the log. Kills the group, so that the log
    /// has an end.
    fn failure(&mut self, what: &str) -> anyhow::Error {
        let _ = self.kill();
        match self.log.last_line() {
            Some(line) => anyhow!("{what}; its last words: {line}"),
            None => anyhow!("{what}; it said nothing"),
        }
    }

    /// Kills what is left of the group, and reaps the leader.
    fn kill(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        // Before the leader is reaped: later its number could belong to strangers.
        let _ = if self.keeps { kill(self.pid(), leash::END) } else { killpg(self.pid(), Signal::SIGKILL) };
        let status = self.child.wait().context("cannot wait for the server")?;
        self.status = Some(status);
        Ok(status)
    }
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
