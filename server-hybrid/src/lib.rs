//! Processes, threads in them, and an event loop in each thread: what uses all cores, composed of
//! what is known.
//!
//! - Where does a conversation's state live? In an entry of a table of one event loop, as in
//!   `server-mio`.
//! - Who sleeps, and on what? Each loop in `epoll_wait` on its own sockets and its inbox; each
//!   worker's main thread in `poll` on signals; the parent in `poll` on the listener, on signals,
//!   and on the pipe in which loops report ends.
//! - What does one more client cost? What it costs `server-mio`, and its socket's way from the
//!   parent to a loop.
//! - What happens at the limit? The parent counts, and does not look at the listener; clients wait
//!   in the kernel's queue.
//! - How does it stop? The parent sends each worker a SIGTERM, and each of its loops stops as
//!   `server-mio` does. What is left at the end is killed.
//!
//! The parent accepts, and passes each socket to the loop with the fewest conversations (Stevens,
//! UNP, 30.9). So the limit is exact, loops share nothing, and what a dead worker had is known.
#![forbid(unsafe_code)]

mod conversations;
mod options;
mod post;
mod worker;

use std::os::fd::AsFd;
use std::thread;

use anyhow::{Context, Result};
use mio::net::TcpListener;
use serving::process::{self, Forked};
use serving::{Admission, Drain, Signals, Tally};

use crate::conversations::Conversations;
pub use crate::options::Options;

/// The most connections accepted before they are passed on, and ends are heard.
const ADMISSIONS_PER_TURN: usize = 256;

/// Descriptors that a loop keeps for itself: its inbox, its event queue, and the alarm of the idle
/// timeout. The parent keeps both ends of every inbox.
const DESCRIPTORS_PER_LOOP: usize = 3;

/// Serves until a signal stops it.
///
/// # Errors
/// If the server cannot start, or the system takes its listener away.
pub fn run(options: &Options) -> Result<()> {
    // Prepare.
    serving::start_logging(&options.server.log);
    let cores = thread::available_parallelism().map_or(1, Into::into);
    let (processes, threads) = (options.processes.unwrap_or(cores), options.threads);
    let own = threads * DESCRIPTORS_PER_LOOP.max(2 * processes);
    let (limit, share) = serving::shared_connection_limit(&options.server, processes, own)?;
    process::require_one_thread()?;
    let mut signals = Signals::new()?;
    let mut open =
        Conversations::new(processes, threads, share).context("cannot make the inboxes of the loops")?;
    let mut tally = Tally::default();
    let mut admission = Admission::new(limit);
    let listener = TcpListener::from_std(serving::listen(&options.server)?);
    serving::announce(&listener)?;

    while !admission.is_over(open.load(&tally)) {
        // Wait.
        let watched = admission.has_room(open.load(&tally)).then_some(listener.as_fd());
        let until = admission.until().into_iter().chain(open.until()).min();
        let [mut arrival, signal, event] =
            serving::wait([watched, Some(signals.as_fd()), Some(open.as_fd())], until)?;
        // Counted first, so that a status that is asked for is not older than the question.
        if event {
            open.count(&mut tally)?;
        }
        if signal && signals.ask_to_stop(&tally) {
            admission.end(&listener);
            open.end();
        }

        // Admit.
        while let Some(place) = open.next_empty() {
            match process::fork() {
                Ok(Forked::Child) => {
                    drop((listener, signals));
                    worker::work(place, open, options)
                }
                Ok(Forked::Parent(child)) => open.started(place, child),
                Err(error) => open.not_started(&error),
            }
        }
        for _ in 0..ADMISSIONS_PER_TURN.min(share) {
            if !arrival || !admission.has_room(tally.open()) {
                break;
            }
            let Some(fewest) = open.fewest() else { break };
            if let Some((stream, peer)) = admission.accept(|| server_mio::accept(&listener))? {
                log::debug!("serving {peer}");
                tally.accept();
                open.begin(fewest, stream);
            }
            arrival = admission.may_go_on(&listener);
        }
        open.pass();

        // Retire.
        if signal {
            open.retire(&mut tally)?;
        }
    }

    // Drain.
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
