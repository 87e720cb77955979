//! Moves a conversation over a byte stream until it ends or the stream would block.
//!
//! On a blocking socket without a timeout the second never happens, so one call is the whole
//! conversation. An event loop calls it once per event.

use std::io::{self, ErrorKind, Read, Write};

use crate::Buffer;
use crate::conversation::{Conversation, Want};

/// How far one call of [`drive`] may go.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// After this many received bytes the others get their turn ([`Progress::Unfinished`]); checked
    /// between reads.
    pub bytes: usize,
    /// Whether a read that does not fill the buffer means that nothing is left to read.
    ///
    /// True under edge-triggered readiness, where it saves a third system call per request
    /// (epoll(7)) - *unless* the event also said that the peer has closed: then no further edge
    /// comes, and one must read on to the end.
    pub short_read_drains: bool,
}

impl Turn {
    /// The most bytes that one of many conversations on a thread may receive in a turn, so that a
    /// greedy client starves no other.
    pub const FAIR_BYTES: usize = 256 * 1024;

    /// For a blocking socket, which nobody else waits for: so long that what is done between turns
    /// costs next to nothing.
    pub const LONG: Self = Self { bytes: 1024 * 1024, short_read_drains: false };
}

/// Why [`drive`] came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Everything received has been answered, and the peer sends no more: close.
    Ended,
    /// The stream can do nothing at the moment. On a blocking socket: its timeout has passed, or a
    /// signal has woken it.
    Blocked,
    /// The turn's bytes are used up, and there may be more.
    Unfinished,
    /// A signal arrived while the call slept: look at what it wants, then drive on.
    Interrupted,
}

/// Moves `conversation` on over `stream`, with `buffer` lent for the time of the call. `answer`
/// turns what was received into the answer, in place: [`shout`](crate::shout()), or a function that
/// does more besides.
///
/// # Errors
/// What reading, writing or keeping what could not be written failed with; the conversation is then
/// over.
#[inline]
pub fn drive(
    conversation: &mut Conversation,
    stream: &mut (impl Read + Write),
    buffer: &mut Buffer,
    turn: Turn,
    answer: impl Fn(&mut [u8]),
) -> io::Result<Progress> {
    let mut received: usize = 0;
    loop {
        match conversation.wants() {
            Want::Close => return Ok(Progress::Ended),
            Want::Write => {
                let sent = write_until_blocked(stream, conversation.unsent())?;
                conversation.sent(sent);
                if conversation.wants() == Want::Write {
                    return Ok(Progress::Blocked);
                }
            }
            Want::Read if received >= turn.bytes => return Ok(Progress::Unfinished),
            Want::Read => {
                let space = buffer.space();
                let count = match stream.read(space) {
                    Ok(0) => {
                        conversation.end_of_input();
                        continue;
                    }
                    Ok(count) => count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Progress::Blocked),
                    Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(Progress::Interrupted),
                    Err(error) => return Err(error),
                };
                let answer = conversation.receive(&mut space[..count], &answer);
                let sent = write_until_blocked(stream, answer)?;
                if sent < count {
                    conversation.keep(&answer[sent..])?;
                    return Ok(Progress::Blocked);
                }
                if turn.short_read_drains && count < space.len() {
                    return Ok(Progress::Blocked);
                }
                buffer.learn(count);
                received = received.saturating_add(count);
            }
        }
    }
}

/// Writes until all is written or the stream would block; returns how much was written.
#[inline]
fn write_until_blocked(stream: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}
