//! One conversation: its requests, and what has been received and not answered.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpStream};

use common::{Conversation, Outcome, Turn, Want, show, stop, work};
use socket2::SockRef;

use crate::operation::{Key, Operation};
use crate::ring::{BUFFER_BYTES, Filled, Ring};

/// One conversation. This is all that an idle one costs in this process.
#[derive(Debug)]
pub(crate) struct Open {
    stream: TcpStream,
    conversation: Conversation,
    key: Key,
    /// The tick of its last completion.
    pub(crate) active: u32,
    /// The turn in which it last had a buffer.
    supplied: u32,
    receives: Receives,
    sends: Sends,
    /// Received, and not answered yet, because an answer is on its way.
    received: VecDeque<Filled>,
    /// What was received before the kernel heard that it should stop, from a peer that does not take its answers: copied, so that
    /// the buffers serve others.
    withheld: Vec<u8>,
    /// The peer has ended its input; what was received before is still to be answered.
    heard_all: bool,
    /// How it has ended. It is closed when the kernel is done with its requests, each of which keeps the socket open.
    ended: Option<Outcome>,
}

/// The request to receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receives {
    Nothing,
    Anything,
    /// Cancelled; what was underway may still come.
    Rest,
}

/// The request to send: at most one, or answers would leave in the wrong order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sends {
    Nothing,
    Answer,
    /// The socket has no room; a request waits for it.
    Later,
}

impl Open {
    /// A conversation that begins. What its peer sends is received from now on, without another request for it.
    pub(crate) fn new(ring: &mut Ring, stream: TcpStream, key: Key) -> Self {
        ring.receive(&stream, key);
        Self {
            stream,
            conversation: Conversation::new(),
            key,
            active: 0,
            supplied: ring.turn().wrapping_sub(1),
            receives: Receives::Anything,
            sends: Sends::Nothing,
            received: VecDeque::new(),
            withheld: Vec::new(),
            heard_all: false,
            ended: None,
        }
    }

    /// By which its completions know it.
    pub(crate) fn key(&self) -> Key {
        self.key
    }

    /// Its socket.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// How it has ended, when no request needs its socket any more.
    pub(crate) fn over(&self) -> Option<Outcome> {
        let quiet = self.receives == Receives::Nothing && self.sends == Sends::Nothing;
        self.ended.filter(|_| quiet)
    }

    /// Takes what was received: bytes, or nothing at the end of the input. Without `more` the request has ended.
    pub(crate) fn received(&mut self, ring: &mut Ring, result: io::Result<Option<Filled>>, more: bool) {
        if !more {
            self.receives = Receives::Nothing;
        }
        match result {
            Ok(Some(filled)) => self.take(ring, filled),
            Ok(None) => self.heard_all = true,
            // There was no buffer left. Whoever has had none is to have one the next time; the greedy, who took them, must wait.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                if self.supplied != ring.turn() && self.sends == Sends::Nothing {
                    ring.lend_more();
                }
            }
            // The request has been cancelled, and this is its last word.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ECANCELED | libc::EINTR)) => {}
            Err(error) => self.fail(ring, &error),
        }
    }

    /// Takes how much of the answer in `buffer` was sent, and keeps the rest.
    pub(crate) fn sent(&mut self, ring: &mut Ring, buffer: &Filled, result: io::Result<usize>) {
        self.sends = Sends::Nothing;
        self.supplied = ring.turn();
        match result {
            _ if self.ended.is_some() => {}
            Ok(count) => self.conversation.keep(&ring.bytes(buffer)[count..]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                self.conversation.keep(ring.bytes(buffer));
            }
            Err(error) => self.fail(ring, &error),
        }
    }

    /// The socket has room again, or is broken.
    pub(crate) fn room(&mut self) {
        self.sends = Sends::Nothing;
    }

    /// Ends the input after what has arrived: in the socket, and in the buffers that came from there.
    pub(crate) fn end_input(&mut self, ring: &Ring) {
        let received: usize = self.received.iter().map(|filled| ring.bytes(filled).len()).sum();
        let unread = received + self.withheld.len() + stop::unread(&self.stream);
        self.conversation.end_input_after(unread);
        // It fails only where the peer has already gone.
        let _ = self.stream.shutdown(Shutdown::Read);
    }

    /// Does what the conversation wants, until that is a request that has to complete first.
    pub(crate) fn go_on(&mut self, ring: &mut Ring) {
        while self.ended.is_none() && self.sends == Sends::Nothing {
            match self.conversation.wants() {
                Want::Close => self.end(ring, Outcome::Completed),
                Want::Write => match self.send_kept() {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait_for_room(ring),
                    Err(error) => self.fail(ring, &error),
                },
                Want::Read => match self.received.pop_front() {
                    Some(filled) => self.answer(ring, filled),
                    None if !self.withheld.is_empty() => self.answer_withheld(),
                    None if self.heard_all => self.conversation.end_of_input(),
                    None => {
                        if self.receives == Receives::Nothing {
                            self.receives = Receives::Anything;
                            ring.receive(&self.stream, self.key);
                        }
                        return;
                    }
                },
            }
        }
    }

    /// Answers received bytes, or puts them where they wait until those before them are answered.
    fn take(&mut self, ring: &mut Ring, filled: Filled) {
        self.supplied = ring.turn();
        match (self.conversation.wants(), self.sends) {
            _ if self.ended.is_some() => ring.give_back(filled),
            (Want::Read, Sends::Nothing) => self.answer(ring, filled),
            (Want::Read, _) => {
                self.received.push_back(filled);
                // With the one that is being sent. A greedy client's next buffers go to those who have none.
                if (self.received.len() + 1) * BUFFER_BYTES >= Turn::FAIR_BYTES {
                    self.receive_no_more(ring);
                }
            }
            (Want::Write, _) => self.withhold(ring, filled),
            // The server has ended the input; what comes now is not answered.
            (Want::Close, _) => ring.give_back(filled),
        }
    }

    fn withhold(&mut self, ring: &mut Ring, filled: Filled) {
        let bytes = ring.bytes(&filled);
        self.withheld.reserve_exact(bytes.len());
        self.withheld.extend_from_slice(bytes);
        ring.give_back(filled);
    }

    fn receive_no_more(&mut self, ring: &mut Ring) {
        if self.receives == Receives::Anything {
            self.receives = Receives::Rest;
            ring.cancel(Operation::Receive(self.key));
        }
    }

    /// Answers what was received in its own buffer, and from there.
    ///
    /// A ring saves system calls by making one for many. Who is alone in its turn is answered by a call: the request's completion
    /// would take one more turn.
    fn answer(&mut self, ring: &mut Ring, mut filled: Filled) {
        let received = ring.bytes_mut(&mut filled);
        show(received);
        self.conversation.receive(received);
        work::spend();
        if ring.brought_one() {
            let result = send_now(&self.stream, ring.bytes(&filled));
            self.sent(ring, &filled, result);
            ring.give_back(filled);
        } else {
            ring.send(&self.stream, self.key, filled);
            self.sends = Sends::Answer;
        }
    }

    /// Answers what was withheld, once the peer has taken all before it.
    fn answer_withheld(&mut self) {
        let mut received = std::mem::take(&mut self.withheld);
        show(&received);
        let answer = self.conversation.receive(&mut received);
        work::spend();
        self.conversation.keep(answer);
    }

    /// Sends of the kept answers what the socket takes, by a system call: a request would leave them with the kernel, while this
    /// conversation can be closed at any moment.
    fn send_kept(&mut self) -> io::Result<()> {
        let count = send_now(&self.stream, self.conversation.unsent())?;
        self.conversation.sent(count);
        Ok(())
    }

    /// The peer does not take its answers: from now on nothing is received from it, and it holds no buffer.
    fn wait_for_room(&mut self, ring: &mut Ring) {
        self.receive_no_more(ring);
        for filled in std::mem::take(&mut self.received) {
            self.withhold(ring, filled);
        }
        ring.wait_for_room(&self.stream, self.key);
        self.sends = Sends::Later;
    }

    fn fail(&mut self, ring: &mut Ring, error: &io::Error) {
        log::debug!("conversation failed: {error}");
        self.end(ring, Outcome::Failed);
    }

    /// Ends the conversation, if it has not ended: its requests are cancelled, and its buffers and bytes are given back.
    pub(crate) fn end(&mut self, ring: &mut Ring, outcome: Outcome) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(outcome);
        self.withheld = Vec::new();
        for filled in std::mem::take(&mut self.received) {
            ring.give_back(filled);
        }
        self.receive_no_more(ring);
        if self.sends == Sends::Later {
            ring.cancel(Operation::Room(self.key));
        }
    }
}

/// Sends what the socket takes at once.
fn send_now(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    SockRef::from(stream).send_with_flags(bytes, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
}
