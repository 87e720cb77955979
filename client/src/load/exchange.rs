//! What a worker does on one connection: open it, ask, check the answers, close it.

use std::io::{self, ErrorKind as IoErrorKind, Read};

use mio::event::Event;

use super::connection::{Permit, State, Wrong};
use super::connections::Opened;
use super::results::ErrorKind;
use super::steer::Phase;
use super::worker::Worker;
use crate::connect::explain_connect;

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
                match self.connections.established(slot, event, self.shared.clock.now()) {
                    Opened::NotYet => return,
                    Opened::Failed(error) => return self.not_opened(slot, &error),
                    Opened::After(nanos) => self.recorder.connected(nanos),
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
        let space = self.buffer.space();
        loop {
            let connection = &mut self.connections[slot];
            let (State::Open(stream) | State::Ending(stream)) = &mut connection.state else { return };
            let length = match stream.read(space) {
                Ok(0) => return self.on_end(slot),
                Ok(length) => length,
                Err(error) if error.kind() == IoErrorKind::WouldBlock => break,
                Err(error) if error.kind() == IoErrorKind::Interrupted => continue,
                Err(error) => return self.lost(slot, ErrorKind::of(&error), &error.to_string()),
            };
            let now = self.shared.clock.now();
            let received = &space[..length];
            if let Err(wrong) = connection.receive(&self.payload, received, now, &mut self.recorder) {
                return self.wrong(slot, wrong);
            }
            if connection.is_quiet() {
                self.pace.answered(slot, now);
            }
            if length < space.len() && !closed {
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

    /// Begins to open a connection, now or as soon as that is possible.
    pub(super) fn open(&mut self, slot: usize) {
        if let Err(error) = self.connections.begin_to_open(slot, self.shared.clock.now()) {
            self.not_opened(slot, &error);
        }
    }

    fn not_opened(&mut self, slot: usize, error: &io::Error) {
        let kind = ErrorKind::of(error);
        let line = explain_connect(self.options.address, error);
        if self.course.phase() == Phase::Connecting {
            self.shared.fail(line.clone());
        }
        let now = self.shared.clock.now();
        self.failures.add(kind, now, line);
        if matches!(kind, ErrorKind::NoPort | ErrorKind::NoDescriptor) {
            self.connections.pause(now);
        }
        self.connections[slot].reset();
        self.try_again(slot);
    }

    /// Opens a slot again later, if there is a later.
    fn try_again(&mut self, slot: usize) {
        if self.course.phase() != Phase::Finishing {
            self.connections.open_again(self.shared.clock.now(), slot);
        }
    }

    fn pump(&mut self, slot: usize) {
        self.pump_at(slot, self.shared.clock.now());
    }

    /// Sends as much as may be sent and the socket takes.
    #[inline]
    fn pump_at(&mut self, slot: usize, now: u64) {
        let requests = self.may_begin(slot);
        let connection = &mut self.connections[slot];
        if !matches!(connection.state, State::Open(_)) {
            return;
        }
        let (measured, pace) = (self.recorder.measured, &self.pace);
        let due = |nth| pace.due(slot, nth);
        let mut begun = 0;
        let sent = connection.send(
            &self.payload,
            &mut self.scratch,
            &Permit { requests, due, now, measured },
            &mut begun,
        );
        self.pace.begun(slot, begun);
        self.recorder.begun(begun);
        if let Err(error) = sent {
            self.lost(slot, ErrorKind::of(&error), &error.to_string());
        }
    }

    /// How many requests may be begun on a connection now.
    #[inline(always)]
    fn may_begin(&self, slot: usize) -> u64 {
        let connection = &self.connections[slot];
        if !self.course.asks(self.pace.is_open_loop()) {
            return 0;
        }
        let allowed = self.pace.allows(slot).min(self.most_here - connection.begun_here());
        if self.course.phase() == Phase::Greeting {
            return allowed.min(u64::from(connection.begun_in_phase() == 0));
        }
        allowed.min(self.options.pipeline.saturating_sub(connection.in_flight()) as u64)
    }

    /// Whether a new connection has something to ask, beside what those that are being opened will
    /// ask.
    fn may_open(&self, slot: usize) -> bool {
        self.may_begin(slot) > 0 && self.pace.needs_one_more(self.connections.connecting())
    }

    /// Closes our side if nothing is on its way and nothing more will be asked here.
    #[inline]
    pub(super) fn settle(&mut self, slot: usize) {
        let connection = &self.connections[slot];
        let is_used_up = self.options.new_connection_each || connection.begun_here() >= self.most_here;
        let is_over = || self.course.phase() == Phase::Finishing && self.may_begin(slot) == 0;
        if (is_used_up || is_over()) && connection.is_quiet() {
            self.connections.half_close(slot);
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
        self.connections.close(slot);
        if self.options.new_connection_each {
            self.proceed(slot);
        } else if self.course.phase() != Phase::Finishing {
            self.open(slot);
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
        let measured = self.connections.close(slot);
        self.recorder.lost(measured);
        if self.course.phase() == Phase::Measuring {
            self.pace.lost(measured);
        }
        if !harmless {
            let line = format!("connection {}: {why}", self.number(slot));
            self.failures.add(kind, self.shared.clock.now(), line);
            if self.course.phase() == Phase::Connecting {
                let address = self.options.address;
                self.shared.fail(format!(
                    "cannot keep a connection to {address} open: {why}; look at its limits and its log"
                ));
            }
        }
        self.try_again(slot);
    }
}
