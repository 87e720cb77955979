//! What a completion belongs to: the 64 bits that travel with a request through the kernel and come back with what became of it.

use std::io;
use std::net::TcpStream;

use crate::ring::Filled;

/// Bits of each part, from the lowest: the buffer, the place, the generation; the kind has the rest.
const BUFFER_BITS: u32 = 16;
const PLACE_BITS: u32 = 24;
const GENERATION_BITS: u32 = 20;

/// A conversation as the kernel knows it: its place in the table, and which of the place's successive owners it is.
///
/// A completion whose generation is not that of the place's owner is meant for a predecessor. Generations begin again after a
/// million conversations, and no request lives through so many at its place: a place is freed only when none is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    place: u32,
    generation: u32,
}

impl Key {
    /// The conversation at `place`, which is the `number`th of all.
    ///
    /// # Panics
    /// If the place is beyond every limit on connections.
    pub(crate) fn new(place: usize, number: u64) -> Self {
        let place = u32::try_from(place).ok().filter(|place| place >> PLACE_BITS == 0);
        let generation = number & ((1 << GENERATION_BITS) - 1);
        Self {
            place: place.expect("the limit on connections is lower"),
            generation: u32::try_from(generation).expect("it was just cut to fewer bits"),
        }
    }

    /// Its place in the table.
    pub(crate) fn place(self) -> usize {
        self.place as usize
    }
}

/// A request, as its completions name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Says that signals have arrived.
    Signals,
    /// Accepts every connection, until it is cancelled.
    AcceptAll,
    /// Accepts one connection.
    AcceptOne,
    /// Cancels another request; that one's own completion says what has become of it.
    Cancel,
    /// Receives whatever the peer sends, until it is cancelled.
    Receive(Key),
    /// Sends one buffer.
    Send(Key, u16),
    /// Says that the peer's socket has room again.
    Room(Key),
    /// Says that a tick has passed.
    Tick,
}

/// What has become of a request.
#[derive(Debug)]
pub(crate) enum Completion {
    /// Signals have arrived.
    Signals,
    /// `AcceptAll` or `AcceptOne` has brought a connection or failed; the former ends if there is no `more`.
    Accepted { all: bool, result: io::Result<TcpStream>, more: bool },
    /// Bytes were received; `None` is the end of the input. Without `more` nothing further is received until it is asked for.
    Received { key: Key, result: io::Result<Option<Filled>>, more: bool },
    /// As many bytes of the buffer were sent.
    Sent { key: Key, buffer: Filled, result: io::Result<usize> },
    /// There is room to send, or there never will be.
    Room { key: Key },
    /// A tick has passed.
    Tick,
}

impl Operation {
    /// The 64 bits.
    #[inline]
    pub(crate) fn to_bits(self) -> u64 {
        let with_key = |kind: u64, key: Key, buffer: u16| {
            let conversation = u64::from(key.generation) << PLACE_BITS | u64::from(key.place);
            (kind << GENERATION_BITS << PLACE_BITS | conversation) << BUFFER_BITS | u64::from(buffer)
        };
        let none = Key { place: 0, generation: 0 };
        match self {
            Self::Signals => with_key(0, none, 0),
            Self::AcceptAll => with_key(1, none, 0),
            Self::AcceptOne => with_key(2, none, 0),
            Self::Cancel => with_key(3, none, 0),
            Self::Receive(key) => with_key(4, key, 0),
            Self::Send(key, buffer) => with_key(5, key, buffer),
            Self::Room(key) => with_key(6, key, 0),
            Self::Tick => with_key(7, none, 0),
        }
    }

    /// Reads the 64 bits.
    ///
    /// # Panics
    /// If no operation has them.
    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Self {
        let part = |shift: u32, width: u32| u32::try_from(bits >> shift & ((1 << width) - 1)).unwrap_or(0);
        let key = Key {
            place: part(BUFFER_BITS, PLACE_BITS),
            generation: part(BUFFER_BITS + PLACE_BITS, GENERATION_BITS),
        };
        match bits >> (BUFFER_BITS + PLACE_BITS + GENERATION_BITS) {
            0 => Self::Signals,
            1 => Self::AcceptAll,
            2 => Self::AcceptOne,
            3 => Self::Cancel,
            4 => Self::Receive(key),
            5 => Self::Send(key, u16::try_from(bits & u64::from(u16::MAX)).unwrap_or(0)),
            6 => Self::Room(key),
            7 => Self::Tick,
            kind => panic!("the kernel answers to a request of kind {kind}, which nobody has made"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_comes_back_as_it_went() {
        let keys = [Key::new(0, 0), Key::new(9_999_999, 77), Key::new((1 << PLACE_BITS) - 1, u64::MAX)];
        let mut all = vec![Operation::Signals, Operation::AcceptAll, Operation::AcceptOne];
        all.extend([Operation::Cancel, Operation::Tick]);
        for key in keys {
            all.extend([Operation::Receive(key), Operation::Room(key)]);
            all.extend([0, 1, u16::MAX].map(|buffer| Operation::Send(key, buffer)));
        }
        let bits: Vec<u64> = all.iter().map(|operation| operation.to_bits()).collect();
        for (operation, &bits) in all.iter().zip(&bits) {
            assert_eq!(Operation::from_bits(bits), *operation);
        }
        let mut distinct = bits.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), bits.len());
    }

    #[test]
    fn a_place_has_another_key_for_its_next_owner() {
        assert_ne!(Key::new(3, 10), Key::new(3, 11));
        assert_eq!(Key::new(3, 10).place(), 3);
    }
}
