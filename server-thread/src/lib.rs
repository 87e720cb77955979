//! One OS thread per conversation.
//!
//! - Where does a conversation's state live? In the local variables of its thread.
//! - Who sleeps, and on what? Each thread in `read` or `write` on its own socket; the main thread in `poll` on the listener, on
//!   signals, and on the bell that threads ring when a conversation has ended.
//! - What does one more client cost? A thread: its kernel stack, the touched pages of its own, and a place in the scheduler.
//! - What happens at the limit? The main thread does not look at the listener; clients wait in the kernel's queue. A thread
//!   that cannot be started costs its client the connection, and the server a pause.
//! - How does it stop? The main thread ends every conversation's input, by `shutdown` on its socket; each thread answers what
//!   is left and returns. What is open at the drain deadline ends with the process.
#![forbid(unsafe_code)]

mod worker;

use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Weak};
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use common::{AcceptPause, Bell, Outcome, ServerOptions, Signals, Tally, stop};
use slab::Slab;

use crate::worker::{Crew, Finished, Job, Reporter};

/// Serves every client in a thread of its own: what it sends comes back upper-cased.
#[derive(Debug, Parser)]
#[command(name = "server-thread", version, about)]
pub struct Options {
    /// What every server can be told.
    #[command(flatten)]
    pub server: ServerOptions,

    /// Serve with a fixed pool of N threads instead of a new one per client
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
    let limit = common::connection_limit(&options.server, 1)?;
    let limit = worker::bounded_by_maps(limit, options.server.max_connections)?;
    let limit = options.workers.map_or(limit, |workers| workers.min(limit));
    let mut signals = Signals::new()?;
    let bell = Arc::new(Bell::new()?);
    let (reports, finished) = mpsc::channel();
    let crew = Crew::new(options.workers, Reporter::new(reports, Arc::clone(&bell)))?;
    let mut open: Slab<Weak<TcpStream>> = Slab::new();
    let mut tally = Tally::default();
    let mut pause = AcceptPause::default();
    let listener = common::listen(&options.server)?;
    common::announce(&listener)?;

    loop {
        // Wait.
        let paused = pause.until();
        let watched = (tally.open() < limit && paused.is_none()).then_some(listener.as_fd());
        let [arrival, signal, ended] =
            common::wait([watched, Some(signals.as_fd()), Some(bell.as_fd())], paused)?;
        if signal && signals.arrived(&tally).stop {
            break;
        }

        // Admit.
        if arrival && let Some((stream, peer)) = pause.accept(|| listener.accept())? {
            tally.accept();
            let stream = Arc::new(stream);
            let key = open.insert(Arc::downgrade(&stream));
            log::debug!("serving {peer}");
            if let Err(error) = crew.serve(Job { key, stream }) {
                pause.begin("start a thread", &error);
                open.remove(key);
                tally.close(Outcome::Failed);
            }
        }

        // Retire.
        if ended {
            bell.silence();
            retire(&finished, &mut open, &mut tally);
        }
    }

    // Drain.
    drop(listener);
    common::announce_stopping();
    end_input(&open);
    let deadline = Instant::now() + options.server.drain_timeout;
    while tally.open() > 0 && Instant::now() < deadline && !signals.stop_at_once() {
        common::wait([Some(signals.as_fd()), Some(bell.as_fd())], Some(deadline))?;
        bell.silence();
        retire(&finished, &mut open, &mut tally);
        signals.arrived(&tally);
    }
    tally.cut_open();
    tally.log();
    Ok(())
}

/// Counts the conversations whose threads have finished them, and frees their places.
fn retire(finished: &Receiver<Finished>, open: &mut Slab<Weak<TcpStream>>, tally: &mut Tally) {
    for Finished { key, outcome } in finished.try_iter() {
        open.remove(key);
        tally.close(outcome);
    }
}

/// Makes each blocked read return what is left, and then the end.
fn end_input(open: &Slab<Weak<TcpStream>>) {
    stop::begin();
    for stream in open.iter().filter_map(|(_, stream)| stream.upgrade()) {
        // It fails only where the peer has already gone.
        let _ = stream.shutdown(Shutdown::Read);
    }
}
