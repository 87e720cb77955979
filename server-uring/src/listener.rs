//! The listener, whose connections the kernel accepts on request: the requests, and what they have
//! brought.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::Result;
use serving::{ServerOptions, tcp};

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

/// A listener, and connections that the kernel has accepted from it.
///
/// One request for all connections is the cheapest, but it knows no limit. So it is made only while
/// there are more places than connections that can wait in the listener's queue. Otherwise each
/// request is for one, and there are never more than places. More can arrive all the same, when the
/// queue fills again while it is emptied: they wait here as they would wait there.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: TcpListener,
    accepted: VecDeque<TcpStream>,
    /// Why the last request failed; many that fail at once fail for the same reason.
    error: Option<io::Error>,
    for_all: ForAll,
    /// Requests for one that are underway.
    for_one: usize,
    /// Whether no more are made, since each keeps the listener open.
    ended: bool,
    /// The most connections that can wait in the queue.
    queue: usize,
}

impl Listener {
    /// Opens the listening socket. No request is made yet.
    ///
    /// # Errors
    /// Those of [`serving::listen`].
    pub(crate) fn new(options: &ServerOptions) -> Result<Self> {
        let listener = serving::listen(options)?;
        // A request on a non-blocking socket fails where it should wait.
        listener.set_nonblocking(false)?;
        let backlog = usize::try_from(options.backlog).unwrap_or(usize::MAX);
        Ok(Self {
            listener,
            accepted: VecDeque::new(),
            error: None,
            for_all: ForAll::None,
            for_one: 0,
            ended: false,
            queue: backlog.max(REQUESTS_FOR_ONE),
        })
    }

    /// Makes the requests for as many connections as there are `places`, except those underway.
    pub(crate) fn request(&mut self, ring: &mut Ring, places: usize) {
        let places = places.saturating_sub(self.accepted.len());
        match self.for_all {
            _ if self.ended => self.take_waiting(places),
            ForAll::None if places > self.queue => {
                self.for_all = ForAll::Underway;
                ring.accept_all(&self.listener);
            }
            ForAll::None => {
                while self.for_one < places.min(REQUESTS_FOR_ONE) {
                    self.for_one += 1;
                    ring.accept_one(&self.listener);
                }
            }
            ForAll::Underway if places <= self.queue => {
                self.for_all = ForAll::Cancelled;
                ring.cancel(Operation::AcceptAll);
            }
            ForAll::Underway | ForAll::Cancelled => {}
        }
    }

    /// Takes what a request has brought. Without `more` the request has ended.
    pub(crate) fn take(&mut self, all: bool, result: io::Result<TcpStream>, more: bool) {
        if !all {
            self.for_one -= 1;
        } else if !more {
            self.for_all = ForAll::None;
        }
        match result.map(|stream| (self.accepted.try_reserve(1), stream)) {
            Ok((Ok(()), stream)) => self.accepted.push_back(stream),
            Ok((Err(_), _)) => self.error = Some(io::Error::from_raw_os_error(libc::ENOMEM)),
            Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => {}
            // Another server that has this listener too, as in an upgrade, has made it non-blocking.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let _ = self.listener.set_nonblocking(false);
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// The next connection, as `accept` of a listener that does not block.
    ///
    /// # Errors
    /// Why a request failed, once; otherwise that nobody waits.
    pub(crate) fn accept(&mut self) -> io::Result<TcpStream> {
        let nobody = || io::Error::from_raw_os_error(libc::EAGAIN);
        self.accepted.pop_front().ok_or_else(|| self.error.take().unwrap_or_else(nobody))
    }

    /// Ends all requests, as each keeps the listener open. Says whether some are still underway:
    /// after a turn, call it again. When none is, it accepts those who wait in the queue, as far as
    /// there are `places`, and so does [`Listener::request`] from then on.
    pub(crate) fn end(&mut self, ring: &mut Ring, places: usize) -> bool {
        self.ended = true;
        let (all, one) = (self.for_all != ForAll::None, self.for_one > 0);
        if all {
            ring.cancel(Operation::AcceptAll);
        }
        if one {
            ring.cancel(Operation::AcceptOne);
        }
        let underway = (all || one) && !ring.is_refused();
        if !underway {
            self.take_waiting(places.saturating_sub(self.accepted.len()));
        }
        underway
    }

    fn take_waiting(&mut self, places: usize) {
        let wanted = places.min(tcp::waiting(&self.listener));
        if self.accepted.try_reserve(wanted).is_ok() {
            let waiting = (0..wanted).flat_map(|_| serving::accept(&self.listener));
            self.accepted.extend(waiting.map(|(stream, _)| stream));
        }
    }

    /// The requests are gone with their ring.
    pub(crate) fn forget(&mut self) {
        (self.for_all, self.for_one) = (ForAll::None, 0);
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}
