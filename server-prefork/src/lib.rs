//! Prefork: a fixed pool of processes that accept by themselves, each serving one conversation
//! after the other.
//!
//! - Where does a conversation's state live? In the local variables of its process.
//! - Who sleeps, and on what? Each worker in `accept` on the one listener, or in `read` or `write`
//!   on its client's socket; the parent in `poll` on signals and on the pipe in which workers tell
//!   what begins and ends.
//! - What does one more client cost? A place in the kernel's queue: the processes are there before
//!   their clients.
//! - What happens at the limit? The limit is the number of workers. When all are busy, nobody
//!   accepts; clients wait in the kernel's queue, which hands each to the worker that has slept for
//!   longest.
//! - How does it stop? The parent sends each worker a SIGTERM. One that is idle serves a last
//!   client, if one waits; one that is busy ends its conversation's input when the client pauses.
//!   What is left at the end is killed.
#![forbid(unsafe_code)]

mod conversations;
mod options;
mod worker;

use std::os::fd::AsFd;

use anyhow::Result;
use common::Buffer;
use serving::process::{self, Forked};
use serving::{Drain, Signals, Tally};

use crate::conversations::Conversations;
pub use crate::options::Options;

/// Serves until a signal stops it.
///
/// # Errors
/// If the server cannot start, or the system takes its signals away.
pub fn run(options: &Options) -> Result<()> {
    // Prepare.
    serving::start_logging(&options.server.log);
    let limit = serving::connection_limit(&options.server, 0)?.min(options.workers);
    process::require_one_thread()?;
    let mut signals = Signals::new()?;
    let mut open = Conversations::new(limit)?;
    let mut tally = Tally::default();
    let mut stop = false;
    let mut buffer = Buffer::new();
    let listener = serving::listen(&options.server)?;
    listener.set_nonblocking(false)?;
    serving::announce(&listener)?;

    while !stop {
        // Wait.
        let [signal, event] = serving::wait([Some(signals.as_fd()), Some(open.as_fd())], open.next_start())?;
        // Counted first, so that a status that is asked for is not older than the question.
        if event {
            open.count_soon(&mut tally)?;
            // Another server that has this listener too, as in an upgrade, may have changed that.
            let _ = listener.set_nonblocking(false);
        }
        stop = signal && signals.ask_to_stop(&tally);

        // Admit.
        while let Some(place) = open.next_empty() {
            match process::fork() {
                Ok(Forked::Child) => worker::work(place, listener, &open, &mut buffer, &options.server),
                Ok(Forked::Parent(child)) => open.begin(place, child),
                Err(error) => open.pause(&error),
            }
        }

        // Retire.
        if signal {
            open.retire(&mut tally)?;
        }
    }

    // Drain.
    // Workers share this state of the listener: none falls asleep in `accept` any more.
    listener.set_nonblocking(true)?;
    drop(listener);
    serving::announce_stopping();
    let mut drain = Drain::begin(options.server.drain_timeout);
    while open.is_served() && !drain.is_over() && !signals.stop_at_once() {
        if drain.looks_again() {
            open.end_input(drain);
        }
        serving::wait([Some(signals.as_fd()), Some(open.as_fd())], Some(drain.next_look()))?;
        signals.ask_to_stop(&tally);
        open.retire(&mut tally)?;
    }
    open.cut(&mut tally)?;
    tally.cut_open();
    tally.log();
    Ok(())
}
