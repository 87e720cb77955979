//! All conversations on one thread, in one event loop: what coroutines do, written by hand.
//!
//! - Where does a conversation's state live? In an entry of a table, of some fifty bytes; a buffer
//!   is lent to it for its turn.
//! - Who sleeps, and on what? The one thread, in `epoll_wait`, on all sockets, the listener and
//!   signals at once.
//! - What does one more client cost? Its entry in the table, and what the kernel keeps for its
//!   socket.
//! - What happens at the limit? New connections are left where they are: in the kernel's queue.
//! - How does it stop? It looks at every conversation's socket, and ends its input, by `shutdown`,
//!   when the client pauses; the loop goes on until all have ended. What is open at the end is
//!   closed.
#![forbid(unsafe_code)]

mod conversations;
mod options;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

use anyhow::Result;
use mio::net::{TcpListener, TcpStream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use serving::{Admission, Drain, Outcome, Signals, Tally, tcp};

pub use crate::conversations::Conversations;
pub use crate::options::Options;

/// The most events that one `epoll_wait` brings; the others come with the next.
pub const EVENTS_PER_WAIT: usize = 1024;

/// The most connections accepted in one turn of the loop; the open conversations must not wait
/// longer.
const ADMISSIONS_PER_TURN: usize = 256;

/// The listener's events, or those of what brings connections instead.
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
    serving::start_logging(&options.server.log);
    let limit = serving::connection_limit(&options.server, 1)?;
    let mut signals = Signals::new()?;
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(EVENTS_PER_WAIT);
    let mut open = Conversations::new(poll.registry(), &options.server)?;
    let mut tally = Tally::default();
    let mut admission = Admission::new(limit);
    let mut listener = TcpListener::from_std(serving::listen(&options.server)?);
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    poll.registry().register(&mut SourceFd(&signals.as_fd().as_raw_fd()), SIGNALS, Interest::READABLE)?;
    serving::announce(&listener)?;
    let mut arrival = false;

    while !admission.is_over(tally.open()) {
        // Wait.
        let admits = arrival && admission.has_room(tally.open());
        let until = if admits { Some(Instant::now()) } else { admission.until() };
        let woken = turn(&mut poll, &mut events, &mut open, until)?;
        arrival |= woken.arrival;
        if woken.signal && signals.ask_to_stop(&tally) {
            admission.end(&listener);
        }

        // Admit.
        for _ in 0..ADMISSIONS_PER_TURN {
            if !arrival || !admission.has_room(tally.open()) {
                break;
            }
            if let Some((stream, peer)) = admission.accept(|| accept(&listener))? {
                log::debug!("serving {peer}");
                tally.accept();
                if let Err(error) = open.begin(poll.registry(), stream) {
                    admission.pause("watch a connection", &error);
                    tally.close(Outcome::Failed);
                }
            }
            // Edge-triggered: when the queue is empty, the next arrival is a new edge.
            arrival = admission.may_go_on(&listener);
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
            open.end_input(drain);
        }
        turn(&mut poll, &mut events, &mut open, Some(drain.next_look()))?;
        signals.ask_to_stop(&tally);
        open.retire(&mut tally);
    }
    tally.cut_open();
    tally.log();
    Ok(())
}

/// Accepts a client, and never sleeps until there is one.
///
/// # Errors
/// Those of accept(2).
pub fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    tcp::keep_from_blocking(listener);
    listener.accept()
}

/// What a turn of the loop brought besides bytes.
#[derive(Debug, Default)]
pub struct Woken {
    /// A client may wait in the listener's queue.
    pub arrival: bool,
    /// [`SIGNALS`] can be read.
    pub signal: bool,
}

/// One turn of the loop: sleeps until something happens, but not beyond `until`, and moves on every
/// conversation that can be moved. It looks at the clock only where there is a deadline.
///
/// # Errors
/// If the system takes the event queue away.
pub fn turn(
    poll: &mut Poll,
    events: &mut Events,
    open: &mut Conversations,
    until: Option<Instant>,
) -> Result<Woken> {
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let polled = poll.poll(events, left.into_iter().chain(open.patience()).min());
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
            TICK => open.tick(),
            Token(key) => open.turn(key, event),
        }
    }
    open.turn_unfinished();
    Ok(woken)
}
