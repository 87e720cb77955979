//! What the kernel knows about a connection (TCP_INFO, tcp(7)), and throwing away what nobody will
//! read.

#![allow(unsafe_code, reason = "TCP_INFO and MSG_TRUNC have no safe wrapper")]

use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::SockRef;

/// The most bytes that one call of [`discard`] throws away.
const MOST_DISCARDED: usize = 1024 * 1024;

/// The state of a connection that has broken or is closed (tcp_states.h).
const CLOSED: u8 = 7;

/// What the kernel knows about a connection.
#[derive(Debug, Clone, Copy)]
pub struct Info(libc::tcp_info);

impl Info {
    /// Asks the kernel; `None` where the socket is none of TCP's.
    pub fn of(socket: &impl AsFd) -> Option<Self> {
        let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
        let mut length = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).ok()?;
        let socket = socket.as_fd().as_raw_fd();
        // SAFETY: both pointers are valid for writing, and `length` says for how many bytes
        // (getsockopt(2)).
        let result = unsafe {
            libc::getsockopt(
                socket,
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                info.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        // SAFETY: it consists of integers, and was all zeros before the kernel wrote what it knows.
        (result == 0).then(|| Self(unsafe { info.assume_init() }))
    }

    /// How much was sent, or waits to be sent, that the peer has not acknowledged: zero where there
    /// is nothing. Only good for comparisons, since it adds packets and bytes.
    pub fn outstanding(&self) -> u32 {
        self.0.tcpi_unacked.saturating_add(self.0.tcpi_notsent_bytes)
    }

    /// A number that changes when the peer sends or acknowledges something; zero where everything
    /// is acknowledged.
    pub fn progress(&self) -> u32 {
        // The low bits do: only changes count.
        let [a, b, c, d, ..] = self.0.tcpi_bytes_received.to_le_bytes();
        let received = u32::from_le_bytes([a, b, c, d]);
        if self.outstanding() == 0 { 0 } else { received.wrapping_sub(self.outstanding()).max(1) }
    }

    /// How long ago the last bytes arrived, or the connection, where none have.
    pub fn since_received(&self) -> Duration {
        Duration::from_millis(self.0.tcpi_last_data_recv.into())
    }

    /// How long a packet and its acknowledgement take, smoothed (RFC 6298).
    pub fn round_trip(&self) -> Duration {
        Duration::from_micros(self.0.tcpi_rtt.into())
    }

    /// Whether the connection has broken.
    pub fn is_broken(&self) -> bool {
        self.0.tcpi_state == CLOSED
    }

    /// Whether the peer has never sent a byte.
    pub fn is_wordless(&self) -> bool {
        self.0.tcpi_bytes_received == 0
    }
}

/// How many connections wait in a listener's queue.
pub fn waiting(listener: &impl AsFd) -> usize {
    // For a listener the field has another meaning (tcp_get_info in the kernel's net/ipv4/tcp.c).
    Info::of(listener).map_or(0, |info| usize::try_from(info.0.tcpi_unacked).unwrap_or(usize::MAX))
}

/// Whether something can be read, or accepted. To ask costs a fraction of a call that brings
/// nothing.
pub fn is_readable(socket: &impl AsFd) -> bool {
    let mut watched = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    // Where it cannot be asked, reading will tell.
    poll(&mut watched, PollTimeout::ZERO) != Ok(0)
}

/// Before a server accepts that sleeps elsewhere: another that has this listener too, as in an
/// upgrade, may have made it blocking, and may take the client for whom this one would then sleep.
pub fn keep_from_blocking(listener: &impl AsFd) {
    // It fails for no socket.
    let _ = SockRef::from(listener).set_nonblocking(true);
}

/// Throws away some of what has arrived, without a copy; never waits. So a peer that is still
/// sending gets to the point where it reads.
pub fn discard(socket: &impl AsFd) {
    let flags = libc::MSG_TRUNC | libc::MSG_DONTWAIT;
    // SAFETY: with MSG_TRUNC a TCP socket's bytes are dropped and nothing is written through the
    // pointer (tcp(7)).
    let _ = unsafe { libc::recv(socket.as_fd().as_raw_fd(), std::ptr::null_mut(), MOST_DISCARDED, flags) };
}

const _: () = assert!(mem::size_of::<libc::tcp_info>() >= 192, "tcpi_notsent_bytes is there");
