//! One conversation: its requests, and what has been received and not answered.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::mem;
use std::net::{Shutdown, TcpStream};

use common::{Conversation, Turn, Want};
use serving::stop::Input;
use serving::{Drain, Outcome, Silence, Transform, tally};
use socket2::SockRef;

use crate::operation::{Event, Operation};
use crate::ring::{BUFFER_BYTES, Filled, Ring};

/// One conversation. This is all that an idle one costs in this process.
#[derive(Debug)]
pub(crate) struct Open {
    stream: TcpStream,
    conversation: Conversation,
    silence: Silence,
    /// Its place in the table, by which its completions know it.
    place: u32,
    /// The turn in which it last had a buffer.
    supplied: u32,
    receives: Receives,
    sends: Sends,
    /// Received, and not answered yet, because an answer is on its way.
    received: VecDeque<Filled>,
    /// Received from a peer that does not take its answers: copied, so that the buffers serve
    /// others.
    withheld: Vec<u8>,
    /// Nothing more will be received; what was received before is still to be answered.
    heard_all: bool,
    /// How it has ended. It is closed when no request is left, since each keeps the socket open.
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
    /// A conversation that begins at tick `now`. What its peer sends is received from now on.
    pub(crate) fn new(ring: &mut Ring, stream: TcpStream, place: u32, now: u32) -> Self {
        ring.receive(&stream, place);
        Self {
            stream,
            conversation: Conversation::new(),
            silence: Silence::since(now),
            place,
            supplied: ring.turn().wrapping_sub(1),
            receives: Receives::Anything,
            sends: Sends::Nothing,
            received: VecDeque::new(),
            withheld: Vec::new(),
            heard_all: false,
            ended: None,
        }
    }

    /// Takes what has become of a request, at tick `now`, and does what the conversation wants
    /// then.
    pub(crate) fn turn(&mut self, ring: &mut Ring, event: Event, transform: Transform, now: u32) {
        self.silence.end(now);
        match event {
            Event::Received { result, more } => {
                if !more {
                    self.receives = Receives::Nothing;
                }
                self.take(ring, result, transform);
            }
            Event::Sent { buffer, result } => self.sent(ring, buffer, result),
            Event::Room => self.sends = Sends::Nothing,
        }
        self.go_on(ring, transform);
    }

    /// How it has ended, when no request needs its socket any more.
    pub(crate) fn over(&self) -> Option<Outcome> {
        let quiet = self.receives == Receives::Nothing && self.sends == Sends::Nothing;
        self.ended.filter(|_| quiet)
    }

    /// Its socket.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Ends the conversation if at tick `now` the idle timeout has passed. To be called in every
    /// tick.
    pub(crate) fn end_if_silent(&mut self, ring: &mut Ring, now: u32) {
        if self.ended.is_none() && self.silence.is_over(now, &self.stream) {
            self.end(ring, Outcome::TimedOut);
        }
    }

    /// Ends the input as far as the stop says; what has been received is answered in any case.
    pub(crate) fn end_input(&mut self, ring: &mut Ring, drain: Drain) {
        match self.ended.map_or_else(|| drain.input(&self.stream), |_| Input::Open) {
            Input::Open => {}
            Input::Ended => {
                // It fails only where the peer has already gone.
                let _ = self.stream.shutdown(Shutdown::Read);
            }
            Input::Unheard => {
                self.heard_all = true;
                self.receive_no_more(ring);
            }
        }
    }

    /// Takes what was received: bytes, or nothing at the end of the input. They are answered at
    /// once, or wait until those before them are answered.
    fn take(&mut self, ring: &mut Ring, result: io::Result<Option<Filled>>, transform: Transform) {
        let filled = match result {
            Ok(Some(filled)) => filled,
            Ok(None) => return self.heard_all = true,
            // There was no buffer left. Conversations that have had none must have one the next
            // time; the greedy ones wait.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                if self.supplied != ring.turn() && self.sends == Sends::Nothing {
                    ring.lend_more();
                }
                return;
            }
            // The request has been cancelled, and this is its last word.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ECANCELED | libc::EINTR)) => return,
            Err(error) => return self.fail(ring, &error),
        };
        self.supplied = ring.turn();
        match (self.conversation.wants(), self.sends) {
            _ if self.ended.is_some() || self.heard_all => ring.give_back(filled),
            (Want::Read, Sends::Nothing) => self.answer(ring, filled, transform),
            (Want::Read, _) => self.put_off(ring, filled),
            (Want::Write, _) => self.withhold(ring, filled),
            (Want::Close, _) => ring.give_back(filled),
        }
    }

    /// Keeps a buffer until the answers before it are sent.
    fn put_off(&mut self, ring: &mut Ring, filled: Filled) {
        if let Err(error) = self.received.try_reserve(1) {
            ring.give_back(filled);
            return self.fail(ring, &error.into());
        }
        self.received.push_back(filled);
        // With the one that is being sent. A greedy client's next buffers go to others.
        if (self.received.len() + 1) * BUFFER_BYTES >= Turn::FAIR_BYTES {
            self.receive_no_more(ring);
        }
    }

    /// Copies what is in a buffer until the peer has taken the answers before it.
    fn withhold(&mut self, ring: &mut Ring, filled: Filled) {
        let bytes = ring.bytes(&filled);
        let reserved = self.withheld.try_reserve_exact(bytes.len());
        if reserved.is_ok() {
            self.withheld.extend_from_slice(bytes);
        }
        ring.give_back(filled);
        if let Err(error) = reserved {
            self.fail(ring, &error.into());
        }
    }

    /// Does what the conversation wants, until that is a request that has to complete first.
    fn go_on(&mut self, ring: &mut Ring, transform: Transform) {
        while self.ended.is_none() && self.sends == Sends::Nothing {
            let done = match self.conversation.wants() {
                Want::Close => return self.end(ring, Outcome::Completed),
                Want::Write => self.send_kept(),
                Want::Read => match self.received.pop_front() {
                    Some(filled) => {
                        self.answer(ring, filled, transform);
                        Ok(())
                    }
                    None if !self.withheld.is_empty() => self.answer_withheld(transform),
                    None if self.heard_all => {
                        self.conversation.end_of_input();
                        Ok(())
                    }
                    None => return self.receive(ring),
                },
            };
            match done {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait_for_room(ring),
                Err(error) => self.fail(ring, &error),
            }
        }
    }

    fn receive(&mut self, ring: &mut Ring) {
        if self.receives == Receives::Nothing {
            self.receives = Receives::Anything;
            ring.receive(&self.stream, self.place);
        }
    }

    fn receive_no_more(&mut self, ring: &mut Ring) {
        if self.receives == Receives::Anything {
            self.receives = Receives::Rest;
            ring.cancel(Operation::Receive(self.place));
        }
    }

    /// Answers what was received in its own buffer, and from there.
    ///
    /// A ring saves system calls by making one for many. A conversation that is alone in its turn
    /// is answered by a call: the request's completion would take one more turn.
    fn answer(&mut self, ring: &mut Ring, mut filled: Filled, transform: Transform) {
        self.conversation.receive(ring.bytes_mut(&mut filled), |received| transform.apply(received));
        if ring.brought_one() {
            let result = send_now(&self.stream, ring.bytes(&filled));
            self.sent(ring, filled, result);
        } else {
            ring.send(&self.stream, self.place, filled);
            self.sends = Sends::Answer;
        }
    }

    /// Takes how much of the answer in `buffer` was sent, and keeps the rest.
    fn sent(&mut self, ring: &mut Ring, buffer: Filled, result: io::Result<usize>) {
        self.sends = Sends::Nothing;
        self.supplied = ring.turn();
        let sent = match result {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
            result => result,
        };
        let kept = sent.and_then(|count| self.conversation.keep(&ring.bytes(&buffer)[count..]));
        ring.give_back(buffer);
        if let Err(error) = kept {
            self.fail(ring, &error);
        }
    }

    /// Answers what was withheld, once the peer has taken all before it.
    fn answer_withheld(&mut self, transform: Transform) -> io::Result<()> {
        let mut received = mem::take(&mut self.withheld);
        let answer = self.conversation.receive(&mut received, |received| transform.apply(received));
        self.conversation.keep(answer)
    }

    /// Sends of the kept answers what the socket takes, by a system call: a request would leave
    /// them with the kernel, while this conversation can be closed at any moment.
    fn send_kept(&mut self) -> io::Result<()> {
        let count = send_now(&self.stream, self.conversation.unsent())?;
        self.conversation.sent(count);
        Ok(())
    }

    /// The peer does not take its answers: from now on nothing is received from it, and it holds no
    /// buffer.
    fn wait_for_room(&mut self, ring: &mut Ring) {
        self.receive_no_more(ring);
        while let Some(filled) = self.received.pop_front() {
            self.withhold(ring, filled);
        }
        if self.ended.is_none() {
            self.sends = Sends::Later;
            ring.wait_for_room(&self.stream, self.place);
        }
    }

    fn fail(&mut self, ring: &mut Ring, error: &io::Error) {
        if self.ended.is_none() {
            self.end(ring, tally::outcome_of(error, &self.stream));
        }
    }

    /// Ends the conversation: its requests are cancelled, and its buffers and bytes are given back.
    fn end(&mut self, ring: &mut Ring, outcome: Outcome) {
        self.ended = Some(outcome);
        self.withheld = Vec::new();
        for filled in mem::take(&mut self.received) {
            ring.give_back(filled);
        }
        self.receive_no_more(ring);
        if self.sends == Sends::Later {
            ring.cancel(Operation::Room(self.place));
        }
    }
}

/// Sends what the socket takes at once.
fn send_now(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    SockRef::from(stream).send_with_flags(bytes, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
}
