//! What a main thread waits for: signals, and what other threads have to say, on one channel.

use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

use anyhow::{Context, Result};

/// From now on SIGINT, SIGTERM and SIGHUP are events.
///
/// # Errors
/// If the system refuses.
pub(crate) fn announce_signals<E: Send + 'static>(events: Sender<E>, signal: fn() -> E) -> Result<()> {
    // The send fails only when nobody waits any more.
    ctrlc::set_handler(move || drop(events.send(signal()))).context("cannot catch signals")
}

/// The next event; `None` when the deadline has passed.
pub(crate) fn next_event<E>(arriving: &Receiver<E>, deadline: Option<Instant>) -> Option<E> {
    match deadline {
        None => arriving.recv().ok(),
        Some(deadline) => arriving.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok(),
    }
}
