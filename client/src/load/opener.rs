//! Opens sockets: how many at a time, how fast, from which local address, and when again after a
//! failure.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::net::TcpStream;
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

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
    address: SocketAddr,
    sources: Vec<IpAddr>,
    queue: BinaryHeap<Reverse<(u64, usize)>>,
    paused_until: u64,
}

impl Opener {
    /// Nothing to open yet.
    pub(super) fn new(address: SocketAddr, sources: &[IpAddr]) -> Self {
        let sources = sources.to_vec();
        Self { address, sources, queue: BinaryHeap::new(), paused_until: 0 }
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

    /// Where the connections lead.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether one more may be opened now, beside so many that are `connecting`.
    pub(super) fn may_open(&self, now: u64, connecting: usize) -> bool {
        connecting < MOST_CONNECTING && now >= self.paused_until
    }

    /// The next slot whose time has come.
    pub(super) fn next(&mut self, now: u64, connecting: usize) -> Option<usize> {
        let Reverse((moment, slot)) = *self.queue.peek()?;
        if moment > now || !self.may_open(now, connecting) {
            return None;
        }
        self.queue.pop();
        Some(slot)
    }

    /// When the next slot's time comes, as far as time is all that it waits for.
    pub(super) fn wake_at(&self, connecting: usize) -> Option<u64> {
        let Reverse((moment, _)) = *self.queue.peek()?;
        (connecting < MOST_CONNECTING).then(|| moment.max(self.paused_until))
    }

    /// Begins to connect the load's connection number `index`.
    ///
    /// # Errors
    /// What the system says, such as that there is no free descriptor or port.
    pub(super) fn connect(&self, number: u64) -> io::Result<TcpStream> {
        match self.sources.len() {
            0 => TcpStream::connect(self.address),
            count => {
                let index = usize::try_from(number % count as u64).unwrap_or_default();
                connect_from(self.sources[index], self.address)
            }
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
