//! One process per conversation: it ends when its client leaves, even if its parent has ended.
#![allow(unsafe_code, reason = "fork and signal have no safe form")]

use nix::{sys::signal, unistd};

fn main() -> anyhow::Result<()> {
    let listener = plain::listen()?;
    // SAFETY: this sets no handler of ours. The kernel then removes ended children by itself.
    unsafe { signal::signal(signal::SIGCHLD, signal::SigHandler::SigIgn) }?;
    for stream in listener.incoming().flatten() {
        // SAFETY: this process has one thread, so its child may do whatever it may do itself.
        if let Ok(unistd::ForkResult::Child) = unsafe { unistd::fork() } {
            drop(listener);
            plain::converse(stream);
            std::process::exit(0);
        }
    }
    Ok(())
}
