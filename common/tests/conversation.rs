//! For any bytes, any split of reads, any pattern of short writes, interruptions and would-blocks:
//! the output is the upper-cased input, in order, once, and nothing is kept when all is written.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

use common::{Buffer, Conversation, Progress, Turn, Want, drive, shout};
use proptest::prelude::*;

/// What a socket does on one call.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Moves at most this many bytes.
    Move(usize),
    WouldBlock,
    Interrupted,
}

/// A peer that has said everything already, on a socket that follows a script; after the script it
/// does as it is told.
#[derive(Debug)]
struct Scripted {
    input: VecDeque<u8>,
    output: Vec<u8>,
    reads: VecDeque<Step>,
    writes: VecDeque<Step>,
}

impl Step {
    fn bytes(self) -> io::Result<usize> {
        match self {
            Self::Move(most) => Ok(most),
            Self::WouldBlock => Err(ErrorKind::WouldBlock.into()),
            Self::Interrupted => Err(ErrorKind::Interrupted.into()),
        }
    }
}

impl Read for Scripted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.reads.pop_front().unwrap_or(Step::Move(usize::MAX)).bytes()?;
        let count = buffer.len().min(most).min(self.input.len());
        for (place, byte) in buffer.iter_mut().zip(self.input.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }
}

impl Write for Scripted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let most = self.writes.pop_front().unwrap_or(Step::Move(usize::MAX)).bytes()?;
        let count = bytes.len().min(most);
        self.output.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The transformation, written another way than in the code under test.
fn upper_cased(bytes: &[u8]) -> Vec<u8> {
    let shout = |&byte: &u8| match byte {
        97..=122 => byte - 32,
        other => other,
    };
    bytes.iter().map(shout).collect()
}

fn steps() -> impl Strategy<Value = VecDeque<Step>> {
    let step = prop_oneof![
        4 => (1_usize..9).prop_map(Step::Move),
        4 => (1_usize..5_000).prop_map(Step::Move),
        1 => Just(Step::WouldBlock),
        1 => Just(Step::Interrupted),
    ];
    prop::collection::vec(step, 0..60).prop_map(VecDeque::from)
}

fn input() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        // Around and beyond what the small and the large part of a buffer hold.
        (any::<u8>(), 1_500_usize..400_000).prop_map(|(first, length)| {
            (0..length).map(|index| first.wrapping_add((index % 251).to_le_bytes()[0])).collect()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_is_answered_once_and_in_order(
        input in input(),
        reads in steps(),
        writes in steps(),
        bytes in prop_oneof![Just(usize::MAX), 1_usize..20_000],
        short_read_drains in any::<bool>(),
        shared in any::<bool>(),
    ) {
        let mut stream = Scripted { input: input.clone().into(), output: Vec::new(), reads, writes };
        let mut conversation = Conversation::new();
        let mut buffer = if shared { Buffer::shared() } else { Buffer::new() };
        // Each call but the last uses up a step of a script or moves bytes, so the number of calls
        // is bounded.
        let mut calls = 0;
        while drive(&mut conversation, &mut stream, &mut buffer, Turn { bytes, short_read_drains }, shout)? != Progress::Ended {
            prop_assert!(conversation.unsent().len() <= common::buffer::LARGE_BYTES);
            calls += 1;
            prop_assert!(calls <= input.len() + 200, "the conversation goes round in circles");
        }
        prop_assert!(stream.output == upper_cased(&input));
        prop_assert_eq!(conversation.wants(), Want::Close);
        prop_assert!(conversation.unsent().is_empty());
    }

    #[test]
    fn nothing_is_read_while_answers_are_unsent(input in input(), taken in 0_usize..100) {
        let writes = VecDeque::from([Step::Move(taken.max(1)), Step::WouldBlock, Step::WouldBlock]);
        let mut stream = Scripted { input: input.clone().into(), output: Vec::new(), reads: VecDeque::new(), writes };
        let mut conversation = Conversation::new();
        let mut buffer = Buffer::shared();
        let turn = Turn { bytes: usize::MAX, short_read_drains: false };
        let progress = drive(&mut conversation, &mut stream, &mut buffer, turn, shout)?;
        if progress == Progress::Blocked {
            let left = stream.input.len();
            prop_assert_eq!(conversation.wants(), Want::Write);
            prop_assert_eq!(drive(&mut conversation, &mut stream, &mut buffer, turn, shout)?, Progress::Blocked);
            prop_assert_eq!(stream.input.len(), left, "read although the peer takes nothing");
        }
    }
}

#[test]
fn a_broken_stream_ends_the_conversation_with_its_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::ConnectionReset.into())
        }
    }
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            unreachable!("nothing was received")
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let result = drive(&mut Conversation::new(), &mut Broken, &mut Buffer::new(), Turn::LONG, shout);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn only_ascii_letters_change_and_no_length_does() {
    let mut all: Vec<u8> = (0..=255).collect();
    common::shout(&mut all);
    assert_eq!(all, upper_cased(&(0..=255).collect::<Vec<u8>>()));
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
