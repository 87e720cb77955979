//! A fixed pool of processes: all accept from one listener, and the kernel chooses among them.
#![allow(unsafe_code, reason = "fork has no safe form")]

use nix::sys::{prctl, signal};
use nix::unistd;

/// How many clients are served at once; the next ones wait to be accepted.
const PROCESSES: usize = 8;

fn main() -> anyhow::Result<()> {
    let listener = plain::listen()?;
    for _ in 1..PROCESSES {
        // SAFETY: this process has one thread, so its child may do whatever it may do itself.
        if let unistd::ForkResult::Child = unsafe { unistd::fork() }? {
            prctl::set_pdeathsig(signal::SIGKILL)?;
            break;
        }
    }
    for stream in listener.incoming().flatten() {
        plain::converse(stream);
    }
    Ok(())
}
