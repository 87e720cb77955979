//! A conversation and `drive`, against a reference that is simple enough to be read: whatever the
//! socket does, in whatever order, each call on it is the one that the reference expects, with the
//! bytes that it expects, and so is what `drive` returns.
//!
//! `cargo test` tries 100,000 random sequences. More, which was done once with ten million:
//! `PROPTEST_CASES=10000000 cargo test --release -p common --test conversation`.

use std::io::{self, ErrorKind, Read, Write};

use common::buffer::LARGE_BYTES;
use common::{Buffer, Conversation, Progress, Turn, Want, drive, shout};
use proptest::prelude::*;
use proptest::test_runner::RngAlgorithm;

/// What a socket does on one call.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Moves at most this many bytes.
    Move(usize),
    /// A read finds the end of input, a write is not taken at all.
    Nothing,
    Fail(ErrorKind),
}

/// One random number is one step.
fn step(number: u32) -> Step {
    let size = (number >> 16) as usize;
    match number % 1024 {
        0..480 => Step::Move(1 + size % 8),
        480..620 => Step::Move(1 + size % 3_000),
        // Around what the small and the large part of a buffer hold.
        620..700 => Step::Move(2_045 + size % 6),
        700..702 => Step::Move(LARGE_BYTES - 3 + size % 6),
        702..830 => Step::Fail(ErrorKind::WouldBlock),
        830..930 => Step::Fail(ErrorKind::Interrupted),
        930..980 => Step::Nothing,
        _ => Step::Fail([ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::TimedOut][size % 3]),
    }
}

/// Random numbers, after Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators"
/// (2014), since a strategy for each would be most of the time. A case that fails shrinks to the
/// beginning of its sequence.
fn numbers() -> impl Strategy<Value = Vec<u32>> {
    (any::<u64>().no_shrink(), 0_usize..40).prop_map(|(mut state, count)| {
        let next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            u32::try_from(mixed >> 32).unwrap_or_default()
        };
        std::iter::repeat_with(next).take(count).collect()
    })
}

/// Byte `place` of what the client says: every value, in no period of the buffers.
fn said(place: usize) -> u8 {
    (place * 167 + place / 253).to_le_bytes()[0]
}

/// The transformation, written another way than in the code under test.
fn answer(byte: u8) -> u8 {
    match byte {
        97..=122 => byte - 32,
        other => other,
    }
}

/// What comes next, as the documents of [`drive`] say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Read,
    Write,
    Return(Result<Progress, ErrorKind>),
}

/// The reference: a client's bytes are numbered, and it knows only how many came and how many went.
/// It is also the socket, and so compares each call with what it expects.
#[derive(Debug)]
struct Reference {
    steps: std::vec::IntoIter<u32>,
    received: usize,
    answered: usize,
    has_ended: bool,
    turn: Turn,
    /// Received in this turn.
    in_turn: usize,
    /// Whether the last read of this turn left space in the buffer.
    was_short: bool,
    /// What the last call has made `drive` return.
    verdict: Option<Result<Progress, ErrorKind>>,
    calls: usize,
}

impl Reference {
    fn next(&self) -> Next {
        match self.verdict {
            Some(verdict) => Next::Return(verdict),
            None if self.answered < self.received => Next::Write,
            None if self.has_ended => Next::Return(Ok(Progress::Ended)),
            None if self.turn.short_read_drains && self.was_short => Next::Return(Ok(Progress::Blocked)),
            None if self.in_turn >= self.turn.bytes => Next::Return(Ok(Progress::Unfinished)),
            None => Next::Read,
        }
    }

    fn begin_turn(&mut self, turn: Turn) {
        (self.turn, self.in_turn, self.was_short, self.verdict) = (turn, 0, false, None);
    }

    /// After the script the client says no more, and takes everything.
    fn step(&mut self, at_the_end: Step) -> Step {
        self.calls += 1;
        self.steps.next().map_or(at_the_end, step)
    }

    fn fail(&mut self, kind: ErrorKind, result: Result<Progress, ErrorKind>) -> io::Result<usize> {
        self.verdict = Some(result);
        Err(kind.into())
    }
}

impl Read for Reference {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        assert_eq!(self.next(), Next::Read, "{self:?}");
        assert!((1..=LARGE_BYTES).contains(&space.len()));
        match self.step(Step::Nothing) {
            Step::Move(most) => {
                let count = most.min(space.len());
                (self.received..).zip(&mut space[..count]).for_each(|(place, byte)| *byte = said(place));
                self.received += count;
                self.in_turn += count;
                self.was_short = count < space.len();
                Ok(count)
            }
            Step::Nothing => {
                self.has_ended = true;
                Ok(0)
            }
            Step::Fail(ErrorKind::WouldBlock) => self.fail(ErrorKind::WouldBlock, Ok(Progress::Blocked)),
            Step::Fail(ErrorKind::Interrupted) => {
                self.fail(ErrorKind::Interrupted, Ok(Progress::Interrupted))
            }
            Step::Fail(kind) => self.fail(kind, Err(kind)),
        }
    }
}

impl Write for Reference {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        assert_eq!(self.next(), Next::Write, "{self:?}");
        // All that is owed and no more, each time.
        assert_eq!(bytes.len(), self.received - self.answered, "{self:?}");
        let mut owed = (self.answered..).zip(bytes);
        assert!(owed.all(|(place, byte)| *byte == answer(said(place))), "{self:?}");
        match self.step(Step::Move(usize::MAX)) {
            Step::Move(most) => {
                let count = most.min(bytes.len());
                self.answered += count;
                Ok(count)
            }
            Step::Nothing => {
                self.verdict = Some(Err(ErrorKind::WriteZero));
                Ok(0)
            }
            Step::Fail(ErrorKind::WouldBlock) => self.fail(ErrorKind::WouldBlock, Ok(Progress::Blocked)),
            // Tried again at once.
            Step::Fail(ErrorKind::Interrupted) => Err(ErrorKind::Interrupted.into()),
            Step::Fail(kind) => self.fail(kind, Err(kind)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the conversation tells of itself, as the reference knows it.
fn agree(conversation: &Conversation, reference: &Reference) {
    let owed = reference.answered..reference.received;
    let wants = match reference.has_ended {
        _ if !owed.is_empty() => Want::Write,
        false => Want::Read,
        true => Want::Close,
    };
    assert_eq!(conversation.wants(), wants, "{reference:?}");
    assert!(conversation.unsent().iter().copied().eq(owed.map(|place| answer(said(place)))), "{reference:?}");
}

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(100_000);
    // The usual generator, without optimisation, would be half of the time.
    let rng_algorithm = RngAlgorithm::XorShift;
    ProptestConfig { cases, rng_algorithm, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_a_socket_does_drive_does_what_the_reference_expects(
        numbers in numbers(),
        bytes in prop_oneof![Just(usize::MAX), 0_usize..20_000],
        short_read_drains in any::<bool>(),
        shared in any::<bool>(),
        // At this turn the server stops hearing the client, as at the end of a stop.
        deaf_at in 1_usize..30,
    ) {
        let most_calls = 3 * numbers.len() + 100;
        let turn = Turn { bytes, short_read_drains };
        let mut reference = Reference {
            steps: numbers.into_iter(),
            received: 0,
            answered: 0,
            has_ended: false,
            turn,
            in_turn: 0,
            was_short: false,
            verdict: None,
            calls: 0,
        };
        let mut conversation = Conversation::new();
        let mut buffer = if shared { Buffer::shared() } else { Buffer::new() };
        for number in 1.. {
            // A turn of no bytes: unsent answers may go, and nothing is read.
            let deaf = number >= deaf_at;
            reference.begin_turn(if deaf { Turn { bytes: 0, ..turn } } else { turn });
            let turn = reference.turn;
            let returned = drive(&mut conversation, &mut reference, &mut buffer, turn, shout);
            let returned = returned.map_err(|error| error.kind());
            assert_eq!(Next::Return(returned), reference.next(), "{reference:?}");
            if returned.is_err() {
                break;
            }
            agree(&conversation, &reference);
            if returned == Ok(Progress::Ended) {
                assert_eq!(reference.received, reference.answered);
                break;
            }
            if deaf && conversation.wants() == Want::Read {
                conversation.end_of_input();
                reference.has_ended = true;
            } else if bytes == 0 && !deaf {
                // Nothing would ever be read.
                continue;
            }
            assert!(reference.calls <= most_calls, "the conversation goes round in circles");
        }
    }

    #[test]
    fn a_conversation_without_io_owes_what_the_reference_owes(numbers in numbers()) {
        let mut conversation = Conversation::new();
        let (mut received, mut sent) = (0, 0);
        for number in numbers {
            let size = (number >> 8) as usize % 300;
            match conversation.wants() {
                Want::Read if number % 256 < 8 => conversation.end_of_input(),
                Want::Read => {
                    let mut bytes: Vec<u8> = (received..received + size).map(said).collect();
                    let answers = conversation.receive(&mut bytes, shout);
                    assert!(answers.iter().copied().eq((received..received + size).map(|place| answer(said(place)))));
                    let at_once = number as usize % (size + 1);
                    conversation.keep(&answers[at_once..])?;
                    received += size;
                    sent += at_once;
                }
                Want::Write => {
                    let count = size.min(received - sent);
                    conversation.sent(count);
                    sent += count;
                }
                Want::Close => break,
            }
            assert!(conversation.unsent().iter().copied().eq((sent..received).map(|place| answer(said(place)))));
            assert_eq!(conversation.wants() == Want::Write, sent < received);
        }
    }
}

/// The transformation of many bytes.
fn answers(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().map(answer).collect()
}

#[test]
fn only_ascii_letters_change_and_no_length_does() {
    let mut all: Vec<u8> = (0..=255).collect();
    common::shout(&mut all);
    assert_eq!(all, answers(&(0..=255).collect::<Vec<u8>>()));
    let mut text = "straße, ıstanbul, ﬁn, 你好 abc".as_bytes().to_vec();
    common::shout(&mut text);
    assert_eq!(text, "STRAßE, ıSTANBUL, ﬁN, 你好 ABC".as_bytes());
}

#[test]
#[should_panic(expected = "received while answers are unsent")]
fn receiving_while_answers_are_unsent_is_refused() {
    let mut conversation = Conversation::new();
    conversation.keep(b"HELLO").unwrap();
    conversation.receive(&mut [b'x'], shout);
}
