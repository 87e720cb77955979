//! Any order of operations on a conversation, and the little that must hold after each: for
//! `corpus.rs` and for the fuzzer, which finds such orders.

use arbitrary::{Arbitrary, Unstructured};
use common::buffer::LARGE_BYTES;
use common::{Buffer, Conversation, Progress, Turn, Want, drive, shout};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

/// What happens next.
#[derive(Debug, Arbitrary)]
enum Operation {
    /// The peer sends so many bytes more.
    Arrive(u32),
    /// The peer takes so many bytes.
    Take(u32),
    /// The next reads or writes are interrupted.
    Interrupt { reads: u8, writes: u8 },
    /// The peer sends no more.
    End,
    /// The conversation is driven for one turn.
    Drive { bytes: u32, short_read_drains: bool },
}

/// A peer, and the socket to it: what has arrived, what it will take, what it has taken.
#[derive(Debug, Default)]
struct Peer {
    arrived: VecDeque<u8>,
    takes: usize,
    taken: Vec<u8>,
    ended: bool,
    interrupted_reads: u8,
    interrupted_writes: u8,
}

/// Whether a call is to be interrupted.
fn interrupt(left: &mut u8) -> io::Result<()> {
    match left.checked_sub(1) {
        Some(fewer) => {
            *left = fewer;
            Err(ErrorKind::Interrupted.into())
        }
        None => Ok(()),
    }
}

impl Read for Peer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        interrupt(&mut self.interrupted_reads)?;
        match self.arrived.read(buffer)? {
            0 if !self.ended => Err(ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        interrupt(&mut self.interrupted_writes)?;
        let count = bytes.len().min(self.takes);
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.takes -= count;
        self.taken.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The byte at a place of what the peer sends: it repeats in no size of a buffer.
fn byte(place: usize) -> u8 {
    (place % 251).to_le_bytes()[0]
}

/// Does what the bytes say. At the end the peer takes all, and everything is answered.
pub(crate) fn conversation(bytes: &[u8]) {
    let mut input = Unstructured::new(bytes);
    let is_shared = input.arbitrary().unwrap_or_default();
    let mut buffer = if is_shared { Buffer::shared() } else { Buffer::new() };
    let (mut conversation, mut peer, mut sent) = (Conversation::new(), Peer::default(), 0_usize);
    for operation in input.arbitrary_iter::<Operation>().into_iter().flatten().flatten().take(200) {
        match operation {
            Operation::Arrive(count) if !peer.ended => {
                // As much as fills the large part of a buffer twice.
                let count = count as usize % (256 * 1024);
                peer.arrived.extend((sent..sent + count).map(byte));
                sent += count;
            }
            Operation::Arrive(_) => {}
            Operation::Take(count) => peer.takes += count as usize % (256 * 1024),
            Operation::Interrupt { reads, writes } => {
                (peer.interrupted_reads, peer.interrupted_writes) = (reads, writes);
            }
            Operation::End => peer.ended = true,
            Operation::Drive { bytes, short_read_drains } => {
                let turn = Turn { bytes: bytes as usize, short_read_drains };
                step(&mut conversation, &mut peer, &mut buffer, turn);
            }
        }
    }
    (peer.ended, peer.takes) = (true, usize::MAX);
    let mut turns = 0;
    while step(&mut conversation, &mut peer, &mut buffer, Turn::LONG) != Progress::Ended {
        turns += 1;
        assert!(turns <= 256 + sent / Turn::LONG.bytes, "it goes round in circles");
    }
    assert_eq!((conversation.wants(), peer.taken.len()), (Want::Close, sent));
    let mut expected: Vec<u8> = (0..sent).map(byte).collect();
    expected.make_ascii_uppercase();
    assert!(peer.taken == expected, "an answer is wrong, or out of order");
}

/// One turn, after which the conversation is in the state that its progress says.
fn step(conversation: &mut Conversation, peer: &mut Peer, buffer: &mut Buffer, turn: Turn) -> Progress {
    let arrived = peer.arrived.len();
    let progress = drive(conversation, peer, buffer, turn, shout).expect("this peer breaks nothing");
    let received = arrived - peer.arrived.len();
    assert!(received < turn.bytes.saturating_add(LARGE_BYTES), "the turn was too long");
    assert!(conversation.unsent().len() <= LARGE_BYTES, "too much is kept");
    match progress {
        Progress::Ended => assert!(peer.ended && peer.arrived.is_empty()),
        Progress::Blocked if conversation.wants() == Want::Write => {
            assert_eq!(peer.takes, 0, "it stopped although the peer would take more");
        }
        Progress::Blocked => assert!(turn.short_read_drains || peer.arrived.is_empty(), "it stopped early"),
        Progress::Unfinished => assert!(received >= turn.bytes),
        Progress::Interrupted => assert_eq!(conversation.wants(), Want::Read),
    }
    progress
}
