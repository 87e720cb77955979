//! One connection of a client process: sixteen bytes, and no buffer.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};

use mio::net::TcpStream;
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Socket, Type};

use crate::load::{Payload, Request};

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

/// How much of what it was told a connection has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Did {
    /// It waits for more.
    Part,
    /// This was the last of it.
    All,
    /// It had nothing to do.
    Nothing,
}

/// Why a connection is lost.
#[derive(Debug)]
pub(super) enum Fault {
    /// There is no connection.
    Connect(io::Error),
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
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::System(what, error) => write!(f, "cannot {what}: {error}"),
            Self::Closed => f.write_str("the server closed it"),
            Self::Wrong(position) => write!(f, "byte {position} of its reply is wrong"),
            Self::Surplus => f.write_str("more bytes came back than were sent"),
        }
    }
}

impl Connection {
    /// Begins to connect, from a local address if one is given.
    ///
    /// # Errors
    /// The system has run out of something, or nobody listens.
    pub(super) fn open(source: Option<IpAddr>, server: SocketAddr, now_ns: u64) -> Result<Self, Fault> {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM.nonblocking().cloexec(), None)
            .map_err(Fault::Connect)?;
        let refused = |error: nix::Error| Fault::System("set an option of a socket", error.into());
        setsockopt(&socket, sockopt::TcpNoDelay, &true).map_err(refused)?;
        if let Some(source) = source {
            // The port is chosen when the server's address is known, so that it need not be free
            // for every other destination.
            setsockopt(&socket, sockopt::IpBindAddressNoPort, &true).map_err(refused)?;
            let source = SocketAddr::from((source, 0));
            socket.bind(&source.into()).map_err(|error| Fault::System("bind a source address", error))?;
        }
        match socket.connect(&server.into()) {
            Err(error) if error.raw_os_error() != Some(nix::libc::EINPROGRESS) => {
                return Err(Fault::Connect(error));
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
    ) -> Result<Did, Fault> {
        if self.state == State::Connects {
            match self.stream.take_error() {
                Ok(Some(error)) | Err(error) => return Err(Fault::Connect(error)),
                Ok(None) => match (self.stream.peer_addr(), self.stream.local_addr()) {
                    (Err(_), _) => return Ok(Did::Part),
                    // Where nobody listens, TCP may connect a socket to itself (see `connect`).
                    (Ok(peer), Ok(own)) if peer == own => {
                        return Err(Fault::Connect(Errno::ECONNREFUSED.into()));
                    }
                    _ => self.state = State::Asks,
                },
            }
        }
        match self.state {
            State::Rests => Ok(Did::Nothing),
            State::Asks => {
                self.send(payload, request)?;
                self.receive(payload, request, buffer)
            }
            State::Connects | State::Ends => match self.stream.read(buffer) {
                Ok(0) => Ok(Did::All),
                Ok(_) => Err(Fault::Surplus),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Did::Part),
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
    fn receive(&mut self, payload: &Payload, request: &Request, buffer: &mut [u8]) -> Result<Did, Fault> {
        while self.received < MESSAGE_BYTES {
            let count = match self.stream.read(buffer) {
                Ok(0) => return Err(Fault::Closed),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Did::Part),
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
        Ok(Did::All)
    }
}
