//! All conversations on one thread, completions instead of readiness: the kernel is asked to
//! receive and to send, and says when it has (io_uring).
//!
//! - Where does a conversation's state live? In an entry of a table, of some hundred and twenty
//!   bytes, and in the kernel: a request to receive is always underway. What has been received lies
//!   in a buffer that the kernel chose, until the answer is sent from it. Who sends more than such a
//!   buffer holds is received from and answered by calls, so that a client that does not read has
//!   one read's worth in this process, and not whatever the kernel went on to receive.
//! - Who sleeps, and on what? The one thread, in `io_uring_enter`, on all requests at once: those
//!   of conversations, of the listener, of the signals, and of the idle timeout's clock.
//! - What does one more client cost? Its entry in the table, and what the kernel keeps for its
//!   socket and its request.
//! - What happens at the limit? No request to accept is made; new connections are left where they
//!   are: in the kernel's queue.
//! - How does it stop? It cancels the requests to accept and waits for their ends, since each keeps
//!   the listener open. Then it looks at every conversation's socket, and ends its input, by
//!   `shutdown`, when the client pauses. What is open at the end is cancelled and closed.
//!
//! After SIGKILL the kernel cancels the requests, some time after the process has ended: only then,
//! up to 20 ms later in most cases, can the port be bound again.
#![deny(unsafe_code)]

mod conversations;
mod lending;
mod listener;
mod open;
mod operation;
mod options;
mod ring;
mod support;

use std::net::TcpStream;
use std::time::Instant;

use anyhow::Result;
use serving::{Admission, Drain, Outcome, Signals, Tally};

use crate::conversations::Conversations;
use crate::listener::Listener;
use crate::operation::Completion;
pub use crate::options::Options;
use crate::ring::Ring;
pub use crate::support::available;

/// Serves until a signal stops it.
///
/// # Errors
/// If the server cannot start, because there is no io_uring or for another reason, or the system
/// takes its listener or its ring away.
pub fn run(options: &Options) -> Result<()> {
    // Prepare.
    serving::start_logging(&options.server.log);
    let limit = serving::connection_limit(&options.server, 1)?;
    let mut signals = Signals::new()?;
    let mut ring = Ring::new()?;
    let mut open = Conversations::new(&mut ring, &options.server);
    let mut tally = Tally::default();
    let mut admission = Admission::new(limit);
    let mut listener = Listener::new(&options.server)?;
    serving::announce(&listener)?;

    while !admission.is_over(tally.open()) {
        // Wait.
        listener.request(&mut ring, admission.room(tally.open()));
        let signal = turn(&mut ring, &mut open, Some(&mut listener), &signals, admission.until())?;
        if signal && signals.ask_to_stop(&tally) {
            while listener.end(&mut ring, limit - tally.open()) {
                turn(&mut ring, &mut open, Some(&mut listener), &signals, None)?;
            }
            admission.end(&listener);
        }

        // Admit.
        while tally.open() < limit {
            let Some(stream) = admission.accept(|| listener.accept())? else { break };
            log::debug!("serving {}", peer(&stream));
            tally.accept();
            if let Err(error) = open.begin(&mut ring, stream) {
                admission.pause("keep a connection", &error);
                tally.close(Outcome::Failed);
            }
        }

        // Retire.
        open.retire(&mut tally);
    }

    // Drain.
    drop(listener);
    serving::announce_stopping();
    let mut drain = Drain::begin(options.server.drain_timeout);
    while tally.open() > 0 && !drain.is_over() && !signals.stop_at_once() {
        if drain.looks_again() {
            open.end_input(&mut ring, drain);
        }
        turn(&mut ring, &mut open, None, &signals, Some(drain.next_look()))?;
        signals.ask_to_stop(&tally);
        open.retire(&mut tally);
    }
    tally.cut_open();
    tally.log();
    Ok(())
}

/// One turn of the loop: hands the requests over, sleeps until something completes, but not beyond
/// `until`, and moves on every conversation that can be moved. Says whether to look for signals.
fn turn(
    ring: &mut Ring,
    open: &mut Conversations,
    mut listener: Option<&mut Listener>,
    signals: &Signals,
    until: Option<Instant>,
) -> Result<bool> {
    ring.watch(signals);
    ring.wait(until.map(|until| until.saturating_duration_since(Instant::now())))?;
    // Then no request tells of one.
    let mut signal = ring.is_refused();
    if ring.has_lost() {
        ring.renew()?;
        open.fail_all(ring);
        listener.iter_mut().for_each(|listener| listener.forget());
    }
    while let Some(completion) = ring.next() {
        match (completion, &mut listener) {
            (Completion::Signals, _) => signal = true,
            (Completion::Tick, _) => open.tick(ring),
            (Completion::Conversation(place, event), _) => open.turn(ring, place, event),
            (Completion::Accepted { all, result, more }, Some(listener)) => listener.take(all, result, more),
            // The listener is closed, and this one comes too late.
            (Completion::Accepted { .. }, None) => {}
        }
    }
    Ok(signal)
}

/// The peer's address, for the log. A peer that has gone already has none.
fn peer(stream: &TcpStream) -> String {
    stream.peer_addr().map_or_else(|_| "a peer that has gone".to_owned(), |address| address.to_string())
}
