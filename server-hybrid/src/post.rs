//! What processes tell each other: the parent passes sockets down, and workers report ends up.

use std::io::{self, IoSlice, IoSliceMut, PipeWriter, Write};
use std::mem::MaybeUninit;
use std::net::TcpStream as StdStream;
use std::os::fd::{AsFd, OwnedFd};

use mio::net::TcpStream;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serving::Tally;

/// The most sockets that one message can pass (SCM_MAX_FD, unix(7)).
pub(crate) const MOST_PER_MESSAGE: usize = 253;

/// Two ends: the sockets that are passed into one are received from the other. Neither ever waits,
/// and a message is received whole.
///
/// # Errors
/// If there are no descriptors.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// Passes at most [`MOST_PER_MESSAGE`] sockets to another process, all or none. The caller's own
/// descriptors stay open.
///
/// # Errors
/// `EAGAIN` where nobody has received for long, `ETOOMANYREFS` where too many sockets are on their
/// way (unix(7)).
pub(crate) fn pass(outbox: &impl AsFd, streams: &[TcpStream]) -> io::Result<()> {
    let mut sockets = [outbox.as_fd(); MOST_PER_MESSAGE];
    sockets.iter_mut().zip(streams).for_each(|(socket, stream)| *socket = stream.as_fd());
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_PER_MESSAGE))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&sockets[..streams.len()]));
    // A byte for each socket, so that the receiver knows how many there should be.
    let bytes = &[0; MOST_PER_MESSAGE][..streams.len()];
    sendmsg(outbox, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives the sockets of the next message into `streams`, and says how many were passed; `None`
/// where there is no message. A process that has no descriptor left gets fewer than were passed,
/// and the others are closed.
///
/// # Errors
/// If the message cannot be received now: it stays where it is.
pub(crate) fn receive(inbox: &impl AsFd, streams: &mut Vec<TcpStream>) -> io::Result<Option<usize>> {
    let mut bytes = [0; MOST_PER_MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_PER_MESSAGE))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let received = retry_on_intr(|| recvmsg(inbox, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC));
    let message = match received {
        Err(Errno::AGAIN) => return Ok(None),
        received => received?,
    };
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(sockets) = message {
            streams.extend(sockets.map(|socket| TcpStream::from_std(StdStream::from(socket))));
        }
    }
    Ok((message.bytes > 0).then_some(message.bytes))
}

/// What an event loop tells its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    /// Which loop it is, among those of all workers.
    pub(crate) index: u32,
    /// Whether it wants more clients.
    pub(crate) serves: bool,
    /// How many conversations have ended since its last record: completed, failed, timed out.
    pub(crate) ended: [u32; 3],
}

impl Record {
    /// The length of a record, which a pipe takes and gives whole (PIPE_BUF, pipe(7)).
    pub(crate) const BYTES: usize = 20;

    fn encode(self) -> [u8; Self::BYTES] {
        let [completed, failed, timed_out] = self.ended;
        let numbers = [self.index, self.serves.into(), completed, failed, timed_out];
        let mut bytes = [0; Self::BYTES];
        for (place, number) in bytes.chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut numbers = bytes.chunks_exact(4).map(|number| number.try_into().map(u32::from_ne_bytes));
        let mut next = || numbers.next()?.ok();
        Some(Self { index: next()?, serves: next()? != 0, ended: [next()?, next()?, next()?] })
    }
}

/// How one event loop reports: what has changed since it last did.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pipe: &'a PipeWriter,
    last: Record,
    counts: [u64; 4],
}

impl<'a> Report<'a> {
    /// The reports of loop `index`, which has none made yet.
    pub(crate) fn new(pipe: &'a PipeWriter, index: u32) -> Self {
        let last = Record { index, serves: false, ended: [0; 3] };
        Self { pipe, last, counts: Tally::default().counts() }
    }

    /// Reports what `tally` has counted, and whether the loop wants more clients, where either is
    /// news.
    ///
    /// # Errors
    /// If there is no parent any more.
    pub(crate) fn tell(&mut self, tally: &Tally, serves: bool) -> io::Result<()> {
        let (now, before) = (tally.counts(), std::mem::replace(&mut self.counts, tally.counts()));
        // More than a process has descriptors cannot end between two reports.
        let since = |count: usize| u32::try_from(now[count] - before[count]).unwrap_or(u32::MAX);
        let record = Record { serves, ended: [since(1), since(2), since(3)], ..self.last };
        if record.ended != [0; 3] || serves != self.last.serves {
            self.pipe.write_all(&record.encode())?;
        }
        self.last = record;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_record_survives_the_pipe() {
        for serves in [false, true] {
            let record = Record { index: 999_999, serves, ended: [1, 0, u32::MAX] };
            assert_eq!(Record::decode(&record.encode()), Some(record));
        }
        assert_eq!(Record::decode(&[0; Record::BYTES - 1]), None);
    }

    #[test]
    fn sockets_are_received_in_the_messages_in_which_they_were_passed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = |_| {
            let client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, _) = listener.accept().unwrap();
            (client, TcpStream::from_std(server))
        };
        let (clients, servers): (Vec<_>, Vec<_>) = (0..MOST_PER_MESSAGE).map(connect).unzip();
        let (outbox, inbox) = pair().unwrap();
        let mut received = Vec::new();
        assert_eq!(receive(&inbox, &mut received).unwrap(), None);
        pass(&outbox, &servers).unwrap();
        pass(&outbox, &servers[..3]).unwrap();
        drop(servers);
        assert_eq!(receive(&inbox, &mut received).unwrap(), Some(MOST_PER_MESSAGE));
        assert_eq!(received.len(), MOST_PER_MESSAGE);
        for (client, server) in clients.iter().zip(&received) {
            assert_eq!(client.local_addr().unwrap(), server.peer_addr().unwrap());
        }
        assert_eq!(receive(&inbox, &mut received).unwrap(), Some(3));
        assert_eq!(receive(&inbox, &mut received).unwrap(), None);
        assert!(received.iter().all(|stream| stream.as_raw_fd() > 2));
    }

    #[test]
    fn an_inbox_that_is_full_refuses_and_never_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
        let (outbox, inbox) = pair().unwrap();
        let streams = [TcpStream::from_std(client)];
        let passed = (0..1_000_000).take_while(|_| pass(&outbox, &streams).is_ok()).count();
        let mut received = Vec::new();
        assert!((1..1_000_000).contains(&passed));
        assert_eq!(
            (0..=passed).filter_map(|_| receive(&inbox, &mut received).unwrap()).sum::<usize>(),
            passed
        );
    }
}
