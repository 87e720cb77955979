//! One conversation at a time: the baseline that the others are measured against.
//!
//! - Where does a conversation's state live? In the local variables of the one thread.
//! - Who sleeps, and on what? The one thread: in `read` or `write` on the conversation's socket;
//!   between conversations in `poll` on the listener and on signals.
//! - What does one more client cost? A place in the kernel's queue, and the time until all before
//!   it have left.
//! - What happens at the limit? The limit is one. While a conversation is open, nobody looks at the
//!   listener.
//! - How does it stop? A signal wakes the thread from its conversation. From then on the socket
//!   does not block, and the thread ends the conversation's input itself when its client pauses.
#![forbid(unsafe_code)]

mod conversations;
mod options;

use std::os::fd::AsFd;
use std::time::Instant;

use anyhow::Result;
use serving::{Admission, Drain, Signals, Tally};

use crate::conversations::Conversations;
pub use crate::options::Options;

/// How many conversations are open at once.
const LIMIT: usize = 1;

/// Serves until a signal stops it.
///
/// # Errors
/// If the server cannot start, or the system takes its listener away.
pub fn run(options: &Options) -> Result<()> {
    // Prepare.
    serving::start_logging(&options.server.log);
    serving::connection_limit(&options.server, 1)?;
    let mut signals = Signals::new()?;
    let mut open = Conversations::new(&options.server)?;
    let mut tally = Tally::default();
    let mut admission = Admission::new(LIMIT);
    let listener = serving::listen(&options.server)?;
    serving::announce(&listener)?;

    while !admission.is_over(tally.open()) {
        // Wait.
        open.converse();
        let watched = admission.has_room(tally.open()).then_some(listener.as_fd());
        let until = if tally.open() > 0 { Some(Instant::now()) } else { admission.until() };
        let [arrival, signal] = serving::wait([watched, Some(signals.as_fd())], until)?;
        if signal && signals.ask_to_stop(&tally) {
            admission.end(&listener);
        }

        // Admit.
        if arrival && let Some((stream, peer)) = admission.accept(|| serving::accept(&listener))? {
            log::debug!("serving {peer}");
            tally.accept();
            open.begin(stream);
        }

        // Retire.
        open.retire(&mut tally);
    }

    // Drain.
    drop(listener);
    serving::announce_stopping();
    let drain = Drain::begin(options.server.drain_timeout);
    while tally.open() > 0 && !drain.is_over() && !signals.stop_at_once() {
        open.converse();
        signals.ask_to_stop(&tally);
        open.retire(&mut tally);
    }
    tally.cut_open();
    tally.log();
    Ok(())
}
