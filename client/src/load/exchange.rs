//! What a worker does on one connection: open it, ask, check the answers, close it.

use std::io::{ErrorKind as IoErrorKind, Read};
use std::net::Shutdown;

use mio::event::Event;

use super::connection::{Permit, State, Wrong};
use super::results::ErrorKind;
use super::steer::Phase;
use super::worker::Worker;

/// Bytes that are read from one connection before the others get their turn.
const TURN_BYTES: usize = 4 * 1024 * 1024;

impl Worker {
    /// Something has happened on the connection in `slot`.
    ///
    /// An event of a socket that had this slot before cannot arrive here: a socket has one event in
    /// a batch, and is closed, and its slot given to the next one, only while that event is handled
    /// or when none is.
    pub(super) fn on_event(&mut self, slot: usize, event: &Event) {
        let connection = &mut self.connections[slot];
        match connection.state {
            State::Closed | State::Waiting => return,
            State::Connecting(..) => {
                if !self.established(slot, event) {
                    return;
                }
                self.pump(slot);
                self.settle(slot);
            }
            State::Open(_) | State::Ending(_) => connection.writable |= event.is_writable(),
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.receive(slot, event.is_read_closed() || event.is_error());
        } else {
            self.pump(slot);
        }
    }

    /// Reads on where the last turn ended early.
    pub(super) fn resume_unfinished(&mut self) {
        for (slot, closed) in std::mem::take(&mut self.unfinished) {
            self.receive(slot, closed);
        }
    }

    /// Reads what has come, checks it, and asks on.
    ///
    /// A read shorter than the buffer has drained the socket, which saves the read that would say
    /// so; whatever comes later brings a new edge. Not so if the event also said that the server
    /// has closed: then no edge will come, and one must read to the end.
    fn receive(&mut self, slot: usize, closed: bool) {
        let mut turn = TURN_BYTES;
        loop {
            let connection = &mut self.connections[slot];
            let (State::Open(stream) | State::Ending(stream)) = &mut connection.state else { return };
            let length = match stream.read(&mut self.buffer) {
                Ok(0) => return self.on_end(slot),
                Ok(length) => length,
                Err(error) if error.kind() == IoErrorKind::WouldBlock => break,
                Err(error) if error.kind() == IoErrorKind::Interrupted => continue,
                Err(error) => return self.lost(slot, ErrorKind::of(&error), &error.to_string()),
            };
            let now = self.shared.clock.now();
            let received = &self.buffer[..length];
            if let Err(wrong) = connection.receive(&self.payload, received, now, &mut self.recorder) {
                return self.wrong(slot, wrong);
            }
            if length < self.buffer.len() && !closed {
                self.settle(slot);
                return self.pump_at(slot, now);
            }
            turn = turn.saturating_sub(length);
            if turn == 0 {
                self.unfinished.push((slot, closed));
                break;
            }
        }
        self.settle(slot);
        self.pump(slot);
    }

    /// Does what is due on a connection that no event has come from: asks, or opens it first.
    pub(super) fn proceed(&mut self, slot: usize) {
        match self.connections[slot].state {
            State::Open(_) => self.pump(slot),
            State::Closed if self.options.new_connection_each && self.may_open(slot) => self.open(slot),
            _ => {}
        }
    }

    fn pump(&mut self, slot: usize) {
        self.pump_at(slot, self.shared.clock.now());
    }

    /// Sends as much as may be sent and the socket takes.
    #[inline]
    fn pump_at(&mut self, slot: usize, now: u64) {
        let requests = self.may_begin(slot);
        let number = self.number(slot) as u64;
        let connection = &mut self.connections[slot];
        if !matches!(connection.state, State::Open(_)) {
            return;
        }
        let measured = self.recorder.measured;
        let schedule = self.schedule;
        let due = |nth| schedule.and_then(|schedule| schedule.due(number, nth));
        let mut begun = 0;
        let sent = connection.send(
            &self.payload,
            &mut self.scratch,
            &Permit { requests, due, now, measured },
            &mut begun,
        );
        if self.schedule.is_some() {
            self.overdue -= begun;
        } else {
            self.quota -= begun;
        }
        if measured {
            self.recorder.in_flight += begun;
        }
        if let Err(error) = sent {
            self.lost(slot, ErrorKind::of(&error), &error.to_string());
        }
    }

    /// How many requests may be begun on a connection now.
    #[inline]
    fn may_begin(&self, slot: usize) -> u64 {
        let connection = &self.connections[slot];
        if !(self.phase.asks() || self.is_catching_up()) {
            return 0;
        }
        if self.phase == Phase::Greeting {
            return self.quota.min(u64::from(connection.is_ungreeted()));
        }
        let free = self.options.pipeline.saturating_sub(connection.in_flight()) as u64;
        free.min(if self.schedule.is_some() { connection.overdue() } else { self.quota })
    }

    /// Whether requests that were due within the measurement, and could not be sent then, may still
    /// be sent: they would have been the slowest, and must not be missing.
    fn is_catching_up(&self) -> bool {
        self.phase == Phase::Finishing && self.schedule.is_some() && !self.closing
    }

    /// Whether a new connection has something to ask, beside what those that are being opened will
    /// ask.
    fn may_open(&self, slot: usize) -> bool {
        self.may_begin(slot) > 0 && (self.schedule.is_some() || self.quota > self.opener.connecting as u64)
    }

    /// Closes our side if nothing is on its way and nothing more will be asked here.
    pub(super) fn settle(&mut self, slot: usize) {
        if (self.options.new_connection_each || self.phase == Phase::Finishing)
            && self.connections[slot].is_quiet()
            && (self.options.new_connection_each || self.may_begin(slot) == 0)
        {
            self.half_close(slot);
        }
    }

    /// Closes our side of an open connection, whatever is on its way; the server answers, and
    /// closes too.
    pub(super) fn half_close(&mut self, slot: usize) {
        let connection = &mut self.connections[slot];
        match std::mem::replace(&mut connection.state, State::Closed) {
            State::Open(stream) => {
                // Fails if the connection is broken, which reading from it will tell.
                let _ = stream.shutdown(Shutdown::Write);
                connection.state = State::Ending(stream);
            }
            state => connection.state = state,
        }
    }

    /// The server has closed its side.
    fn on_end(&mut self, slot: usize) {
        let connection = &self.connections[slot];
        let expected = matches!(connection.state, State::Ending(_))
            || (self.options.new_connection_each && connection.is_quiet());
        if !expected {
            let why = match connection.in_flight() {
                0 => "the server closed it although nothing had been asked".to_owned(),
                1 => "the server closed it with a request unanswered".to_owned(),
                many => format!("the server closed it with {many} requests unanswered"),
            };
            return self.lost(slot, ErrorKind::ClosedEarly, &why);
        }
        self.open -= 1;
        self.connections[slot].reset(State::Closed);
        if self.options.new_connection_each {
            self.proceed(slot);
        }
    }

    fn wrong(&mut self, slot: usize, wrong: Wrong) {
        let why = match wrong {
            Wrong::Surplus { bytes } => format!("{bytes} bytes more than were asked for"),
            Wrong::Byte { number, position, expected, got, unchanged } => {
                let hint =
                    if unchanged { " (unchanged; for a server that only echoes give --echo)" } else { "" };
                format!(
                    "byte {position} of the reply to request {number} is '{}' instead of '{}'{hint}",
                    got.escape_ascii(),
                    expected.escape_ascii()
                )
            }
        };
        self.lost(slot, ErrorKind::WrongBytes, &why);
    }

    /// Gives a connection up, counts why, and opens it again later.
    fn lost(&mut self, slot: usize, kind: ErrorKind, why: &str) {
        // All answers were right by then, so a server that ends like this has lost nothing.
        let harmless = matches!(self.connections[slot].state, State::Ending(_))
            && self.connections[slot].is_quiet()
            && kind != ErrorKind::WrongBytes;
        let measured = self.connections[slot].reset(State::Waiting);
        self.recorder.in_flight -= measured;
        self.open -= 1;
        if self.phase == Phase::Measuring && self.schedule.is_none() {
            // Somebody else will ask instead, so that as many are answered as were wanted.
            self.quota = self.quota.saturating_add(measured);
        }
        if !harmless {
            self.count(kind, format!("connection {}: {why}", self.number(slot)));
            if self.phase == Phase::Connecting {
                let address = self.options.address;
                self.shared.fail(format!(
                    "cannot keep a connection to {address} open: {why}; look at its limits and its log"
                ));
            }
        }
        self.try_again(slot);
    }

    pub(super) fn count(&mut self, kind: ErrorKind, line: String) {
        self.errors.count(kind);
        let now = self.shared.clock.now();
        self.first_error.get_or_insert((now, line));
    }
}
