//! Opens sockets: how many at a time, how fast, from which local address, and when again after a
//! failure.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Token};
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::connection::State;
use super::results::ErrorKind;
use super::steer::Phase;
use super::worker::Worker;
use crate::connect::explain_connect;

/// Connections that one worker opens at the same time; the next wait until one of them is open.
/// Less than the shortest usual listen backlog, so that a slow server does not make them wait a
/// second for the next attempt of the system.
const MOST_CONNECTING: usize = 128;

/// Until a lost connection, or one that could not be opened, is tried again, in nanoseconds: at
/// most four times a second.
const REOPEN_DELAY: u64 = 250_000_000;

/// Until anything is opened again when this machine lacked a port or a descriptor, in nanoseconds.
const LACK_PAUSE: u64 = 100_000_000;

/// What one worker needs to open its connections.
#[derive(Debug)]
pub(super) struct Opener {
    /// Connections that are being opened now.
    pub(super) connecting: usize,
    address: SocketAddr,
    sources: Vec<IpAddr>,
    queue: BinaryHeap<Reverse<(u64, usize)>>,
    paused_until: u64,
}

impl Opener {
    /// Nothing to open yet.
    pub(super) fn new(address: SocketAddr, sources: &[IpAddr]) -> Self {
        let sources = sources.to_vec();
        Self { connecting: 0, address, sources, queue: BinaryHeap::new(), paused_until: 0 }
    }

    /// The slot will be opened at `moment`, in nanoseconds of the clock.
    pub(super) fn open_at(&mut self, moment: u64, slot: usize) {
        self.queue.push(Reverse((moment, slot)));
    }

    /// The slot will be opened again after a delay.
    pub(super) fn open_again(&mut self, now: u64, slot: usize) {
        self.open_at(now + REOPEN_DELAY, slot);
    }

    /// Nothing is opened for a moment: this machine has run out of something.
    pub(super) fn pause(&mut self, now: u64) {
        self.paused_until = now + LACK_PAUSE;
    }

    /// Nothing will be opened any more.
    pub(super) fn forget(&mut self) {
        self.queue.clear();
    }

    /// Whether one more may be opened now.
    pub(super) fn may_open(&self, now: u64) -> bool {
        self.connecting < MOST_CONNECTING && now >= self.paused_until
    }

    /// The next slot whose time has come.
    pub(super) fn next(&mut self, now: u64) -> Option<usize> {
        let Reverse((moment, slot)) = *self.queue.peek()?;
        if moment > now || !self.may_open(now) {
            return None;
        }
        self.queue.pop();
        Some(slot)
    }

    /// When the next slot's time comes, as far as time is all that it waits for.
    pub(super) fn wake_at(&self) -> Option<u64> {
        let Reverse((moment, _)) = *self.queue.peek()?;
        (self.connecting < MOST_CONNECTING).then(|| moment.max(self.paused_until))
    }

    /// Begins to connect the load's connection number `index`.
    ///
    /// # Errors
    /// What the system says, such as that there is no free descriptor or port.
    pub(super) fn connect(&self, index: usize) -> io::Result<TcpStream> {
        match self.sources.len() {
            0 => TcpStream::connect(self.address),
            count => connect_from(self.sources[index % count], self.address),
        }
    }
}

fn connect_from(source: IpAddr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    // The port is then chosen when connecting, where it only has to differ for the same pair of
    // addresses (ip(7)). A kernel that does not know this has fewer ports to give, that is all.
    let _ = setsockopt(&socket, sockopt::IpBindAddressNoPort, &true);
    socket.bind(&SocketAddr::new(source, 0).into())?;
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

impl Worker {
    /// Opens what is due to be opened.
    pub(super) fn open_due(&mut self) {
        while let Some(slot) = self.opener.next(self.shared.clock.now()) {
            self.connections[slot].state = State::Closed;
            // With a new connection for each request, an open one is only good for asking.
            if !self.options.new_connection_each {
                self.open(slot);
            } else {
                self.proceed(slot);
            }
        }
    }

    /// Begins to open a connection, now or as soon as that is possible.
    pub(super) fn open(&mut self, slot: usize) {
        let now = self.shared.clock.now();
        let connection = &mut self.connections[slot];
        if !self.opener.may_open(now) {
            connection.state = State::Waiting;
            return self.opener.open_at(now, slot);
        }
        let number = self.number(slot);
        let opened = self.opener.connect(number).and_then(|mut stream| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(slot), interest)?;
            Ok(stream)
        });
        match opened {
            Ok(stream) => {
                self.opener.connecting += 1;
                self.connections[slot].state = State::Connecting(stream, now);
            }
            Err(error) => self.not_opened(slot, &error),
        }
    }

    /// Whether the connection that was being opened is open now.
    pub(super) fn established(&mut self, slot: usize, event: &Event) -> bool {
        let connection = &mut self.connections[slot];
        let State::Connecting(stream, since) = &connection.state else { return false };
        if (event.is_error() || event.is_read_closed())
            && let Ok(Some(error)) | Err(error) = stream.take_error()
        {
            self.opener.connecting -= 1;
            self.not_opened(slot, &error);
            return false;
        }
        if !event.is_writable() {
            return false;
        }
        // Where nobody listens, the local port may be chosen to be the address itself, and TCP then
        // connects the socket to itself (simultaneous open, RFC 9293, 3.5).
        if stream.local_addr().is_ok_and(|local| local == self.options.address) {
            self.opener.connecting -= 1;
            self.not_opened(slot, &Errno::ECONNREFUSED.into());
            return false;
        }
        let nanos = self.shared.clock.now().saturating_sub(*since);
        // Fails only on a connection that is broken by now, which the next read tells.
        let _ = stream.set_nodelay(true);
        self.recorder.connected(nanos);
        if let State::Connecting(stream, _) = std::mem::replace(&mut connection.state, State::Closed) {
            connection.state = State::Open(stream);
        }
        connection.writable = true;
        self.opener.connecting -= 1;
        self.open += 1;
        true
    }

    fn not_opened(&mut self, slot: usize, error: &io::Error) {
        let kind = ErrorKind::of(error);
        let line = explain_connect(self.options.address, error);
        if self.phase == Phase::Connecting {
            self.shared.fail(line.clone());
        }
        self.count(kind, line);
        if matches!(kind, ErrorKind::NoPort | ErrorKind::NoDescriptor) {
            self.opener.pause(self.shared.clock.now());
        }
        self.connections[slot].reset(State::Waiting);
        self.try_again(slot);
    }

    /// Opens a slot again later, if there is a later.
    pub(super) fn try_again(&mut self, slot: usize) {
        if self.phase == Phase::Finishing {
            self.connections[slot].state = State::Closed;
        } else {
            self.opener.open_again(self.shared.clock.now(), slot);
        }
    }
}
