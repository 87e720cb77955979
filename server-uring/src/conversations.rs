//! The open conversations of one ring, and what each waits for.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use common::stop::Delivery;
use common::{Conversation, Outcome, Tally, Want, show, stop, work};
use slab::Slab;
use socket2::SockRef;

use crate::operation::{Key, Operation};
use crate::ring::{BUFFER_BYTES, Filled, Ring};

/// The most bytes that wait for their turn before nothing more is received, so that a greedy client starves no other: its next
/// buffers go to those who have none.
const TURN_BYTES: usize = 256 * 1024;

/// The idle timeout is counted in this many ticks, so it is late by an eighth at the most. The price is one look at every
/// conversation per tick; a request costs no system call and no timer.
const IDLE_TICKS: u32 = 8;

/// The shortest tick.
const SHORTEST_TICK: Duration = Duration::from_millis(1);

/// How often a conversation that the server has ended is looked at until all its answers are delivered.
const DELIVERY_LOOK: Duration = Duration::from_millis(5);

/// One conversation. This is all that an idle one costs in this process.
#[derive(Debug)]
struct Open {
    stream: TcpStream,
    conversation: Conversation,
    key: Key,
    /// The tick of its last completion.
    active: u32,
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

/// A table of conversations.
#[derive(Debug)]
pub(crate) struct Conversations {
    open: Slab<Open>,
    /// How many there have been.
    begun: u64,
    /// Those that the server has ended, and whose peers have not acknowledged everything yet.
    undelivered: Vec<Key>,
    /// The length of a tick; none without an idle timeout.
    tick: Option<Duration>,
    ticks: u32,
    next_tick: Instant,
    /// The time of this turn of the loop, so that nobody needs to look at the clock twice in it.
    now: Instant,
}

impl Conversations {
    /// An empty table. An idle timeout of zero means never.
    pub(crate) fn new(idle_timeout: Duration) -> Self {
        let now = Instant::now();
        let tick = (!idle_timeout.is_zero()).then(|| SHORTEST_TICK.max(idle_timeout / IDLE_TICKS));
        Self {
            open: Slab::new(),
            begun: 0,
            undelivered: Vec::new(),
            tick,
            ticks: 0,
            next_tick: now + tick.unwrap_or_default(),
            now,
        }
    }

    /// The time of this turn.
    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// A new turn begins.
    pub(crate) fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    /// When the loop must wake although nothing has completed; `None` if never.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let look = (!self.undelivered.is_empty()).then(|| self.now + DELIVERY_LOOK);
        look.into_iter().chain(self.tick.map(|_| self.next_tick)).min()
    }

    /// Adds a conversation. What its peer sends is received from now on, without another request for it.
    pub(crate) fn begin(&mut self, ring: &mut Ring, stream: TcpStream) {
        let entry = self.open.vacant_entry();
        let key = Key::new(entry.key(), self.begun);
        self.begun += 1;
        ring.receive(&stream, key);
        entry.insert(Open {
            stream,
            conversation: Conversation::new(),
            key,
            active: self.ticks,
            receives: Receives::Anything,
            sends: Sends::Nothing,
            received: VecDeque::new(),
            withheld: Vec::new(),
            heard_all: false,
            ended: None,
        });
    }

    /// The conversation that a completion belongs to, if it is still the one that made the request.
    fn active(&mut self, key: Key) -> Option<&mut Open> {
        let open = self.open.get_mut(key.place()).filter(|open| open.key == key)?;
        open.active = self.ticks;
        Some(open)
    }

    /// Takes what was received: bytes, or nothing at the end of the input.
    pub(crate) fn received(
        &mut self,
        ring: &mut Ring,
        key: Key,
        result: io::Result<Option<Filled>>,
        more: bool,
        tally: &mut Tally,
    ) {
        let Some(open) = self.active(key) else {
            result.ok().flatten().into_iter().for_each(|filled| ring.give_back(filled));
            return;
        };
        if !more {
            open.receives = Receives::Nothing;
        }
        match result {
            Ok(Some(filled)) => open.take(ring, filled),
            Ok(None) => open.heard_all = true,
            // There was no buffer left. Whoever has had none is to have one the next time; the greedy, who took them, must wait.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                if open.sends == Sends::Nothing {
                    ring.lend_more();
                }
            }
            // The request has been cancelled, and this is its last word.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ECANCELED | libc::EINTR)) => {}
            Err(error) => open.fail(ring, &error),
        }
        self.go_on(ring, key, tally);
    }

    /// Takes how much of an answer was sent.
    pub(crate) fn sent(
        &mut self,
        ring: &mut Ring,
        key: Key,
        buffer: Filled,
        result: io::Result<usize>,
        tally: &mut Tally,
    ) {
        if let Some(open) = self.active(key) {
            open.sends = Sends::Nothing;
            match result {
                _ if open.ended.is_some() => {}
                Ok(count) => open.conversation.keep(&ring.bytes(&buffer)[count..]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    open.conversation.keep(ring.bytes(&buffer));
                }
                Err(error) => open.fail(ring, &error),
            }
        }
        ring.give_back(buffer);
        self.go_on(ring, key, tally);
    }

    /// The socket has room again, or is broken.
    pub(crate) fn room(&mut self, ring: &mut Ring, key: Key, tally: &mut Tally) {
        if let Some(open) = self.active(key) {
            open.sends = Sends::Nothing;
        }
        self.go_on(ring, key, tally);
    }

    /// Moves a conversation on, and closes it where it has ended and no request needs its socket any more.
    fn go_on(&mut self, ring: &mut Ring, key: Key, tally: &mut Tally) {
        let Some(open) = self.open.get_mut(key.place()).filter(|open| open.key == key) else { return };
        if let Err(error) = open.go_on(ring) {
            open.fail(ring, &error);
        }
        match open.ended {
            Some(_) if open.receives != Receives::Nothing || open.sends != Sends::Nothing => {}
            // What the server has ended closes when everything is delivered: see `end_delivered`.
            Some(Outcome::Completed) if stop::stopping() => self.undelivered.push(key),
            Some(outcome) => self.close(key, outcome, tally),
            None => {}
        }
    }

    /// Closes a conversation, then counts it.
    fn close(&mut self, key: Key, outcome: Outcome, tally: &mut Tally) {
        drop(self.open.remove(key.place()));
        tally.close(outcome);
    }

    /// Ends the conversations whose peers have neither sent nor taken anything for the idle timeout, once a tick. They are closed
    /// when their requests have been cancelled.
    pub(crate) fn end_silent(&mut self, ring: &mut Ring) {
        let Some(tick) = self.tick else { return };
        if self.now < self.next_tick {
            return;
        }
        self.ticks = self.ticks.wrapping_add(1);
        self.next_tick = self.now + tick;
        for (_, open) in &mut self.open {
            if self.ticks.wrapping_sub(open.active) > IDLE_TICKS {
                open.end(ring, Outcome::TimedOut);
            }
        }
    }

    /// Ends every conversation's input: each will receive what is left, and then the end.
    pub(crate) fn end_input(&mut self, ring: &Ring) {
        for (_, open) in &mut self.open {
            let received: usize = open.received.iter().map(|filled| ring.bytes(filled).len()).sum();
            let unread = received + open.withheld.len() + stop::unread(&open.stream);
            open.conversation.end_input_after(unread);
            // It fails only where the peer has already gone.
            let _ = open.stream.shutdown(Shutdown::Read);
        }
    }

    /// Closes those that the server has ended and whose answers are delivered by now, or never will be.
    pub(crate) fn end_delivered(&mut self, tally: &mut Tally) {
        for key in std::mem::take(&mut self.undelivered) {
            let Some(open) = self.open.get(key.place()) else { continue };
            match stop::delivery(&open.stream) {
                Delivery::Done => self.close(key, Outcome::Completed, tally),
                Delivery::Failed => self.close(key, Outcome::Failed, tally),
                Delivery::Pending => self.undelivered.push(key),
            }
        }
    }
}

impl Open {
    /// Answers received bytes, or puts them where they wait until those before them are answered.
    fn take(&mut self, ring: &mut Ring, filled: Filled) {
        match (self.conversation.wants(), self.sends) {
            _ if self.ended.is_some() => ring.give_back(filled),
            (Want::Read, Sends::Nothing) => self.answer(ring, filled),
            (Want::Read, _) => {
                self.received.push_back(filled);
                if self.received.len() * BUFFER_BYTES >= TURN_BYTES {
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

    /// Does what the conversation wants, until that is a request that has to complete first.
    fn go_on(&mut self, ring: &mut Ring) -> io::Result<()> {
        while self.ended.is_none() && self.sends == Sends::Nothing {
            match self.conversation.wants() {
                Want::Close => self.end(ring, Outcome::Completed),
                Want::Write => match self.send_kept() {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait_for_room(ring),
                    Err(error) => return Err(error),
                },
                Want::Read if !self.received.is_empty() => {
                    self.received.pop_front().into_iter().for_each(|filled| self.answer(ring, filled));
                }
                Want::Read if !self.withheld.is_empty() => {
                    let mut received = std::mem::take(&mut self.withheld);
                    show(&received);
                    let answer = self.conversation.receive(&mut received);
                    work::spend();
                    self.conversation.keep(answer);
                }
                Want::Read if self.heard_all => self.conversation.end_of_input(),
                Want::Read => {
                    if self.receives == Receives::Nothing {
                        self.receives = Receives::Anything;
                        ring.receive(&self.stream, self.key);
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Answers what was received in its own buffer, and from there.
    fn answer(&mut self, ring: &mut Ring, mut filled: Filled) {
        let received = ring.bytes_mut(&mut filled);
        show(received);
        self.conversation.receive(received);
        work::spend();
        ring.send(&self.stream, self.key, filled);
        self.sends = Sends::Answer;
    }

    /// Sends of the kept answers what the socket takes, by a system call: a request would leave them with the kernel, while this
    /// conversation can be closed at any moment.
    fn send_kept(&mut self) -> io::Result<()> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let count = SockRef::from(&self.stream).send_with_flags(self.conversation.unsent(), flags)?;
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

    /// Ends the conversation: its requests are cancelled, and its buffers and bytes are given back.
    fn end(&mut self, ring: &mut Ring, outcome: Outcome) {
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
