//! One OS thread per conversation.
//!
//! - Where does a conversation's state live? In the local variables of its thread.
//! - Who sleeps, and on what? Each thread in `read` or `write` on its own socket; the main thread
//!   in `poll` on the listener, on signals, and on the bell that threads ring when a conversation
//!   has ended.
//! - What does one more client cost? A thread: its kernel stack, the touched pages of its own, and
//!   a place in the scheduler.
//! - What happens at the limit? The main thread does not look at the listener; clients wait in the
//!   kernel's queue. A thread that cannot be started costs its client the connection, and the
//!   server a pause.
//! - How does it stop? The main thread looks at every conversation's socket, and ends its input, by
//!   `shutdown`, when the client pauses; each thread answers what is left and returns. What is open
//!   at the end goes with the process.
#![forbid(unsafe_code)]

mod conversations;
mod options;

use std::os::fd::AsFd;
use std::thread;

use anyhow::Result;
use serving::{Admission, Drain, Signals, Tally};

use crate::conversations::Conversations;
pub use crate::options::Options;

/// Stack of a thread in bytes, of which only the touched pages cost memory. The deepest call is the
/// formatting of a log line, which the tests reach with every level of the log on.
const STACK_BYTES: usize = 128 * 1024;

/// Serves until a signal stops it.
///
/// # Errors
/// If the server cannot start, or the system takes its listener away.
pub fn run(options: &Options) -> Result<()> {
    // Prepare.
    serving::start_logging(&options.server.log);
    let limit = conversations::limit(&options.server)?;
    let mut signals = Signals::new()?;
    let mut open = Conversations::new(&options.server)?;
    let mut tally = Tally::default();
    let mut admission = Admission::new(limit);
    let listener = serving::listen(&options.server)?;
    serving::announce(&listener)?;

    while !admission.is_over(tally.open()) {
        // Wait.
        let watched = admission.has_room(tally.open()).then_some(listener.as_fd());
        let [arrival, signal, ended] =
            serving::wait([watched, Some(signals.as_fd()), Some(open.as_fd())], admission.until())?;
        if signal && signals.ask_to_stop(&tally) {
            admission.end(&listener);
        }

        // Admit.
        if arrival && let Some((stream, peer)) = admission.accept(|| serving::accept(&listener))? {
            log::debug!("serving {peer}");
            tally.accept();
            let conversation = open.begin(stream);
            let thread = thread::Builder::new().stack_size(STACK_BYTES);
            if let Err(error) = thread.spawn(move || conversation.serve()) {
                admission.pause("start a thread", &error);
            }
        }

        // Retire.
        if ended {
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
        serving::wait([Some(signals.as_fd()), Some(open.as_fd())], Some(drain.next_look()))?;
        signals.ask_to_stop(&tally);
        open.retire(&mut tally);
    }
    tally.cut_open();
    tally.log();
    Ok(())
}
