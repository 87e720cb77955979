//! One process per conversation.
//!
//! - Where does a conversation's state live? In the local variables of its process.
//! - Who sleeps, and on what? Each child in `read` or `write` on its own socket; the parent in
//!   `poll` on the listener and on signals, of which SIGCHLD says that a child has ended.
//! - What does one more client cost? A process: page tables, the pages that it writes to, and a
//!   place in the scheduler.
//! - What happens at the limit? The parent does not look at the listener; clients wait in the
//!   kernel's queue. A process that cannot be started costs its client the connection, and the
//!   server a pause.
//! - How does it stop? The parent sends each child a SIGTERM, which wakes it. From then on its
//!   socket does not block, and the child ends its conversation's input itself when the client
//!   pauses. What is left at the end is killed.
#![forbid(unsafe_code)]

mod conversations;
mod options;

use std::os::fd::AsFd;

use anyhow::Result;
use serving::process::{self, Forked, Name};
use serving::{Admission, Drain, Outcome, Signals, Tally};

use crate::conversations::Conversations;
pub use crate::options::Options;

/// Serves until a signal stops it.
///
/// # Errors
/// If the server cannot start, or the system takes its listener away.
pub fn run(options: &Options) -> Result<()> {
    // Prepare.
    serving::start_logging(&options.server.log);
    let limit = serving::connection_limit(&options.server, 0)?;
    process::require_one_thread()?;
    let mut signals = Signals::new()?;
    let mut open = Conversations::new();
    let mut tally = Tally::default();
    let mut admission = Admission::new(limit);
    let listener = serving::listen(&options.server)?;
    serving::announce(&listener)?;

    while !admission.is_over(tally.open()) {
        // Wait.
        let watched = admission.has_room(tally.open()).then_some(listener.as_fd());
        let [arrival, signal] = serving::wait([watched, Some(signals.as_fd())], admission.until())?;
        if signal && signals.ask_to_stop(&tally) {
            admission.end(&listener);
        }

        // Admit.
        if arrival && let Some((stream, peer)) = admission.accept(|| serving::accept(&listener))? {
            log::debug!("serving {peer}");
            tally.accept();
            let name = Name::of(&peer);
            match process::fork() {
                Ok(Forked::Child) => conversations::serve(&stream, name, &options.server),
                Ok(Forked::Parent(child)) => open.begin(child),
                Err(error) => {
                    admission.pause("start a process", &error);
                    drop(stream);
                    tally.close(Outcome::Failed);
                }
            }
        }

        // Retire.
        if signal {
            open.retire(&mut tally);
        }
    }

    // Drain.
    drop(listener);
    serving::announce_stopping();
    let mut drain = Drain::begin(options.server.drain_timeout);
    while tally.open() > 0 && !drain.is_over() && !signals.stop_at_once() {
        if drain.looks_again() {
            open.end_input(drain);
        }
        serving::wait([Some(signals.as_fd())], Some(drain.next_look()))?;
        signals.ask_to_stop(&tally);
        open.retire(&mut tally);
    }
    tally.cut_open();
    tally.log();
    Ok(())
}
