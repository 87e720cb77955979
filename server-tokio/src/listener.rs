//! The listening socket, for the main task.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll, Waker, ready};

use serving::tcp;
use tokio::net::{TcpListener, TcpStream};

/// A listener to wait for first, and to accept from afterwards; tokio's own does both in one.
#[derive(Debug)]
pub(crate) struct Listener {
    queue: TcpListener,
    /// What came first, while the main task slept.
    first: Option<io::Result<(TcpStream, SocketAddr)>>,
}

impl Listener {
    /// Watches a listener, in the runtime that this is called in.
    ///
    /// # Errors
    /// If the kernel cannot watch one more descriptor.
    pub(crate) fn new(listener: std::net::TcpListener) -> io::Result<Self> {
        Ok(Self { queue: TcpListener::from_std(listener)?, first: None })
    }

    /// Ready when [`Listener::accept`] brings a client, or an error.
    pub(crate) fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.first.is_none() {
            tcp::keep_from_blocking(&self.queue);
            self.first = Some(ready!(self.queue.poll_accept(cx)));
        }
        Poll::Ready(())
    }

    /// Accepts without waiting for anybody.
    ///
    /// # Errors
    /// Those of accept(2), and of epoll_ctl(2) where the kernel cannot watch the new socket.
    pub(crate) fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let _ = self.poll_arrival(&mut Context::from_waker(Waker::noop()));
        self.first.take().unwrap_or(Err(ErrorKind::WouldBlock.into()))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}
