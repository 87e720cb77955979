//! The open conversations of one ring, and the completions that move them on.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use common::stop::Delivery;
use common::{Outcome, Tally, silence, stop};
use slab::Slab;

use crate::open::Open;
use crate::operation::Key;
use crate::ring::{Filled, Ring};

/// A table of conversations.
#[derive(Debug)]
pub(crate) struct Conversations {
    open: Slab<Open>,
    /// How many there have been.
    begun: u64,
    /// Those that the server has ended, and whose peers have not acknowledged everything yet.
    undelivered: Vec<Key>,
    /// How many ticks of the idle timeout have passed.
    ticks: u32,
}

impl Conversations {
    /// An empty table. An idle timeout of zero means never.
    pub(crate) fn new(ring: &mut Ring, idle_timeout: Duration) -> Self {
        if let Some(tick) = silence::tick(idle_timeout) {
            ring.begin_ticks(tick);
        }
        Self { open: Slab::new(), begun: 0, undelivered: Vec::new(), ticks: 0 }
    }

    /// How long the loop may sleep if nothing completes; `None` for as long as that takes.
    pub(crate) fn patience(&self) -> Option<Duration> {
        (!self.undelivered.is_empty()).then_some(stop::DELIVERY_LOOK)
    }

    /// Adds a conversation. What its peer sends is received from now on, without another request for it.
    pub(crate) fn begin(&mut self, ring: &mut Ring, stream: TcpStream) {
        let entry = self.open.vacant_entry();
        let key = Key::new(entry.key(), self.begun);
        self.begun += 1;
        entry.insert(Open::new(ring, stream, key)).active = self.ticks;
    }

    /// The conversation that a completion belongs to, if it is still the one that made the request.
    fn active(&mut self, key: Key) -> Option<&mut Open> {
        let open = self.open.get_mut(key.place()).filter(|open| open.key() == key)?;
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
        open.received(ring, result, more);
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
            open.sent(ring, &buffer, result);
        }
        ring.give_back(buffer);
        self.go_on(ring, key, tally);
    }

    /// The socket has room again, or is broken.
    pub(crate) fn room(&mut self, ring: &mut Ring, key: Key, tally: &mut Tally) {
        if let Some(open) = self.active(key) {
            open.room();
        }
        self.go_on(ring, key, tally);
    }

    /// Moves a conversation on, and closes it where it has ended and no request needs its socket any more.
    fn go_on(&mut self, ring: &mut Ring, key: Key, tally: &mut Tally) {
        let Some(open) = self.open.get_mut(key.place()).filter(|open| open.key() == key) else { return };
        open.go_on(ring);
        match open.over() {
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

    /// A tick has passed: ends the conversations whose peers have neither sent nor taken anything for the idle timeout. They are
    /// closed when their requests have been cancelled.
    pub(crate) fn end_silent(&mut self, ring: &mut Ring) {
        ring.next_tick();
        self.ticks = self.ticks.wrapping_add(1);
        for (_, open) in &mut self.open {
            if silence::is_over(self.ticks, open.active) {
                open.end(ring, Outcome::TimedOut);
            }
        }
    }

    /// Ends every conversation's input: each will receive what is left, and then the end.
    pub(crate) fn end_input(&mut self, ring: &Ring) {
        for (_, open) in &mut self.open {
            open.end_input(ring);
        }
    }

    /// Closes those that the server has ended and whose answers are delivered by now, or never will be.
    pub(crate) fn end_delivered(&mut self, tally: &mut Tally) {
        for key in std::mem::take(&mut self.undelivered) {
            let Some(open) = self.open.get(key.place()) else { continue };
            match stop::delivery(open.stream()) {
                Delivery::Done => self.close(key, Outcome::Completed, tally),
                Delivery::Failed => self.close(key, Outcome::Failed, tally),
                Delivery::Pending => self.undelivered.push(key),
            }
        }
    }
}
