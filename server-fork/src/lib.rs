//! One process per conversation.
//!
//! - Where does a conversation's state live? In the local variables of its process.
//! - Who sleeps, and on what? Each child in `read` or `write` on its own socket; the parent in `poll` on the listener and on
//!   signals, of which SIGCHLD says that a child has ended.
//! - What does one more client cost? A process: page tables, the pages that it writes to, and a place in the scheduler.
//! - What happens at the limit? The parent does not look at the listener; clients wait in the kernel's queue. A process that
//!   cannot be started costs its client the connection, and the server a pause.
//! - How does it stop? The parent sends each child a SIGTERM, whose handler ends its conversation's input, by `shutdown` on the
//!   socket; each child answers what is left and exits. At the drain deadline children are killed.
//!
//! With `--workers N` a fixed pool of processes accepts by itself instead: see [`prefork`].
#![deny(unsafe_op_in_unsafe_fn)]

mod child;
pub mod prefork;

use std::os::fd::AsFd;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use common::process::{self, Forked, Name};
use common::{AcceptPause, Buffer, Outcome, ServerOptions, Signals, Tally};
use nix::sys::signal::Signal;

/// Serves every client in a process of its own: what it sends comes back upper-cased.
#[derive(Debug, Parser)]
#[command(name = "server-fork", version, about)]
pub struct Options {
    /// What every server can be told.
    #[command(flatten)]
    pub server: ServerOptions,

    /// Serve with a fixed pool of N processes that accept by themselves (prefork) instead of a new one per client
    #[arg(long, env = "SHOUT_WORKERS", value_name = "N", help_heading = "Limits")]
    #[arg(value_parser = common::options::parse_count::<10_000>)]
    pub workers: Option<usize>,
}

/// Serves until a signal stops it.
///
/// # Errors
/// If the server cannot start, or the system takes its listener away.
pub fn run(options: &Options) -> Result<()> {
    // Prepare.
    common::start_logging(&options.server.log);
    let limit = common::connection_limit(&options.server, 0)?;
    process::require_one_thread()?;
    if let Some(workers) = options.workers {
        return prefork::run(options, workers.min(limit));
    }
    let mut signals = Signals::new()?;
    let mut buffer = Buffer::new();
    let mut tally = Tally::default();
    let mut pause = AcceptPause::default();
    let listener = common::listen(&options.server)?;
    common::announce(&listener)?;

    loop {
        // Wait.
        let paused = pause.until();
        let watched = (tally.open() < limit && paused.is_none()).then_some(listener.as_fd());
        let [arrival, signal] = common::wait([watched, Some(signals.as_fd())], paused)?;
        let arrived = if signal { signals.arrived(&tally) } else { Default::default() };
        if arrived.stop {
            break;
        }

        // Admit.
        if arrival && let Some((stream, peer)) = pause.accept(|| listener.accept())? {
            tally.accept();
            log::debug!("serving {peer}");
            let name = Name::of(&peer);
            match child::fork() {
                Ok(Forked::Parent { .. }) => {}
                Ok(Forked::Child) => child::serve(&stream, name, &mut buffer),
                Err(error) => {
                    pause.begin("start a process", &error);
                    tally.close(Outcome::Failed);
                }
            }
        }

        // Retire.
        if arrived.child {
            retire(&mut tally);
        }
    }

    // Drain.
    drop(listener);
    common::announce_stopping();
    let deadline = Instant::now() + options.server.drain_timeout;
    retire(&mut tally);
    while tally.open() > 0 && Instant::now() < deadline && !signals.stop_at_once() {
        process::signal_children(Signal::SIGTERM)?;
        common::wait([Some(signals.as_fd())], Some(deadline))?;
        // Before the look at the children: whose end comes after that look must be heard of again.
        signals.arrived(&tally);
        retire(&mut tally);
    }
    process::kill_children()?;
    tally.cut_open();
    tally.log();
    Ok(())
}

/// Counts the conversations whose processes have ended, and frees their places.
fn retire(tally: &mut Tally) {
    while let Some((_, outcome)) = child::reap() {
        tally.close(outcome);
    }
}
