//! The requests that accept connections, and what they have brought.

use std::collections::VecDeque;
use std::io;
use std::net::{TcpListener, TcpStream};

use crate::operation::Operation;
use crate::ring::Ring;

/// The most requests for one connection each that are underway at once.
const REQUESTS_FOR_ONE: usize = 32;

/// The request for all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ForAll {
    None,
    Underway,
    Cancelled,
}

/// Connections that the kernel has accepted for us.
///
/// One request for all connections is the cheapest, but it knows no limit. So it is made only while there are more places than
/// connections that can wait in the listener's queue. Then each request is for one, and there are never more than places.
/// Should more arrive all the same, because the queue was filled again while it was emptied, they wait here as they would there.
#[derive(Debug)]
pub(crate) struct Arrivals {
    waiting: VecDeque<TcpStream>,
    /// Why the last request failed; many that fail at once fail for the same reason.
    error: Option<io::Error>,
    for_all: ForAll,
    /// Requests for one that are underway.
    for_one: usize,
    /// The most connections that can wait in the listener's queue.
    queue: usize,
    closed: bool,
}

impl Arrivals {
    /// No request is made yet, for a listener with this `backlog`.
    pub(crate) fn new(backlog: u32) -> Self {
        let queue = usize::try_from(backlog).unwrap_or(usize::MAX).max(REQUESTS_FOR_ONE);
        Self {
            waiting: VecDeque::new(),
            error: None,
            for_all: ForAll::None,
            for_one: 0,
            queue,
            closed: false,
        }
    }

    /// Makes the requests for as many connections as there are `places`, except those that are underway.
    pub(crate) fn request(&mut self, ring: &mut Ring, listener: &TcpListener, places: usize) {
        let places = places.saturating_sub(self.waiting.len());
        match self.for_all {
            ForAll::None if places > self.queue => {
                self.for_all = ForAll::Underway;
                ring.accept_all(listener);
            }
            ForAll::None => {
                while self.for_one < places.min(REQUESTS_FOR_ONE) {
                    self.for_one += 1;
                    ring.accept_one(listener);
                }
            }
            ForAll::Underway if places <= self.queue => {
                self.for_all = ForAll::Cancelled;
                ring.cancel(Operation::AcceptAll);
            }
            ForAll::Underway | ForAll::Cancelled => {}
        }
    }

    /// Takes what a request has brought.
    pub(crate) fn take(&mut self, all: bool, result: io::Result<TcpStream>, more: bool) {
        if !all {
            self.for_one -= 1;
        } else if !more {
            self.for_all = ForAll::None;
        }
        match result {
            // After the end of the listener a connection comes too late, as one that waits in its queue does.
            Ok(_) if self.closed => {}
            Ok(stream) => self.waiting.push_back(stream),
            Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => {}
            Err(error) => self.error = Some(error),
        }
    }

    /// The next connection, as `accept` on a listener that does not block.
    ///
    /// # Errors
    /// Why a request failed, once; otherwise that nobody waits.
    pub(crate) fn next(&mut self) -> io::Result<TcpStream> {
        match (self.waiting.pop_front(), self.error.take()) {
            (Some(stream), error) => {
                self.error = error;
                Ok(stream)
            }
            (None, Some(error)) => Err(error),
            (None, None) => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
        }
    }

    /// Ends all requests: each keeps the listener open, even when it is closed here. Who waits is not served.
    pub(crate) fn close(&mut self, ring: &mut Ring) {
        self.closed = true;
        self.waiting.clear();
        ring.cancel(Operation::AcceptAll);
        ring.cancel(Operation::AcceptOne);
    }
}
