//! A worker's connections: which are open, which are being opened, which wait for another attempt.
//! It knows neither phases nor requests.

use std::io;
use std::net::Shutdown;
use std::ops::{Index, IndexMut};

use mio::event::Event;
use mio::{Interest, Registry, Token};
use nix::errno::Errno;

use super::connection::{Connection, State};
use super::opener::Opener;
use super::options::LoadOptions;
use super::pattern::Payload;
use super::share::Share;

/// The connections of one worker, by slot.
#[derive(Debug)]
pub(super) struct Connections {
    slots: Vec<Connection>,
    share: Share,
    registry: Registry,
    opener: Opener,
    /// Connections that are being opened.
    connecting: usize,
    /// Connections that are open.
    open: usize,
}

/// What an event says of a connection that is being opened.
#[derive(Debug)]
pub(super) enum Opened {
    /// Nothing yet.
    NotYet,
    /// It is open, after so many nanoseconds.
    After(u64),
    /// It could not be opened.
    Failed(io::Error),
}

impl Connections {
    /// None is open yet.
    pub(super) fn new(options: &LoadOptions, payload: &Payload, share: Share, registry: Registry) -> Self {
        Self {
            slots: (0..share.slots()).map(|slot| Connection::new(payload, share.number(slot))).collect(),
            share,
            registry,
            opener: Opener::new(options.address, &options.source),
            connecting: 0,
            open: 0,
        }
    }

    /// How many there are, open or not.
    pub(super) fn count(&self) -> usize {
        self.slots.len()
    }

    /// Connections that are open.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Connections that are being opened.
    pub(super) fn connecting(&self) -> usize {
        self.connecting
    }

    /// All of them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.slots.iter_mut()
    }

    /// The slot will be opened at `moment`, in nanoseconds of the clock.
    pub(super) fn open_at(&mut self, moment: u64, slot: usize) {
        self.slots[slot].state = State::Waiting;
        self.opener.open_at(moment, slot);
    }

    /// The slot will be opened again after a delay.
    pub(super) fn open_again(&mut self, now: u64, slot: usize) {
        self.slots[slot].state = State::Waiting;
        self.opener.open_again(now, slot);
    }

    /// Nothing is opened for a moment: this machine has run out of something.
    pub(super) fn pause(&mut self, now: u64) {
        self.opener.pause(now);
    }

    /// The next slot that is to be opened by now; it is closed until then.
    pub(super) fn next_due(&mut self, now: u64) -> Option<usize> {
        let slot = self.opener.next(now, self.connecting)?;
        self.slots[slot].state = State::Closed;
        Some(slot)
    }

    /// When the next slot is to be opened, as far as time is all that it waits for.
    pub(super) fn wake_at(&self) -> Option<u64> {
        self.opener.wake_at(self.connecting)
    }

    /// Begins to open a connection, now or as soon as that is possible.
    ///
    /// # Errors
    /// What the system says, such as that there is no free descriptor or port.
    pub(super) fn begin_to_open(&mut self, slot: usize, now: u64) -> io::Result<()> {
        if !self.opener.may_open(now, self.connecting) {
            self.open_at(now, slot);
            return Ok(());
        }
        let mut stream = self.opener.connect(self.share.number(slot))?;
        self.registry.register(&mut stream, Token(slot), Interest::READABLE | Interest::WRITABLE)?;
        self.connecting += 1;
        self.slots[slot].state = State::Connecting(stream, now);
        Ok(())
    }

    /// Whether the connection that was being opened is open at `now`.
    pub(super) fn established(&mut self, slot: usize, event: &Event, now: u64) -> Opened {
        let connection = &mut self.slots[slot];
        let State::Connecting(stream, since) = &connection.state else { return Opened::NotYet };
        let failed = if (event.is_error() || event.is_read_closed())
            && let Ok(Some(error)) | Err(error) = stream.take_error()
        {
            Some(error)
        } else if !event.is_writable() {
            return Opened::NotYet;
        } else if stream.local_addr().is_ok_and(|local| local == self.opener.address()) {
            // Where nobody listens, the local port may be chosen to be the address itself, and TCP
            // then connects the socket to itself (simultaneous open, RFC 9293, 3.5).
            Some(Errno::ECONNREFUSED.into())
        } else {
            None
        };
        self.connecting -= 1;
        if let Some(error) = failed {
            return Opened::Failed(error);
        }
        let nanos = now.saturating_sub(*since);
        // Fails only on a connection that is broken by now, which the next read tells.
        let _ = stream.set_nodelay(true);
        if let State::Connecting(stream, _) = std::mem::replace(&mut connection.state, State::Closed) {
            connection.state = State::Open(stream);
        }
        connection.writable = true;
        self.open += 1;
        Opened::After(nanos)
    }

    /// Forgets the open connection in `slot`, and all that was in flight; returns how much of that
    /// was being measured.
    pub(super) fn close(&mut self, slot: usize) -> u64 {
        self.open -= 1;
        self.slots[slot].reset()
    }

    /// Closes our side of an open connection, whatever is on its way; the server answers, and
    /// closes too.
    pub(super) fn half_close(&mut self, slot: usize) {
        let connection = &mut self.slots[slot];
        match std::mem::replace(&mut connection.state, State::Closed) {
            State::Open(stream) => {
                // Fails if the connection is broken, which reading from it will tell.
                let _ = stream.shutdown(Shutdown::Write);
                connection.state = State::Ending(stream);
            }
            state => connection.state = state,
        }
    }

    /// Nothing that waits will be opened any more.
    pub(super) fn forget_waiting(&mut self) {
        self.opener.forget();
    }

    /// What is being opened is given up.
    pub(super) fn forget_connecting(&mut self) {
        self.connecting = 0;
        for connection in &mut self.slots {
            if matches!(connection.state, State::Connecting(..)) {
                connection.state = State::Closed;
            }
        }
    }
}

impl Index<usize> for Connections {
    type Output = Connection;

    #[inline]
    fn index(&self, slot: usize) -> &Connection {
        &self.slots[slot]
    }
}

impl IndexMut<usize> for Connections {
    #[inline]
    fn index_mut(&mut self, slot: usize) -> &mut Connection {
        &mut self.slots[slot]
    }
}
