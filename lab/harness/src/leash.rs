//! A server that cannot outlive the lab, however the lab ends.
//!
//! A process that the lab starts asks the kernel for SIGKILL at its parent's death (PR_SET_PDEATHSIG, prctl(2)) before it becomes
//! the server; the request survives exec. It is bound to the *thread* that started the process, so servers are started from the
//! main thread only. Children of a server do not inherit it: ours ask for it themselves, a foreign server's are killed with its
//! process group wherever the lab still can.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid};

use crate::pin;

/// Core numbers; a name of its own, since clap reads `Vec` as an option that is given several times.
pub(crate) type Cores = Vec<usize>;

/// This program, also when its file has been replaced by a newer build meanwhile: the lab measures the code it was built with.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// What the lab tells itself when it starts a foreign server.
#[derive(Debug, Args)]
pub struct LeashOptions {
    /// Run on these cores only
    #[arg(long, value_name = "CORES", value_parser = pin::parse_cores)]
    cores: Option<Cores>,
    /// The process whose death is ours
    parent: i32,
    /// The program to become, and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// The lab itself again, with `arguments`, in a process group of its own: Ctrl-C is for the lab, which then stops its servers.
pub fn this_program(arguments: &[&str]) -> Command {
    let mut command = Command::new(THIS_PROGRAM);
    command.arg0("lab").args(arguments).process_group(0);
    command
}

/// A shell command that dies with this process, in a process group of its own, on these cores if any are given.
pub fn shell(command: &str, cores: Option<&[usize]>) -> Command {
    let mut leashed = this_program(&["leash"]);
    leashed.args(cores.map(|cores| format!("--cores={}", pin::list(cores))));
    leashed.args([&getpid().to_string(), "--", "sh", "-c", &format!("exec {command}")]);
    leashed
}

/// Becomes the command.
///
/// # Errors
/// If the parent is dead already, or the command cannot be run.
pub fn run(options: &LeashOptions) -> Result<()> {
    attach(options.parent)?;
    if let Some(cores) = &options.cores {
        pin::run_on(cores)?;
    }
    let (program, arguments) = options.command.split_first().context("there is nothing to run")?;
    let error = Command::new(program).args(arguments).exec();
    Err(anyhow!("cannot run {}: {error}", program.display()))
}

/// From now on this process dies with `parent`, which must be its parent.
///
/// # Errors
/// If the parent is dead already.
pub fn attach(parent: i32) -> Result<()> {
    set_pdeathsig(Signal::SIGKILL).context("cannot ask for a signal at the parent's death")?;
    // It may have died before the kernel was asked.
    ensure!(getppid() == Pid::from_raw(parent), "the lab that started this process has ended");
    Ok(())
}
