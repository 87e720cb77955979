//! All conversations on one thread, in one event loop: what coroutines do, written by hand.
//!
//! - Where does a conversation's state live? In an entry of a table, of some fifty bytes; a buffer is lent to it for its turn.
//! - Who sleeps, and on what? The one thread, in `epoll_wait`, on all sockets, the listener and signals at once.
//! - What does one more client cost? Its entry in the table, and what the kernel keeps for its socket.
//! - What happens at the limit? New connections are left where they are: in the kernel's queue.
//! - How does it stop? It ends every conversation's input, by `shutdown` on its socket, and goes on until all have ended. What is
//!   open at the drain deadline is closed.
#![forbid(unsafe_code)]

mod conversations;

use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use common::{AcceptPause, Outcome, ServerOptions, Signals, Tally, stop};
use mio::net::TcpListener;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

pub use crate::conversations::Conversations;

/// Serves all clients in one event loop: what they send comes back upper-cased.
#[derive(Debug, Parser)]
#[command(name = "server-mio", version, about)]
pub struct Options {
    /// What every server can be told.
    #[command(flatten)]
    pub server: ServerOptions,
}

/// The most events that one `epoll_wait` brings; the others come with the next.
pub const EVENTS_PER_WAIT: usize = 1024;

/// The most connections accepted in one turn of the loop; the open conversations must not wait longer.
pub const ADMISSIONS_PER_TURN: usize = 256;

/// The listener's events.
pub const LISTENER: Token = Token(usize::MAX - 1);
/// Those of what wakes the loop besides its clients.
pub const SIGNALS: Token = Token(usize::MAX - 2);
/// A tick of the idle timeout.
const TICK: Token = Token(usize::MAX - 3);

/// Serves until a signal stops it.
///
/// # Errors
/// If the server cannot start, or the system takes its listener or its event queue away.
pub fn run(options: &Options) -> Result<()> {
    // Prepare.
    common::start_logging(&options.server.log);
    let limit = common::connection_limit(&options.server, 1)?;
    let mut signals = Signals::new()?;
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(EVENTS_PER_WAIT);
    let mut open = Conversations::new(poll.registry(), options.server.idle_timeout)?;
    let mut tally = Tally::default();
    let mut pause = AcceptPause::default();
    let listener = common::listen(&options.server)?;
    common::announce(&listener)?;
    let mut listener = TcpListener::from_std(listener);
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    poll.registry().register(&mut SourceFd(&signals.as_fd().as_raw_fd()), SIGNALS, Interest::READABLE)?;
    let mut arrival = false;

    loop {
        // Wait.
        let paused = pause.until();
        let admissible = arrival && tally.open() < limit && paused.is_none();
        let until = if admissible { Some(Instant::now()) } else { paused };
        let woken = turn(&mut poll, &mut events, &mut open, &mut tally, until)?;
        arrival |= woken.arrival;
        if woken.signal && signals.arrived(&tally).stop {
            break;
        }

        // Admit.
        for _ in 0..ADMISSIONS_PER_TURN {
            if !arrival || tally.open() >= limit || pause.until().is_some() {
                break;
            }
            let Some((stream, peer)) = pause.accept(|| listener.accept())? else {
                // Unless a pause cut the look short, the queue is empty.
                arrival = pause.until().is_some();
                break;
            };
            // Edge-triggered: when the queue is empty, the next arrival is a new edge.
            arrival = common::one_waits(&listener);
            tally.accept();
            log::debug!("serving {peer}");
            if let Err(error) = open.begin(poll.registry(), stream) {
                pause.begin("watch a connection", &error);
                tally.close(Outcome::Failed);
            }
        }

        // Retire.
        if woken.tick {
            open.end_silent(&mut tally);
        }
    }

    // Drain.
    drop(listener);
    common::announce_stopping();
    stop::begin();
    open.end_input();
    let deadline = Instant::now() + options.server.drain_timeout;
    while tally.open() > 0 && Instant::now() < deadline && !signals.stop_at_once() {
        turn(&mut poll, &mut events, &mut open, &mut tally, Some(deadline))?;
        open.end_delivered(&mut tally);
        signals.arrived(&tally);
    }
    tally.cut_open();
    tally.log();
    Ok(())
}

/// What a turn of the loop brought besides bytes.
#[derive(Debug, Default)]
pub struct Woken {
    /// A client may wait in the listener's queue.
    pub arrival: bool,
    /// [`SIGNALS`] can be read.
    pub signal: bool,
    /// A tick of the idle timeout has passed.
    pub tick: bool,
}

/// One turn of the loop: sleeps until something happens, but not beyond `until`, and moves on every conversation that can be
/// moved. It looks at the clock only where there is a deadline.
///
/// # Errors
/// If the system takes the event queue away.
pub fn turn(
    poll: &mut Poll,
    events: &mut Events,
    open: &mut Conversations,
    tally: &mut Tally,
    until: Option<Instant>,
) -> Result<Woken> {
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let timeout = left.into_iter().chain(open.patience()).min();
    let polled = poll.poll(events, timeout);
    let mut woken = Woken::default();
    match polled {
        Ok(()) => {}
        // The signal is in its descriptor by now, and the next turn brings it.
        Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(woken),
        Err(error) => return Err(error.into()),
    }
    for event in &*events {
        match event.token() {
            LISTENER => woken.arrival = true,
            SIGNALS => woken.signal = true,
            TICK => woken.tick = true,
            Token(key) => open.turn(key, event, tally),
        }
    }
    open.turn_unfinished(tally);
    Ok(woken)
}
