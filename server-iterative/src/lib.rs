//! One conversation at a time: the baseline that the others are measured against.
//!
//! - Where does a conversation's state live? In the local variables of the one thread.
//! - Who sleeps, and on what? The one thread: in `read` or `write` on the conversation's socket; between conversations in `poll`
//!   on the listener and on signals.
//! - What does one more client cost? A place in the kernel's queue, and the time until all before it have left.
//! - What happens at the limit? The limit is one. While a conversation is open, nobody looks at the listener.
//! - How does it stop? The signal's handler ends the conversation's input, by `shutdown` on its socket; the thread answers what is
//!   left and finds the signal in `poll`. At the drain deadline a timer's signal shuts the socket both ways.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;

use anyhow::Result;
use clap::Parser;
use common::{AcceptPause, Buffer, ServerOptions, Signals, Tally, stop};

/// Serves one client after the other: what it sends comes back upper-cased.
#[derive(Debug, Parser)]
#[command(name = "server-iterative", version, about)]
pub struct Options {
    /// What every server can be told.
    #[command(flatten)]
    pub server: ServerOptions,
}

/// Serves until a signal stops it.
///
/// # Errors
/// If the server cannot start, or the system takes its listener away.
pub fn run(options: &Options) -> Result<()> {
    // Prepare.
    common::start_logging(&options.server.log);
    common::connection_limit(&options.server, 1)?;
    let mut signals = Signals::new()?;
    stop::obey_signals(options.server.drain_timeout)?;
    let mut buffer = Buffer::new();
    let mut tally = Tally::default();
    let mut pause = AcceptPause::default();
    let listener = common::listen(&options.server)?;
    common::announce(&listener)?;
    let mut queue = Some(listener);

    while let Some(listener) = &queue {
        // Wait.
        let paused = pause.until();
        let watched = paused.is_none().then_some(listener.as_fd());
        let [arrival, signal] = common::wait([watched, Some(signals.as_fd())], paused)?;
        if signal && signals.arrived(&tally).stop {
            break;
        }

        // Admit.
        if !arrival {
            continue;
        }
        let Some((stream, peer)) = pause.accept(|| listener.accept())? else { continue };
        tally.accept();
        log::debug!("serving {peer}");
        let current = stop::Current::new(&stream);
        let outcome = common::converse(&stream, &mut buffer, || {
            let woken = current.was_woken();
            if signals.arrived(&tally).stop {
                queue = None;
            }
            woken
        });

        // Retire.
        drop(current);
        drop(stream);
        tally.close(outcome);
    }

    // Drain.
    drop(queue);
    common::announce_stopping();
    tally.log();
    Ok(())
}
