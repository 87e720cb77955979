//! What a completion belongs to: the 64 bits that travel with a request through the kernel and come
//! back with its result.

use std::io;
use std::net::TcpStream;

use crate::ring::Filled;

/// Where the parts begin; the place of the conversation has the lowest bits.
const BUFFER_SHIFT: u32 = 32;
const KIND_SHIFT: u32 = 48;

/// A request, as its completions name it.
///
/// A conversation is named by its place in the table alone. It keeps the place until its last
/// request has completed, so no completion can be meant for a predecessor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Says that signals have arrived.
    Signals,
    /// Says that a tick has passed.
    Tick,
    /// Accepts every connection, until it is cancelled.
    AcceptAll,
    /// Accepts one connection.
    AcceptOne,
    /// Cancels other requests; their own completions tell the rest.
    Cancel,
    /// Receives for the conversation at this place whatever its peer sends, until it is cancelled.
    Receive(u32),
    /// Sends one buffer.
    Send(u32, u16),
    /// Says that the conversation's socket has room for answers, or has bytes.
    Ready(u32),
}

/// The result of a request.
#[derive(Debug)]
pub(crate) enum Completion {
    /// Signals have arrived.
    Signals,
    /// A tick has passed.
    Tick,
    /// A connection, or why there is none. Without `more` the request has ended; one that is not
    /// for `all` always has.
    Accepted { all: bool, result: io::Result<TcpStream>, more: bool },
    /// What concerns the conversation at a place.
    Conversation(u32, Event),
}

/// What can happen to a conversation.
#[derive(Debug)]
pub(crate) enum Event {
    /// Bytes were received; `None` is the end of the input. Without `more` the request has ended.
    Received { result: io::Result<Option<Filled>>, more: bool },
    /// So many bytes of the buffer were sent.
    Sent { buffer: Filled, result: io::Result<usize> },
    /// The socket is ready, or never will be.
    Ready,
}

impl Operation {
    /// The 64 bits.
    #[inline]
    pub(crate) fn to_bits(self) -> u64 {
        let (kind, place, buffer): (u64, u32, u16) = match self {
            Self::Signals => (0, 0, 0),
            Self::Tick => (1, 0, 0),
            Self::AcceptAll => (2, 0, 0),
            Self::AcceptOne => (3, 0, 0),
            Self::Cancel => (4, 0, 0),
            Self::Receive(place) => (5, place, 0),
            Self::Send(place, buffer) => (6, place, buffer),
            Self::Ready(place) => (7, place, 0),
        };
        kind << KIND_SHIFT | u64::from(buffer) << BUFFER_SHIFT | u64::from(place)
    }

    /// Reads the 64 bits.
    ///
    /// # Panics
    /// If no operation has them.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the parts are cut out")]
    pub(crate) fn from_bits(bits: u64) -> Self {
        let (place, buffer) = (bits as u32, (bits >> BUFFER_SHIFT) as u16);
        match bits >> KIND_SHIFT {
            0 => Self::Signals,
            1 => Self::Tick,
            2 => Self::AcceptAll,
            3 => Self::AcceptOne,
            4 => Self::Cancel,
            5 => Self::Receive(place),
            6 => Self::Send(place, buffer),
            7 => Self::Ready(place),
            kind => panic!("the kernel answers a request of kind {kind}, which nobody has made"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_comes_back_as_it_went() {
        let mut all = vec![Operation::Signals, Operation::Tick, Operation::AcceptAll, Operation::AcceptOne];
        all.push(Operation::Cancel);
        for place in [0, 1, 9_999_999, u32::MAX] {
            all.extend([Operation::Receive(place), Operation::Ready(place)]);
            all.extend([0, 1, u16::MAX].map(|buffer| Operation::Send(place, buffer)));
        }
        let mut bits: Vec<u64> = all.iter().map(|operation| operation.to_bits()).collect();
        for (operation, &bits) in all.iter().zip(&bits) {
            assert_eq!(Operation::from_bits(bits), *operation);
        }
        bits.sort_unstable();
        bits.dedup();
        assert_eq!(bits.len(), all.len());
    }
}
