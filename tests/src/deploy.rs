//! What the tests of `deploy/` need: the engines that start clients on many machines, here all on
//! this one and its loopback addresses, and ended with the test.

use std::env;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::atomic::{AtomicU16, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::skip;

/// How long a whole load may take, in seconds, also on a loaded machine.
const LOAD_SECONDS: &str = "90";

/// The folder of the project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where a program is installed; says that the test is skipped where it is not.
pub fn installed(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian has daemons where an ordinary user's PATH has nothing.
    let folders = env::split_paths(&path).chain(["/usr/sbin".into()]);
    let found = folders.map(|folder| folder.join(program)).find(|file| file.is_file());
    if found.is_none() {
        skip(&format!("{program} is not installed"));
    }
    found
}

/// Puts programs under their ordinary names into a folder; returns a PATH that begins with it.
pub fn path_with(folder: &Path, programs: &[(&str, &str)]) -> String {
    for (name, program) in programs {
        symlink(program, folder.join(name)).expect("a link can be made");
    }
    format!("{}:{}", folder.display(), env::var("PATH").unwrap_or_default())
}

/// A port that was free just now, below those that the system gives to others by itself
/// (ip_local_port_range), so that it stays free.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 1_000 * 10).unwrap_or(0);
    let candidates = (0..10_000).map(|_| NEXT.fetch_add(1, Ordering::Relaxed));
    let mut ports = candidates.map(|number| 20_000 + (first + number) % 10_000);
    let is_free = |port: &u16| TcpListener::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), *port)).is_ok();
    ports.find(is_free).expect("there is a free port")
}

/// A command that is ended where it takes longer than any load should.
pub fn bounded(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", LOAD_SECONDS]).arg(program);
    command
}

/// What a command wrote, for a person.
pub fn told(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{}\n{out}\n{err}", output.status)
}

/// What a program in Python prints, with the packages that `.ci/run` installs; says that the test
/// is skipped where there is no Python, or one of the packages is missing.
///
/// # Panics
/// If the program fails otherwise.
#[track_caller]
pub fn python(program: &str, arguments: &[&Path]) -> Option<Vec<u8>> {
    let python = installed("python3")?;
    let packages = root().join("target/tools/python");
    let others = env::var_os("PYTHONPATH").unwrap_or_default();
    let folders = [packages].into_iter().chain(env::split_paths(&others));
    let mut command = Command::new(python);
    command.env("PYTHONPATH", env::join_paths(folders).expect("no folder's name has a colon"));
    let output = command.args(["-c", program]).args(arguments).output().expect("it can be started");
    let said = told(&output);
    if let Some((_, missing)) = said.split_once("ModuleNotFoundError: ") {
        skip(&format!("Python: {}", missing.trim()));
        return None;
    }
    assert!(output.status.success(), "{said}");
    Some(output.stdout)
}

/// Daemons that a test has started; they end with it, the last one first.
#[derive(Debug, Default)]
pub struct Daemons(Vec<Child>);

impl Daemons {
    /// Starts one in the foreground; what it says goes to a file.
    pub fn start(&mut self, command: &mut Command, log: &Path) {
        let log = fs::File::create(log).expect("a log can be made");
        let errors = log.try_clone().expect("a descriptor can be copied");
        self.0.push(command.stdout(log).stderr(errors).spawn().expect("a daemon can be started"));
    }
}

impl Drop for Daemons {
    fn drop(&mut self) {
        while let Some(mut daemon) = self.0.pop() {
            let pid = Pid::from_raw(i32::try_from(daemon.id()).unwrap_or(0));
            let _ = kill(pid, Signal::SIGTERM);
            let _ = daemon.wait();
        }
    }
}
