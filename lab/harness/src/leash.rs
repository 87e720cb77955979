//! A server that cannot outlive the lab, however the lab ends.
//!
//! A process that the lab starts asks the kernel for SIGKILL at its parent's death
//! (PR_SET_PDEATHSIG, prctl(2)) before it becomes the server; the request survives exec. It is
//! bound to the *thread* that started the process, so servers are started from the main thread
//! only. Children of a server do not inherit it: ours ask for it themselves. A foreign server may
//! start what it likes, and let it leave its process group: a keeper between it and the lab adopts
//! whatever is orphaned (PR_SET_CHILD_SUBREAPER, prctl(2)), and ends all of it with the server, or
//! with the lab.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{self, WaitPidFlag, WaitStatus};
use nix::unistd::{Pid, getpid, getppid};

use crate::{pin, sample};

/// Core numbers; a name of its own, since clap reads `Vec` as an option that is given several
/// times.
pub(crate) type Cores = Vec<usize>;

/// This program, also when its file has been replaced by a newer build meanwhile: the lab measures
/// the code it was built with.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// What the lab tells itself when it starts a foreign server.
#[derive(Debug, Args)]
pub struct LeashOptions {
    /// Run on these cores only
    #[arg(long, value_name = "CORES", value_parser = pin::parse_cores)]
    cores: Option<Cores>,
    /// Keep the command and all that it starts, instead of becoming it
    #[arg(long)]
    keep: bool,
    /// The process whose death is ours
    parent: i32,
    /// The program to start, and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// The lab itself again, with `arguments`, in a process group of its own: Ctrl-C is for the lab,
/// which then stops its servers.
pub fn this_program(arguments: &[&str]) -> Command {
    let mut command = Command::new(THIS_PROGRAM);
    command.arg0("lab").args(arguments).process_group(0);
    command
}

/// A shell command as people write it, with a keeper that ends all that it starts, in a process
/// group of its own, on these cores if any are given. SIGTERM to the keeper is for all of them;
/// [`END`] ends them all at once; it ends when they have.
pub fn shell(command: &str, cores: Option<&[usize]>) -> Command {
    let mut leashed = this_program(&["leash", "--keep"]);
    leashed.args(cores.map(|cores| format!("--cores={}", pin::list(cores))));
    let exec = if is_simple(command) { "exec " } else { "" };
    leashed.args([&getpid().to_string(), "--", "sh", "-c", &format!("{exec}{command}")]);
    leashed
}

/// One program and its arguments: the shell need not stay for them. Not every shell sees that
/// itself.
fn is_simple(command: &str) -> bool {
    let program = command.split_whitespace().next().unwrap_or_default();
    !command.contains([';', '&', '|', '<', '>', '(', ')', '{', '`', '$', '\n'])
        && program.contains('/')
        && !program.contains('=')
}

/// The signal by which a keeper ends all at once.
pub const END: Signal = Signal::SIGQUIT;

/// Keeps the command, or becomes it.
///
/// # Errors
/// If the parent is dead already, or the command cannot be run.
pub fn run(options: &LeashOptions) -> Result<ExitCode> {
    if let Some(cores) = &options.cores {
        pin::run_on(cores)?;
    }
    if options.keep {
        return keep(options);
    }
    attach(options.parent)?;
    // A keeper holds them back.
    SigSet::empty().thread_set_mask().context("cannot hear signals")?;
    let (program, arguments) = options.command.split_first().context("there is nothing to run")?;
    let error = Command::new(program).args(arguments).exec();
    Err(anyhow!("cannot run {}: {error}", program.display()))
}

/// Starts the command, adopts whatever is orphaned under it, and ends when nothing of it is left:
/// as the command itself has.
fn keep(options: &LeashOptions) -> Result<ExitCode> {
    let signals: SigSet =
        [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, END, Signal::SIGCHLD].into_iter().collect();
    // Blocked from here on, and waited for below: none is lost, none ends this process.
    signals.thread_block().context("cannot hold signals back")?;
    attach_by(options.parent, Signal::SIGTERM)?;
    prctl::set_child_subreaper(true).context("cannot adopt orphans")?;
    let mut command = this_program(&["leash", &getpid().to_string(), "--"]);
    let child = command.args(&options.command).spawn().context("cannot start the command")?.id();
    // Also where a signal without a name (a real-time one) ends it.
    let mut code = ExitCode::FAILURE;
    let (mut asked, mut ends) = (false, false);
    loop {
        match wait::waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) if pid.as_raw().cast_unsigned() == child => {
                code = ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid.as_raw().cast_unsigned() == child => {
                code = ExitCode::from(SIGNALED + u8::try_from(signal as i32).unwrap_or(0));
            }
            Ok(WaitStatus::StillAlive) => {
                // Who may not be killed, as one that has become another user, cannot be waited for.
                if ends && !tell_all(Signal::SIGKILL) {
                    return Ok(code);
                }
                match signals.wait().context("cannot wait for a signal")? {
                    Signal::SIGCHLD => {}
                    signal => {
                        // At the lab's death its word is the last one.
                        ends |= asked || signal == END || getppid() != Pid::from_raw(options.parent);
                        asked = true;
                        if !ends {
                            tell_all(Signal::SIGTERM);
                        }
                    }
                }
            }
            Err(Errno::ECHILD) => return Ok(code),
            _ => {}
        }
    }
}

/// What a shell adds to the number of the signal that ended a command.
const SIGNALED: u8 = 128;

/// Whether anybody could be told. Those that begin meanwhile are told next time: the end of each
/// one wakes the keeper.
fn tell_all(signal: Signal) -> bool {
    let all = sample::descendants(getpid()).unwrap_or_default();
    all.into_iter().filter(|pid| kill(*pid, signal).is_ok()).count() > 0
}

/// From now on this process dies with `parent`, which must be its parent.
///
/// # Errors
/// If the parent is dead already.
pub fn attach(parent: i32) -> Result<()> {
    attach_by(parent, Signal::SIGKILL)
}

fn attach_by(parent: i32, signal: Signal) -> Result<()> {
    prctl::set_pdeathsig(signal).context("cannot ask for a signal at the parent's death")?;
    // It may have died before the kernel was asked.
    ensure!(getppid() == Pid::from_raw(parent), "the lab that started this process has ended");
    Ok(())
}
