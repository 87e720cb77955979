//! One connection of a client process: sixteen bytes, and no buffer.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};

use client::load::{Payload, Request};
use mio::net::TcpStream;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Socket, Type};

/// Bytes of a request, and of its reply.
pub(super) const MESSAGE_BYTES: u8 = 64;

/// What is lent to the connection whose turn it is; longer than a reply, so that surplus bytes are
/// seen.
pub(super) const BUFFER_BYTES: usize = 256;

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// For nothing.
    Rests,
    /// To be connected; then it asks.
    Connects,
    /// To send the rest of its request, and to receive the rest of the reply.
    Asks,
    /// For the end of what the server sends: its own output has ended.
    Ends,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    state: State,
    sent: u8,
    received: u8,
    /// When it was given something to do, in nanoseconds.
    pub(super) began_ns: u64,
}

/// What became of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It waits for more.
    Waits,
    /// It has done what it was told.
    Done,
    /// It had nothing to do.
    Rests,
}

/// Why a connection is lost.
#[derive(Debug)]
pub(super) enum Fault {
    /// The system refused: what was tried, and what it said.
    System(&'static str, io::Error),
    /// The server has closed it before its time.
    Closed,
    /// A byte of the reply is wrong: its position.
    Wrong(usize),
    /// More came than was sent.
    Surplus,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(what, error) => write!(f, "cannot {what}: {error}"),
            Self::Closed => f.write_str("the server closed it"),
            Self::Wrong(position) => write!(f, "byte {position} of its reply is wrong"),
            Self::Surplus => f.write_str("more bytes came back than were sent"),
        }
    }
}

impl Connection {
    /// Begins to connect from an address of the loopback.
    ///
    /// # Errors
    /// The system has run out of something, or nobody listens.
    pub(super) fn open(source: Ipv4Addr, server: SocketAddr, now_ns: u64) -> Result<Self, Fault> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking().cloexec(), None)
            .map_err(|error| Fault::System("open a socket", error))?;
        let refused = |error: nix::Error| Fault::System("set an option of a socket", error.into());
        // The port is chosen when the server's address is known, so that it need not be free for
        // every other destination.
        setsockopt(&socket, sockopt::IpBindAddressNoPort, &true).map_err(refused)?;
        setsockopt(&socket, sockopt::TcpNoDelay, &true).map_err(refused)?;
        let source = SocketAddr::from((source, 0));
        socket.bind(&source.into()).map_err(|error| Fault::System("bind a source address", error))?;
        match socket.connect(&server.into()) {
            Err(error) if error.raw_os_error() != Some(nix::libc::EINPROGRESS) => {
                return Err(Fault::System("connect", error));
            }
            _ => {}
        }
        let stream = TcpStream::from_std(socket.into());
        Ok(Self { stream, state: State::Connects, sent: 0, received: 0, began_ns: now_ns })
    }

    /// What the event queue watches.
    pub(super) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Whether it has not yet done what it was told.
    pub(super) fn waits(&self) -> bool {
        self.state != State::Rests
    }

    /// Begins to ask.
    pub(super) fn ask(&mut self, now_ns: u64) {
        (self.state, self.sent, self.received, self.began_ns) = (State::Asks, 0, 0, now_ns);
    }

    /// Ends its output: the server will answer what it has received, and close.
    ///
    /// # Errors
    /// It is broken.
    pub(super) fn end(&mut self, now_ns: u64) -> Result<(), Fault> {
        (self.state, self.began_ns) = (State::Ends, now_ns);
        self.stream.shutdown(Shutdown::Write).map_err(|error| Fault::System("end its output", error))
    }

    /// Goes on as far as it can without waiting. It tries both directions, whatever the event said.
    ///
    /// # Errors
    /// It is lost.
    pub(super) fn go_on(
        &mut self,
        payload: &Payload,
        request: &Request,
        buffer: &mut [u8],
    ) -> Result<Turn, Fault> {
        if self.state == State::Connects {
            match self.stream.take_error() {
                Ok(Some(error)) | Err(error) => return Err(Fault::System("connect", error)),
                Ok(None) if self.stream.peer_addr().is_err() => return Ok(Turn::Waits),
                Ok(None) => self.state = State::Asks,
            }
        }
        match self.state {
            State::Rests => Ok(Turn::Rests),
            State::Asks => {
                self.send(payload, request)?;
                self.receive(payload, request, buffer)
            }
            State::Connects | State::Ends => match self.stream.read(buffer) {
                Ok(0) => Ok(Turn::Done),
                Ok(_) => Err(Fault::Surplus),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Turn::Waits),
                Err(error) => Err(Fault::System("read to the end", error)),
            },
        }
    }

    fn send(&mut self, payload: &Payload, request: &Request) -> Result<(), Fault> {
        while self.sent < MESSAGE_BYTES {
            let mut message = Vec::with_capacity(usize::from(MESSAGE_BYTES));
            payload.append(request, usize::from(self.sent), &mut message);
            match self.stream.write(&message) {
                Ok(count) => self.sent += u8::try_from(count).unwrap_or(MESSAGE_BYTES),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(Fault::System("send", error)),
            }
        }
        Ok(())
    }

    /// Stops at the end of the reply, without a look at what may follow: the next turn takes it.
    fn receive(&mut self, payload: &Payload, request: &Request, buffer: &mut [u8]) -> Result<Turn, Fault> {
        while self.received < MESSAGE_BYTES {
            let count = match self.stream.read(buffer) {
                Ok(0) => return Err(Fault::Closed),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Turn::Waits),
                Err(error) => return Err(Fault::System("receive", error)),
            };
            let from = usize::from(self.received);
            if count > usize::from(MESSAGE_BYTES) - from {
                return Err(Fault::Surplus);
            }
            payload.check(request, from, &buffer[..count]).map_err(|index| Fault::Wrong(from + index))?;
            self.received += u8::try_from(count).unwrap_or(MESSAGE_BYTES);
        }
        self.state = State::Rests;
        Ok(Turn::Done)
    }
}
