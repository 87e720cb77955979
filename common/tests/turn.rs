//! What a turn of [`drive`] does, read by read and write by write.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

use common::{Buffer, Conversation, Progress, Turn, drive, shout};

/// What a socket does on one call.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Moves at most this many bytes.
    Move(usize),
    WouldBlock,
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

#[test]
fn a_greedy_peer_gets_its_turn_and_no_more() {
    let turn = Turn { bytes: 5_000, short_read_drains: false };
    let (mut conversation, mut buffer) = (Conversation::new(), Buffer::new());
    let mut stream = Scripted {
        input: vec![b'a'; 1_000_000].into(),
        output: Vec::new(),
        reads: [Step::Move(1_000); 20].into(),
        writes: VecDeque::new(),
    };
    for answered in [5_000, 10_000] {
        let progress = drive(&mut conversation, &mut stream, &mut buffer, turn, shout).unwrap();
        assert_eq!((progress, stream.output.len()), (Progress::Unfinished, answered));
    }
}

#[test]
fn when_the_peer_takes_what_was_kept_the_same_call_goes_on() {
    let mut stream = Scripted {
        input: b"hello".to_vec().into(),
        output: Vec::new(),
        reads: VecDeque::new(),
        writes: [Step::Move(2), Step::WouldBlock].into(),
    };
    let (mut conversation, mut buffer) = (Conversation::new(), Buffer::new());
    for expected in [Progress::Blocked, Progress::Ended] {
        let progress = drive(&mut conversation, &mut stream, &mut buffer, Turn::LONG, shout).unwrap();
        assert_eq!(progress, expected);
    }
    assert_eq!(stream.output, b"HELLO");
}

#[test]
fn a_read_that_fills_the_buffer_drains_nothing_and_a_short_one_does() {
    let input = VecDeque::from(vec![b'a'; 5_000]);
    let mut stream = Scripted { input, output: Vec::new(), reads: VecDeque::new(), writes: VecDeque::new() };
    let turn = Turn { bytes: usize::MAX, short_read_drains: true };
    let progress = drive(&mut Conversation::new(), &mut stream, &mut Buffer::new(), turn, shout).unwrap();
    assert_eq!((progress, stream.output.len()), (Progress::Blocked, 5_000));
}

#[test]
fn a_peer_that_takes_no_more_ends_the_conversation_with_its_error() {
    struct Gone;
    impl Read for Gone {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Ok(1)
        }
    }
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let result = drive(&mut Conversation::new(), &mut Gone, &mut Buffer::new(), Turn::LONG, shout);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::BrokenPipe);
}
