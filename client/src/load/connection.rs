//! One connection of the load: what it has sent, and how far its replies have come. It knows no
//! poll.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};

use mio::net::TcpStream;

use super::pattern::Payload;
use super::recorder::Recorder;

/// Requests of at most this many bytes are copied side by side, so that one plain write sends all
/// that may go.
const COPIED_BYTES: usize = 16 * 1024;

/// The most that one write of copied requests holds; what is more goes with the next.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Slices of the pattern in one vectored write: 4 MiB of a large request.
const SLICES: usize = 17;

/// Where a connection is in its life.
#[derive(Debug)]
pub(super) enum State {
    /// There is no socket.
    Closed,
    /// There is no socket, and the time for the next attempt is set.
    Waiting,
    /// The connection is being opened, since that moment.
    Connecting(TcpStream, u64),
    /// Requests may be sent.
    Open(TcpStream),
    /// Our side is closed; the server's end of input is to come.
    Ending(TcpStream),
}

/// A request that was begun and is not answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flight {
    /// When it should have been sent, in nanoseconds of the clock; in a closed loop the same as
    /// `sent`.
    pub(super) due: u64,
    /// When its first byte was sent.
    pub(super) sent: u64,
    /// Whether it was begun while measuring.
    pub(super) measured: bool,
}

/// Why a reply is not what it must be: the number of the request, the position in its reply, and
/// both bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// A byte differs.
    Byte { number: u64, position: usize, expected: u8, got: u8, unchanged: bool },
    /// There are bytes that nobody asked for.
    Surplus { bytes: usize },
}

/// One connection; a lost one is opened again in the same place, and its requests are numbered on.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) state: State,
    /// Whether the socket took all that it was offered the last time.
    pub(super) writable: bool,
    key: u64,
    begun: u64,
    /// Of these, how many in earlier phases.
    before: u64,
    /// Of these, how many on sockets that are gone.
    elsewhere: u64,
    answered: u64,
    /// Bytes of the request begun last that are not sent yet.
    unsent: usize,
    /// Bytes of the oldest unanswered request's reply that have come, and were right.
    received: usize,
    flights: VecDeque<Flight>,
}

/// How much one call of [`Connection::send`] may begin, and how it is accounted.
pub(super) struct Permit<D> {
    /// How many requests may be begun.
    pub(super) requests: u64,
    /// When the n-th request of this phase was due, if that differs from when it is sent.
    pub(super) due: D,
    /// Now, in nanoseconds of the clock.
    pub(super) now: u64,
    /// Whether the requests are part of the measurement.
    pub(super) measured: bool,
}

impl Connection {
    /// Connection number `number` of the load, without a socket.
    pub(super) fn new(payload: &Payload, number: u64) -> Self {
        Self {
            state: State::Closed,
            writable: false,
            key: payload.key(number),
            begun: 0,
            before: 0,
            elsewhere: 0,
            answered: 0,
            unsent: 0,
            received: 0,
            flights: VecDeque::new(),
        }
    }

    /// Requests that were begun and are not answered.
    #[inline]
    pub(super) fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Requests that were begun in this phase.
    #[inline]
    pub(super) fn begun_in_phase(&self) -> u64 {
        self.begun - self.before
    }

    /// Requests that were begun on this socket.
    #[inline]
    pub(super) fn begun_here(&self) -> u64 {
        self.begun - self.elsewhere
    }

    /// Whether something was answered in the phase that went on last.
    pub(super) fn was_served(&self) -> bool {
        self.answered > 0
    }

    /// Whether nothing is on its way in either direction.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        self.flights.is_empty() && self.unsent == 0
    }

    /// Counts the requests of a new phase from here.
    pub(super) fn begin_phase(&mut self) {
        self.before = self.begun;
        self.answered = 0;
    }

    /// Forgets the socket and all that was in flight; returns how much of that was being measured.
    pub(super) fn reset(&mut self) -> u64 {
        self.state = State::Closed;
        self.elsewhere = self.begun;
        self.writable = false;
        self.unsent = 0;
        self.received = 0;
        let measured = self.flights.iter().filter(|flight| flight.measured).count();
        self.flights.clear();
        measured as u64
    }

    /// Compares received bytes with the replies that are due, and records each reply that is
    /// complete.
    ///
    /// # Errors
    /// The first byte that is wrong; the rest is not looked at.
    #[inline]
    pub(super) fn receive(
        &mut self,
        payload: &Payload,
        mut got: &[u8],
        now: u64,
        recorder: &mut Recorder,
    ) -> Result<(), Wrong> {
        while !got.is_empty() {
            if self.flights.is_empty() {
                return Err(Wrong::Surplus { bytes: got.len() });
            }
            let number = self.begun - self.flights.len() as u64;
            let request = payload.request(self.key, number);
            let size = Payload::size(&request);
            let (part, rest) = got.split_at(got.len().min(size - self.received));
            if let Err(index) = payload.check(&request, self.received, part) {
                let position = self.received + index;
                let (expected, sent) = payload.bytes_at(&request, position);
                return Err(Wrong::Byte {
                    number,
                    position,
                    expected,
                    got: part[index],
                    unchanged: part[index] == sent,
                });
            }
            self.received += part.len();
            if self.received == size {
                self.received = 0;
                self.answered += 1;
                if let Some(flight) = self.flights.pop_front() {
                    recorder.answered(flight, size, now);
                }
            }
            got = rest;
        }
        Ok(())
    }

    /// Sends what is left of the request begun last, then as many new ones as the permit allows and
    /// the socket takes. Adds to `begun` how many were begun, which counts also if an error
    /// follows.
    ///
    /// # Errors
    /// What the socket says, except that it would block.
    #[inline]
    pub(super) fn send<D: Fn(u64) -> Option<u64>>(
        &mut self,
        payload: &Payload,
        scratch: &mut Vec<u8>,
        permit: &Permit<D>,
        begun: &mut u64,
    ) -> io::Result<()> {
        while self.writable && (self.unsent > 0 || *begun < permit.requests) {
            let (offered, written) = if payload.most_bytes() <= COPIED_BYTES {
                self.write_copies(payload, scratch, permit.requests - *begun)
            } else {
                self.write_slices(payload)
            };
            match written {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    *begun += self.account(payload, written, permit);
                    // The kernel takes less than it is offered only when its buffer is full, and
                    // then tells when it is not.
                    self.writable = written == offered;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn stream(&self) -> io::Result<&TcpStream> {
        match &self.state {
            State::Open(stream) | State::Ending(stream) => Ok(stream),
            State::Closed | State::Waiting | State::Connecting(..) => Err(ErrorKind::NotConnected.into()),
        }
    }

    fn write_copies(
        &self,
        payload: &Payload,
        scratch: &mut Vec<u8>,
        more: u64,
    ) -> (usize, io::Result<usize>) {
        scratch.clear();
        if self.unsent > 0 {
            let request = payload.request(self.key, self.begun - 1);
            payload.append(&request, Payload::size(&request) - self.unsent, scratch);
        }
        for number in self.begun..self.begun.saturating_add(more) {
            if scratch.len() + payload.most_bytes() > SCRATCH_BYTES {
                break;
            }
            payload.append(&payload.request(self.key, number), 0, scratch);
        }
        (scratch.len(), self.stream().and_then(|mut stream| stream.write(scratch)))
    }

    fn write_slices(&self, payload: &Payload) -> (usize, io::Result<usize>) {
        let (number, from) = match self.unsent {
            0 => (self.begun, 0),
            unsent => (self.begun - 1, payload.bytes_of(self.key, self.begun - 1) - unsent),
        };
        let request = payload.request(self.key, number);
        let mut slices = [IoSlice::new(&[]); SLICES];
        let (used, bytes) = payload.point(&request, from, &mut slices);
        (bytes, self.stream().and_then(|mut stream| stream.write_vectored(&slices[..used])))
    }

    /// Books written bytes: first to the request begun last, then to new ones.
    fn account<D: Fn(u64) -> Option<u64>>(
        &mut self,
        payload: &Payload,
        mut written: usize,
        permit: &Permit<D>,
    ) -> u64 {
        let rest = self.unsent.min(written);
        self.unsent -= rest;
        written -= rest;
        let mut begun = 0;
        while written > 0 {
            let due = (permit.due)(self.begun - self.before).unwrap_or(permit.now);
            self.flights.push_back(Flight { due, sent: permit.now, measured: permit.measured });
            let size = payload.bytes_of(self.key, self.begun);
            self.begun += 1;
            begun += 1;
            let part = size.min(written);
            self.unsent = size - part;
            written -= part;
        }
        begun
    }
}
