//! strace, which lets system calls fail (strace(1), "Tampering"), and what its log says.
//!
//! It counts calls by thread: the third `recvfrom` is the third of each thread.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long strace may take to attach itself or to let go.
const TRACER_TIMEOUT: Duration = Duration::from_secs(10);

/// How often is looked whether it has.
const LOOK: Duration = Duration::from_millis(2);

/// What stands in strace's log at a call that it made to fail.
const INJECTED: &[u8] = b"(INJECTED)";

/// Which calls of a thread fail, and how.
#[derive(Debug, Clone)]
pub struct Injection {
    /// The system call.
    pub call: &'static str,
    /// The error.
    pub errno: &'static str,
    /// The first call that fails: 1 is the first.
    pub nth: u32,
    /// Whether all later ones fail, too.
    pub ever: bool,
}

impl Injection {
    fn rule(&self) -> String {
        let Self { call, errno, nth, ever } = self;
        format!("inject={call}:error={errno}:when={nth}{}", if *ever { "+" } else { "" })
    }
}

/// Whether there is a strace that can do what is needed here.
///
/// # Errors
/// How to get one.
pub fn require() -> Result<()> {
    const NEEDED: &str = "this needs strace 5.0 or newer: apt-get install strace, dnf install strace";
    let rule = "inject=close:error=EIO:when=9+";
    let probe = Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "-e", rule, "true"]).output();
    let probe = probe.with_context(|| format!("strace cannot be run; {NEEDED}"))?;
    let said = String::from_utf8_lossy(&probe.stderr);
    let Some(why) = said.lines().find(|line| line.contains("strace:")) else { return Ok(()) };
    if why.contains("ptrace") {
        bail!(
            "strace may trace nothing here ({why}): allow CAP_SYS_PTRACE, or set kernel.yama.ptrace_scope to 0"
        );
    }
    bail!("strace cannot be used ({why}); {NEEDED}")
}

/// Options for one command that is traced from its first call on; the command keeps its parent.
fn options(log: &Path, traced: &str) -> Vec<String> {
    let log = log.to_string_lossy().into_owned();
    ["-f", "-qq", "-o", &log, "-e", &format!("trace={traced}")].map(str::to_owned).to_vec()
}

/// The words before a command that let its calls fail from its beginning.
pub fn launch(log: &Path, injection: &Injection) -> Vec<String> {
    let mut words = vec!["strace".to_owned(), "-D".to_owned()];
    words.extend(options(log, injection.call));
    words.extend([
        "-e".to_owned(),
        "signal=none".to_owned(),
        "-e".to_owned(),
        injection.rule(),
        "--".to_owned(),
    ]);
    words
}

/// The words before a command that write all these calls, and SIGTERM, into a log.
pub fn record(log: &Path, calls: &str) -> Vec<String> {
    let mut words = vec!["strace".to_owned(), "-D".to_owned()];
    words.extend(options(log, calls));
    words.extend(["-e", "signal=SIGTERM", "--"].map(str::to_owned));
    words
}

/// A strace that has attached itself to processes. Dropped, it lets them go.
#[derive(Debug)]
pub struct Tracer {
    child: Child,
}

impl Tracer {
    /// Lets calls of these processes, and of those that they start, fail from now on.
    ///
    /// # Errors
    /// If strace cannot attach itself to each of them.
    pub fn attach(pids: &[Pid], log: &Path, injection: &Injection) -> Result<Self> {
        let mut command = Command::new("strace");
        // Not `-qq`: it says when it has attached itself.
        command.args(options(log, injection.call).iter().filter(|option| *option != "-qq"));
        command.args(["-e", "signal=none", "-e", &injection.rule()]);
        for pid in pids {
            command.args(["-p", &pid.to_string()]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start strace")?;
        let said = child.stderr.take().context("strace has no stderr")?;
        let tracer = Self { child };
        tracer.wait_attached(said, pids.len())?;
        Ok(tracer)
    }

    fn wait_attached(&self, said: impl Read + Send + 'static, count: usize) -> Result<()> {
        let (tell, told) = std::sync::mpsc::channel();
        thread::Builder::new().name("strace".to_owned()).spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                // Nobody listens once all are attached.
                let _ = tell.send(line);
            }
        })?;
        let deadline = Instant::now() + TRACER_TIMEOUT;
        let mut attached = 0;
        while attached < count {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = told.recv_timeout(left).context("strace does not attach itself")?;
            ensure!(line.contains(" attached"), "strace: {line}");
            attached += 1;
        }
        Ok(())
    }

    /// Lets the processes go: from now on nothing fails.
    ///
    /// # Errors
    /// If it does not within ten seconds.
    pub fn detach(mut self) -> Result<()> {
        self.let_go()
    }

    fn let_go(&mut self) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        let deadline = Instant::now() + TRACER_TIMEOUT;
        while self.child.try_wait()?.is_none() {
            let _ = kill(pid, Signal::SIGTERM);
            ensure!(Instant::now() < deadline, "strace does not let go");
            thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        if self.let_go().is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// How many calls have failed so far, read from strace's log as it grows.
#[derive(Debug)]
pub struct Injected {
    log: PathBuf,
    read: u64,
    count: u64,
}

impl Injected {
    /// Of this log, which need not be there yet.
    pub fn of(log: PathBuf) -> Self {
        Self { log, read: 0, count: 0 }
    }

    /// How many there are by now.
    pub fn count(&mut self) -> u64 {
        let Ok(mut file) = File::open(&self.log) else { return self.count };
        let mut new = Vec::new();
        let read = file.seek(SeekFrom::Start(self.read)).and_then(|_| file.read_to_end(&mut new));
        // Whole lines only: what is being written is read next time.
        let end = new.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        if read.is_ok() {
            self.read += end as u64;
            self.count += new[..end].windows(INJECTED.len()).filter(|part| *part == INJECTED).count() as u64;
        }
        self.count
    }
}

impl Drop for Injected {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.log);
    }
}
