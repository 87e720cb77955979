//! All conversations on one thread, completions instead of readiness: the kernel is asked to receive and to send, and says when
//! it has (io_uring).
//!
//! - Where does a conversation's state live? In an entry of a table, of some hundred and twenty bytes, and in the kernel: a request
//!   to receive is always underway. What has been received lies in a buffer that the kernel chose, until the answer is sent from it.
//! - Who sleeps, and on what? The one thread, in `io_uring_enter`, on all requests at once: those of conversations, of the
//!   listener, of the signals, and of the idle timeout's clock.
//! - What does one more client cost? Its entry in the table, and what the kernel keeps for its socket and its request.
//! - What happens at the limit? No request to accept is made; new connections are left where they are: in the kernel's queue.
//! - How does it stop? It ends every conversation's input, by `shutdown` on its socket, and goes on until all have ended. At the
//!   drain deadline all requests are cancelled, and what is open is closed.
#![deny(unsafe_code)]

mod arrivals;
mod conversations;
mod lending;
mod open;
mod operation;
mod ring;
mod support;

use std::net::TcpStream;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use common::{AcceptPause, ServerOptions, Signals, Tally, stop};

use crate::arrivals::Arrivals;
use crate::conversations::Conversations;
use crate::operation::Completion;
use crate::ring::Ring;

pub use crate::support::available;

/// Serves all clients in one loop of completions: what they send comes back upper-cased.
#[derive(Debug, Parser)]
#[command(name = "server-uring", version, about)]
pub struct Options {
    /// What every server can be told.
    #[command(flatten)]
    pub server: ServerOptions,
}

/// Serves until a signal stops it.
///
/// # Errors
/// If the server cannot start, because there is no io_uring or for another reason, or the system takes its ring away.
pub fn run(options: &Options) -> Result<()> {
    // Prepare.
    common::start_logging(&options.server.log);
    let limit = common::connection_limit(&options.server, 1)?;
    let mut signals = Signals::new()?;
    let mut ring = Ring::new()?;
    let mut completions = Vec::new();
    let mut open = Conversations::new(&mut ring, options.server.idle_timeout);
    let mut tally = Tally::default();
    let mut pause = AcceptPause::default();
    let listener = common::listen(&options.server)?;
    // A request on a non-blocking socket fails where it should wait.
    listener.set_nonblocking(false)?;
    common::announce(&listener)?;
    let mut arrivals = Arrivals::new(options.server.backlog);
    ring.watch(&signals);

    loop {
        // Wait.
        let paused = pause.until();
        let places = if paused.is_none() { limit - tally.open() } else { 0 };
        arrivals.request(&mut ring, &listener, places);
        let woken = turn(&mut ring, &mut completions, &mut open, &mut arrivals, &mut tally, paused)?;
        if woken.signal {
            ring.watch(&signals);
            if signals.arrived(&tally).stop {
                break;
            }
        }

        // Admit.
        while tally.open() < limit {
            let Some(stream) = pause.accept(|| arrivals.next())? else { break };
            tally.accept();
            log::debug!("serving {}", peer(&stream));
            open.begin(&mut ring, stream);
        }

        // Retire.
        if woken.tick {
            open.end_silent(&mut ring);
        }
    }

    // Drain.
    arrivals.close(&mut ring);
    drop(listener);
    common::announce_stopping();
    stop::begin();
    open.end_input(&ring);
    let deadline = Instant::now() + options.server.drain_timeout;
    while tally.open() > 0 && Instant::now() < deadline && !signals.stop_at_once() {
        if turn(&mut ring, &mut completions, &mut open, &mut arrivals, &mut tally, Some(deadline))?.signal {
            ring.watch(&signals);
        }
        open.end_delivered(&mut tally);
        signals.arrived(&tally);
    }
    tally.cut_open();
    tally.log();
    Ok(())
}

/// What a turn of the loop brought besides connections and bytes.
#[derive(Debug, Default)]
struct Woken {
    /// Signals have arrived.
    signal: bool,
    /// A tick of the idle timeout has passed.
    tick: bool,
}

/// One turn of the loop: hands the requests over, sleeps until something completes, but not beyond `until`, and moves on every
/// conversation that can be moved. It looks at the clock only where there is a deadline.
fn turn(
    ring: &mut Ring,
    completions: &mut Vec<Completion>,
    open: &mut Conversations,
    arrivals: &mut Arrivals,
    tally: &mut Tally,
    until: Option<Instant>,
) -> Result<Woken> {
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let timeout = left.into_iter().chain(open.patience()).min();
    ring.wait(timeout, completions)?;
    let mut woken = Woken::default();
    for completion in completions.drain(..) {
        match completion {
            Completion::Signals => woken.signal = true,
            Completion::Tick => woken.tick = true,
            Completion::Accepted { all, result, more } => arrivals.take(all, result, more),
            Completion::Received { key, result, more } => open.received(ring, key, result, more, tally),
            Completion::Sent { key, buffer, result } => open.sent(ring, key, buffer, result, tally),
            Completion::Room { key } => open.room(ring, key, tally),
        }
    }
    Ok(woken)
}

/// The peer's address, for the log. Who has gone already has none.
fn peer(stream: &TcpStream) -> String {
    stream.peer_addr().map_or_else(|_| "a peer that has gone".to_owned(), |address| address.to_string())
}
