//! One conversation: its requests, and what has been received and not answered.

use std::io::{self, ErrorKind};
use std::mem;
use std::net::{Shutdown, TcpStream};

use common::{Buffer, Conversation, Want};
use rustix::net::{RecvFlags, SendFlags};
use serving::stop::Input;
use serving::{Drain, Outcome, Silence, Transform, tally};

use crate::operation::{Event, Operation};
use crate::ring::{Filled, PIECE_BYTES, Ring};

/// One conversation. This is all that an idle one costs in this process.
#[derive(Debug)]
pub(crate) struct Open {
    stream: TcpStream,
    conversation: Conversation,
    silence: Silence,
    /// Its place in the table, by which its completions know it.
    place: u32,
    receives: Receives,
    underway: Underway,
    /// Its peer has sent much at a time. From then on all is received and answered by calls, when
    /// there is something: so no more than the loop's one buffer is ever ahead of a peer that does
    /// not read, while a request that goes on receiving knows nothing of answers that are not taken.
    sends_much: bool,
    /// Received while answers were on their way: at most what one request brings in one turn.
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
    /// Whatever comes, in pieces.
    Pieces,
    /// Cancelled; what was underway may still come.
    Rest,
}

/// The other request: at most one, or answers would leave in the wrong order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Underway {
    Nothing,
    /// To send an answer.
    Answer,
    /// To tell when the socket has room for what is kept, or else bytes.
    Ready,
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
            receives: Receives::Pieces,
            underway: Underway::Nothing,
            sends_much: false,
            withheld: Vec::new(),
            heard_all: false,
            ended: None,
        }
    }

    /// Takes what has become of a request, at tick `now`, and does what the conversation wants
    /// then, with `buffer` lent for it.
    pub(crate) fn turn(
        &mut self,
        ring: &mut Ring,
        buffer: &mut Buffer,
        event: Event,
        transform: Transform,
        now: u32,
    ) {
        self.silence.end(now);
        match event {
            Event::Received { result, more } => {
                if !more {
                    self.receives = Receives::Nothing;
                }
                self.take(ring, result, transform);
            }
            Event::Sent { buffer, result } => self.sent(ring, buffer, result),
            Event::Ready => {
                self.underway = Underway::Nothing;
                if self.ended.is_none() && self.conversation.wants() == Want::Read && !self.heard_all {
                    self.take_much(ring, buffer, transform);
                }
            }
        }
        self.go_on(ring, transform);
    }

    /// How it has ended, when no request needs its socket any more.
    pub(crate) fn over(&self) -> Option<Outcome> {
        let quiet = self.receives == Receives::Nothing && self.underway == Underway::Nothing;
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
                if self.conversation.wants() == Want::Read {
                    self.wait_no_more(ring);
                }
            }
        }
    }

    /// Takes what was received: bytes, or nothing at the end of the input. They are answered at
    /// once, or wait until those before them are answered.
    fn take(&mut self, ring: &mut Ring, result: io::Result<Option<Filled>>, transform: Transform) {
        let filled = match result {
            Ok(Some(filled)) => filled,
            Ok(None) => return self.heard_all = true,
            // There was no buffer left; there will be one the next time.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return ring.lend_more(),
            // The request has been cancelled, and this is its last word.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ECANCELED | libc::EINTR)) => return,
            Err(error) => return self.fail(ring, &error),
        };
        if self.ended.is_some() || self.heard_all {
            return ring.give_back(filled);
        }
        if ring.bytes(&filled).len() == PIECE_BYTES {
            self.sends_much = true;
            self.receive_no_more(ring);
        }
        match (self.conversation.wants(), self.underway) {
            (Want::Read, Underway::Nothing) if !self.sends_much => self.answer(ring, filled, transform),
            _ => self.withhold(ring, filled),
        }
    }

    /// Receives what the loop's buffer holds, and answers it, by calls.
    fn take_much(&mut self, ring: &mut Ring, buffer: &mut Buffer, transform: Transform) {
        let space = buffer.space();
        let moved = match receive_now(&self.stream, space) {
            Ok(0) => return self.heard_all = true,
            Ok(count) => self.send(&mut space[..count], transform),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
            Err(error) => Err(error),
        };
        if let Err(error) = moved {
            self.fail(ring, &error);
        }
    }

    /// Copies what is in a buffer until the answers before it are sent.
    fn withhold(&mut self, ring: &mut Ring, filled: Filled) {
        let bytes = ring.bytes(&filled);
        let reserved = self.withheld.try_reserve(bytes.len());
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
        while self.ended.is_none() && self.underway == Underway::Nothing {
            let done = match self.conversation.wants() {
                Want::Close => return self.end(ring, Outcome::Completed),
                Want::Write => self.send_kept(),
                // The pieces that it still brings are answered together.
                Want::Read if self.sends_much && self.receives != Receives::Nothing => return,
                Want::Read if !self.withheld.is_empty() => {
                    let mut received = mem::take(&mut self.withheld);
                    self.send(&mut received, transform)
                }
                Want::Read if self.heard_all => {
                    self.conversation.end_of_input();
                    Ok(())
                }
                // Its last completion may bring something.
                Want::Read if self.receives != Receives::Nothing => return,
                Want::Read if self.sends_much => return self.wait(ring),
                Want::Read => return self.receive(ring),
            };
            match done {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The peer does not take its answers: from now on nothing is received from it.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.receive_no_more(ring);
                    self.wait(ring);
                }
                Err(error) => self.fail(ring, &error),
            }
        }
    }

    /// Waits until there is room for what is kept; without that, until there is something to
    /// receive.
    fn wait(&mut self, ring: &mut Ring) {
        self.underway = Underway::Ready;
        ring.wait_for(&self.stream, self.place, self.conversation.wants() == Want::Write);
    }

    fn wait_no_more(&mut self, ring: &mut Ring) {
        if self.underway == Underway::Ready {
            ring.cancel(Operation::Ready(self.place));
        }
    }

    fn receive(&mut self, ring: &mut Ring) {
        self.receives = Receives::Pieces;
        ring.receive(&self.stream, self.place);
    }

    fn receive_no_more(&mut self, ring: &mut Ring) {
        if self.receives == Receives::Pieces {
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
            self.underway = Underway::Answer;
        }
    }

    /// Takes how much of the answer in `buffer` was sent, and keeps the rest.
    fn sent(&mut self, ring: &mut Ring, buffer: Filled, result: io::Result<usize>) {
        self.underway = Underway::Nothing;
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

    /// Answers what was received in place, by a call, and keeps what is not taken.
    fn send(&mut self, received: &mut [u8], transform: Transform) -> io::Result<()> {
        let answer = self.conversation.receive(received, |received| transform.apply(received));
        let sent = match send_now(&self.stream, answer) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
            result => result?,
        };
        self.conversation.keep(&answer[sent..])
    }

    /// Sends of the kept answers what the socket takes, by a system call: a request would leave
    /// them with the kernel, while this conversation can be closed at any moment.
    fn send_kept(&mut self) -> io::Result<()> {
        let count = send_now(&self.stream, self.conversation.unsent())?;
        self.conversation.sent(count);
        Ok(())
    }

    fn fail(&mut self, ring: &mut Ring, error: &io::Error) {
        if self.ended.is_none() {
            self.end(ring, tally::outcome_of(error, &self.stream));
        }
    }

    /// Ends the conversation: its requests are cancelled, and its bytes are given back.
    fn end(&mut self, ring: &mut Ring, outcome: Outcome) {
        self.ended = Some(outcome);
        self.withheld = Vec::new();
        self.receive_no_more(ring);
        self.wait_no_more(ring);
    }
}

/// Sends what the socket takes at once.
fn send_now(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(stream, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
}

/// Receives what the socket has.
fn receive_now(stream: &TcpStream, space: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::net::recv(stream, space, RecvFlags::DONTWAIT)?.0)
}
