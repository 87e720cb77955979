//! The conversation without I/O: bytes in, bytes out, and what it wants next. It knows no socket,
//! no clock and no thread.
//!
//! A client sends bytes; the server sends the same bytes back with ASCII `a-z` turned to `A-Z`.
//! There is no framing. When the client ends its input, the server answers all that it has
//! received, and closes.

use std::io;

/// What a [`Conversation`] wants from whoever drives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// More bytes from the peer: read, then call [`Conversation::receive`] or
    /// [`Conversation::end_of_input`].
    Read,
    /// The peer has not taken all answers yet: write [`Conversation::unsent`], then call
    /// [`Conversation::sent`].
    Write,
    /// Everything that was received is answered, and no more will come: close.
    Close,
}

/// The state of one conversation: at most one buffer's worth of answers that the peer would not
/// take yet, otherwise nothing.
///
/// The bytes themselves live in a buffer that is lent for the moment, so an idle conversation owns
/// no memory but this value. Because nothing is read while answers are unsent, what is kept for a
/// peer that does not read is bounded by that buffer.
#[derive(Debug, Default)]
pub struct Conversation(State);

#[derive(Debug, Default)]
enum State {
    #[default]
    Listening,
    Answering {
        answers: Box<[u8]>,
        sent: usize,
    },
    Ended,
}

impl Conversation {
    /// A conversation in which nothing has been said yet.
    pub const fn new() -> Self {
        Self(State::Listening)
    }

    /// What has to happen next.
    #[inline]
    pub fn wants(&self) -> Want {
        match self.0 {
            State::Listening => Want::Read,
            State::Answering { .. } => Want::Write,
            State::Ended => Want::Close,
        }
    }

    /// Turns what the peer sent into the answer, in place, by `answer`: [`shout`](crate::shout()),
    /// or a function that does more besides. The caller sends it and hands what could not be sent
    /// to [`Conversation::keep`].
    ///
    /// # Panics
    /// If the conversation does not want to read: answers would leave in the wrong order.
    #[inline]
    pub fn receive<'a>(&mut self, received: &'a mut [u8], answer: impl FnOnce(&mut [u8])) -> &'a [u8] {
        assert_eq!(self.wants(), Want::Read, "received while answers are unsent, or after the end");
        answer(received);
        received
    }

    /// Keeps the answers that the peer would not take, until [`Conversation::sent`] has counted
    /// them all.
    ///
    /// # Errors
    /// [`io::ErrorKind::OutOfMemory`]: there is no memory for them. The conversation is over, and
    /// nothing else.
    ///
    /// # Panics
    /// If answers are kept already, or the conversation has ended.
    #[inline]
    pub fn keep(&mut self, unsent: &[u8]) -> io::Result<()> {
        assert!(matches!(self.0, State::Listening), "kept while answers are unsent, or after the end");
        if !unsent.is_empty() {
            let mut answers = Vec::new();
            answers.try_reserve_exact(unsent.len())?;
            answers.extend_from_slice(unsent);
            self.0 = State::Answering { answers: answers.into_boxed_slice(), sent: 0 };
        }
        Ok(())
    }

    /// The answers that the peer has not taken yet.
    pub fn unsent(&self) -> &[u8] {
        match &self.0 {
            State::Answering { answers, sent } => &answers[*sent..],
            State::Listening | State::Ended => &[],
        }
    }

    /// Counts `count` bytes of [`Conversation::unsent`] as taken by the peer. With the last of them
    /// the memory is given back.
    ///
    /// # Panics
    /// If more are counted than were unsent.
    pub fn sent(&mut self, count: usize) {
        assert!(count <= self.unsent().len(), "more was sent than there was");
        if let State::Answering { answers, sent } = &mut self.0 {
            *sent += count;
            if *sent == answers.len() {
                self.0 = State::Listening;
            }
        }
    }

    /// The peer will send no more, or is not listened to any more. It is only heard while the
    /// conversation listens, so nothing is unsent.
    ///
    /// # Panics
    /// If the conversation does not want to read.
    pub fn end_of_input(&mut self) {
        assert_eq!(self.wants(), Want::Read, "an end of input while answers are unsent, or a second one");
        self.0 = State::Ended;
    }
}
