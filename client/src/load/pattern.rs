//! What is sent, and what must come back.
//!
//! Every request begins with a tag of its own, drawn from the seed, its connection and its number;
//! what follows is a piece of one random pattern that all requests share. So a reply that belongs
//! to another request or another connection cannot pass, and yet nothing is generated while the
//! clock runs: sending and comparing are copies and comparisons of whole slices.

use std::io::IoSlice;

use super::options::{LoadOptions, lines};

/// Length of the pattern in bytes, a power of two. It fits the second-level cache together with its
/// expected twin.
const PATTERN_BYTES: usize = 256 * 1024;

/// A request's piece begins at one of this many places; few, so that small requests stay in the
/// first-level cache.
const OFFSETS: u64 = 4096;

/// Bytes of a tag; a shorter request has as much of it as fits.
const TAG_BYTES: usize = 8;

/// The increment of splitmix64, the golden ratio in 64 bits.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The requests and their replies, made once for all connections.
#[derive(Debug)]
pub struct Payload {
    sent: Vec<u8>,
    expected: Vec<u8>,
    /// Bytes in each request; in the longest where they differ.
    size: usize,
    /// Where each line begins and how long it is, if each request is one.
    lines: Vec<(usize, usize)>,
    tag_bytes: usize,
    seed: u64,
    echo: bool,
}

/// What is a request's own.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    tag: [u8; TAG_BYTES],
    offset: usize,
    size: usize,
}

impl Payload {
    /// The requests that `options` ask for.
    pub fn new(options: &LoadOptions) -> Self {
        let sent = options.given_bytes().map_or_else(|| random_pattern(options.seed), <[u8]>::to_vec);
        let mut expected = sent.clone();
        if !options.echo {
            common::shout(&mut expected);
        }
        let size = options.request_bytes();
        let tag_bytes = if options.given_bytes().is_some() { 0 } else { TAG_BYTES.min(size) };
        let mut begin = 0;
        let place = |line: &[u8]| {
            begin += line.len();
            (begin - line.len(), line.len())
        };
        let lines = if options.payload_lines { lines(&sent).map(place).collect() } else { Vec::new() };
        Self { sent, expected, size, lines, tag_bytes, seed: options.seed, echo: options.echo }
    }

    /// Bytes in each request; in the longest where they differ.
    pub(super) fn most_bytes(&self) -> usize {
        self.size
    }

    /// Bytes of one request.
    #[inline]
    pub(super) fn bytes_of(&self, key: u64, number: u64) -> usize {
        if self.lines.is_empty() { self.size } else { self.request(key, number).size }
    }

    /// What sets a connection's requests apart; computed once for each connection.
    pub fn key(&self, connection: u64) -> u64 {
        if !self.lines.is_empty() {
            return connection;
        }
        splitmix(self.seed ^ splitmix(connection))
    }

    /// Request `number` of the connection with that key.
    #[inline]
    pub fn request(&self, key: u64, number: u64) -> Request {
        if self.tag_bytes == 0 {
            let line = key.wrapping_add(number) % (self.lines.len() as u64).max(1);
            let line = usize::try_from(line).ok().and_then(|line| self.lines.get(line));
            let (offset, size) = line.copied().unwrap_or((0, self.size));
            return Request { tag: [0; TAG_BYTES], offset, size };
        }
        let mixed = splitmix(key.wrapping_add(number));
        let offset = usize::try_from((mixed >> 20) % OFFSETS).unwrap_or_default();
        Request { tag: mixed.to_le_bytes(), offset, size: self.size }
    }

    /// The reply's tag, by the rule of the whole conversation.
    #[inline]
    fn expected_tag(&self, request: &Request) -> [u8; TAG_BYTES] {
        let mut tag = request.tag;
        if !self.echo {
            common::shout(&mut tag);
        }
        tag
    }

    /// The longest slice of a request that begins at byte `from` of it and lies in one piece of
    /// memory.
    #[inline]
    fn piece<'a>(
        &self,
        pattern: &'a [u8],
        tag: &'a [u8; TAG_BYTES],
        request: &Request,
        from: usize,
    ) -> &'a [u8] {
        if from < self.tag_bytes {
            return &tag[from..self.tag_bytes];
        }
        let mut start = request.offset + (from - self.tag_bytes);
        if start >= pattern.len() {
            start %= pattern.len();
        }
        let rest = (request.size - from).min(pattern.len() - start);
        &pattern[start..start + rest]
    }

    /// Bytes of a request.
    #[inline]
    pub(super) fn size(request: &Request) -> usize {
        request.size
    }

    /// Appends the request from byte `from` on.
    pub fn append(&self, request: &Request, mut from: usize, out: &mut Vec<u8>) {
        while from < request.size {
            let piece = self.piece(&self.sent, &request.tag, request, from);
            out.extend_from_slice(piece);
            from += piece.len();
        }
    }

    /// Points `slices` at the request from byte `from` on, as far as they reach; returns how many
    /// were used, and their bytes.
    pub(super) fn point<'a>(
        &'a self,
        request: &'a Request,
        mut from: usize,
        slices: &mut [IoSlice<'a>],
    ) -> (usize, usize) {
        let begin = from;
        let mut used = 0;
        while from < request.size && used < slices.len() {
            let piece = self.piece(&self.sent, &request.tag, request, from);
            slices[used] = IoSlice::new(piece);
            used += 1;
            from += piece.len();
        }
        (used, from - begin)
    }

    /// Compares a part of the reply, which begins at byte `from` of it, with what it must be.
    ///
    /// # Errors
    /// The index of the first wrong byte in `got`.
    ///
    /// # Panics
    /// If `got` is longer than what is left of the reply.
    #[inline]
    pub fn check(&self, request: &Request, from: usize, got: &[u8]) -> Result<(), usize> {
        assert!(got.len() <= request.size - from, "a reply is as long as its request");
        let tag = self.expected_tag(request);
        let mut checked = 0;
        while checked < got.len() {
            let piece = self.piece(&self.expected, &tag, request, from + checked);
            let length = piece.len().min(got.len() - checked);
            let part = &got[checked..checked + length];
            if part != &piece[..length] {
                let wrong = part.iter().zip(piece).position(|(got, expected)| got != expected);
                return Err(checked + wrong.unwrap_or_default());
            }
            checked += length;
        }
        Ok(())
    }

    /// What byte `position` of the reply must be, and what it was in the request: for a message.
    pub(super) fn bytes_at(&self, request: &Request, position: usize) -> (u8, u8) {
        let tag = self.expected_tag(request);
        let expected = self.piece(&self.expected, &tag, request, position)[0];
        (expected, self.piece(&self.sent, &request.tag, request, position)[0])
    }
}

/// Half lower-case letters, which the server must change, half any byte, most of which it must not.
fn random_pattern(seed: u64) -> Vec<u8> {
    (0..PATTERN_BYTES as u64)
        .map(|index| {
            let [choice, letter, any, ..] =
                splitmix(seed.wrapping_add(index.wrapping_mul(GOLDEN))).to_le_bytes();
            if choice % 2 == 0 { b'a' + letter % 26 } else { any }
        })
        .collect()
}

/// Sebastiano Vigna's splitmix64: a bijection whose outputs look random even for inputs in
/// sequence.
#[inline]
pub fn splitmix(input: u64) -> u64 {
    let mut mixed = input.wrapping_add(GOLDEN);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn payload(size: usize) -> Payload {
        let mut options = LoadOptions::new("127.0.0.1:1".parse().unwrap());
        options.size = size;
        Payload::new(&options)
    }

    fn reply(payload: &Payload, request: &Request) -> Vec<u8> {
        let mut bytes = Vec::new();
        payload.append(request, 0, &mut bytes);
        common::shout(&mut bytes);
        bytes
    }

    #[test]
    fn the_pattern_has_every_byte_and_many_letters() {
        let pattern = random_pattern(7);
        assert!((0..=255).all(|byte| pattern.contains(&byte)));
        assert!(pattern.iter().filter(|byte| byte.is_ascii_lowercase()).count() > pattern.len() / 2);
    }

    #[test]
    fn no_two_requests_are_alike() {
        let payload = payload(64);
        let mut all: Vec<_> = (0..100)
            .flat_map(|connection| (0..100).map(move |number| (connection, number)))
            .map(|(connection, number)| reply(&payload, &payload.request(payload.key(connection), number)))
            .collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 10_000);
    }

    #[test]
    fn lines_are_sent_in_turn_and_each_connection_begins_at_another() {
        let mut options = LoadOptions::new("127.0.0.1:1".parse().unwrap());
        options.payload = Some((*b"one\n\nlonger\nend").into());
        options.payload_lines = true;
        let payload = Payload::new(&options);
        let line = |connection, number| {
            let mut sent = Vec::new();
            payload.append(&payload.request(payload.key(connection), number), 0, &mut sent);
            assert_eq!(sent.len(), payload.bytes_of(payload.key(connection), number));
            String::from_utf8(sent).unwrap()
        };
        assert_eq!(
            [0, 1, 2, 3, 4].map(|number| line(0, number)),
            ["one\n", "\n", "longer\n", "end", "one\n"]
        );
        assert_eq!([line(1, 0), line(3, 1)], ["\n", "one\n"]);
        assert_eq!((payload.most_bytes(), options.request_bytes()), (7, 7));
        let request = payload.request(payload.key(2), 0);
        assert_eq!(payload.check(&request, 0, b"LONGER\n"), Ok(()));
        assert_eq!(payload.check(&request, 3, b"GEr\n"), Err(2));
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let bytes = || reply(&payload(600_000), &payload(600_000).request(5, 6));
        assert_eq!(bytes(), bytes());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_right_reply_passes_in_any_splits_and_a_wrong_byte_is_found(
            size in prop_oneof![1_usize..100, 200_000_usize..600_000],
            number in any::<u64>(),
            splits in prop::collection::vec(1_usize..100_000, 1..40),
            wrong in any::<prop::sample::Index>(),
        ) {
            let payload = payload(size);
            let request = payload.request(3, number);
            let mut reply = reply(&payload, &request);
            let check = |reply: &[u8]| {
                let mut from = 0;
                for split in splits.iter().cycle() {
                    let part = &reply[from..size.min(from + split)];
                    if let Err(index) = payload.check(&request, from, part) {
                        return Some(from + index);
                    }
                    from += part.len();
                    if from == size {
                        return None;
                    }
                }
                None
            };
            prop_assert_eq!(check(&reply), None);
            let wrong = wrong.index(size);
            reply[wrong] ^= 0x80;
            prop_assert_eq!(check(&reply), Some(wrong));
        }

        #[test]
        fn slices_and_copies_are_the_same_bytes(size in 1_usize..600_000, from in any::<prop::sample::Index>()) {
            let payload = payload(size);
            let request = payload.request(1, 2);
            let from = from.index(size);
            let mut copied = Vec::new();
            payload.append(&request, from, &mut copied);
            let mut slices = [IoSlice::new(&[]); 16];
            let (used, bytes) = payload.point(&request, from, &mut slices);
            let pointed: Vec<u8> = slices[..used].iter().flat_map(|slice| slice.iter().copied()).collect();
            prop_assert_eq!(bytes, pointed.len());
            prop_assert_eq!(pointed, copied);
        }
    }
}
