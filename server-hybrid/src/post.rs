//! How event loops reach each other, also those of other processes: an inbox for each, made before the first fork, so that the
//! successor of a loop that has died finds what it had not read.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

use crate::ledger::Sender;

/// The length of a letter in bytes: who sends it, and which life of it.
const LETTER_BYTES: usize = 8;

/// Puts letters into the inboxes of all loops.
#[derive(Debug)]
pub(crate) struct Post(Vec<UnixDatagram>);

/// Where a loop finds letters.
#[derive(Debug)]
pub(crate) struct Inbox(UnixDatagram);

/// What a loop is told.
#[derive(Debug)]
pub(crate) enum Letter {
    /// There is something to see in the ledger, or a stop.
    Look,
    /// Serve this client. There is none where this process has no descriptor left for it: then it is lost.
    Client(Option<TcpStream>, Sender),
}

/// Post for `loops` loops, and their inboxes.
///
/// # Errors
/// If there are no descriptors.
pub(crate) fn open(loops: usize) -> io::Result<(Post, Vec<Inbox>)> {
    let mut post = Vec::with_capacity(loops);
    let mut inboxes = Vec::with_capacity(loops);
    for _ in 0..loops {
        let (outside, inside) = UnixDatagram::pair()?;
        outside.set_nonblocking(true)?;
        inside.set_nonblocking(true)?;
        post.push(outside);
        inboxes.push(Inbox(inside));
    }
    Ok((Post(post), inboxes))
}

impl Post {
    /// Wakes a loop. Publish the fact first, then ring.
    pub(crate) fn ring(&self, index: usize) {
        // It fails only where the inbox is full, and then the loop is going to wake anyway.
        let _ = self.0[index].send(&[]);
    }

    /// Hands a client over to a loop. The caller's own descriptor of it stays open.
    ///
    /// # Errors
    /// `EAGAIN` where the inbox is full, `ETOOMANYREFS` where too many are on their way (unix(7)): serve it yourself then.
    pub(crate) fn hand_over(&self, index: usize, client: &impl AsFd, sender: Sender) -> io::Result<()> {
        let mut letter = [0; LETTER_BYTES];
        letter[..4].copy_from_slice(&sender.index.to_ne_bytes());
        letter[4..].copy_from_slice(&sender.life.to_ne_bytes());
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let client = [client.as_fd()];
        ancillary.push(SendAncillaryMessage::ScmRights(&client));
        sendmsg(&self.0[index], &[IoSlice::new(&letter)], &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

impl Inbox {
    /// The next letter; `None` where there is none.
    pub(crate) fn next(&self) -> Option<Letter> {
        let mut bytes = [0; LETTER_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let message = recvmsg(&self.0, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC).ok()?;
        if message.bytes < LETTER_BYTES {
            return Some(Letter::Look);
        }
        let client = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut clients) => clients.next(),
            _ => None,
        });
        let [a, b, c, d, e, f, g, h] = bytes;
        let sender =
            Sender { index: u32::from_ne_bytes([a, b, c, d]), life: u32::from_ne_bytes([e, f, g, h]) };
        Some(Letter::Client(client.map(|client: OwnedFd| client.into()), sender))
    }
}

impl AsFd for Inbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
