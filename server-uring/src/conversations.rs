//! The open conversations of one ring.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use common::Buffer;
use serving::stop::{self, Delivery};
use serving::{Drain, Outcome, ServerOptions, Tally, Transform, silence, table};
use slab::Slab;

use crate::open::Open;
use crate::operation::Event;
use crate::ring::Ring;

/// A table of conversations.
#[derive(Debug)]
pub(crate) struct Conversations {
    open: Slab<Open>,
    /// Lent to those that send much at a time.
    buffer: Buffer,
    /// Those that can be closed and counted, each once, so that it needs no more places than the
    /// table.
    ended: Vec<(usize, Outcome)>,
    transform: Transform,
    /// The length of a tick, if the idle timeout has any.
    tick: Option<Duration>,
    /// How many ticks of the idle timeout have passed.
    ticks: u32,
}

impl Conversations {
    /// An empty table. The ring counts the ticks of the idle timeout, if there is one.
    pub(crate) fn new(ring: &mut Ring, options: &ServerOptions) -> Self {
        let tick = silence::tick(options.idle_timeout);
        ring.tell_tick(tick);
        let transform = Transform::new(options);
        let (open, buffer, ended) = (Slab::new(), Buffer::shared(), Vec::new());
        Self { open, buffer, ended, transform, tick, ticks: 0 }
    }

    /// Adds a conversation. What its peer sends is received from now on, without another request
    /// for it.
    ///
    /// # Errors
    /// There is no memory for its place.
    pub(crate) fn begin(&mut self, ring: &mut Ring, stream: TcpStream) -> io::Result<()> {
        table::make_room(&mut self.open)?;
        self.ended.try_reserve(self.open.capacity() - self.ended.len())?;
        let entry = self.open.vacant_entry();
        let place = u32::try_from(entry.key()).expect("the limit on connections is lower");
        entry.insert(Open::new(ring, stream, place, self.ticks));
        Ok(())
    }

    /// Moves a conversation on after one of its requests has completed.
    pub(crate) fn turn(&mut self, ring: &mut Ring, place: u32, event: Event) {
        let place = place as usize;
        let open = &mut self.open[place];
        open.turn(ring, &mut self.buffer, event, self.transform, self.ticks);
        self.ended.extend(open.over().map(|outcome| (place, outcome)));
    }

    /// A tick has passed: ends the conversations whose peers have been silent for the idle timeout.
    pub(crate) fn tick(&mut self, ring: &mut Ring) {
        ring.tell_tick(self.tick);
        self.ticks = self.ticks.wrapping_add(1);
        for (_, open) in &mut self.open {
            open.end_if_silent(ring, self.ticks);
        }
    }

    /// The ring has lost what became of some requests, and whose they were: nobody can be sure of
    /// his bytes any more.
    pub(crate) fn fail_all(&mut self, ring: &mut Ring) {
        ring.tell_tick(self.tick);
        if !self.open.is_empty() {
            log::warn!("the kernel has lost requests: cut {} conversations", self.open.len());
        }
        self.ended.clear();
        self.ended.extend(self.open.iter().map(|(place, _)| (place, Outcome::Failed)));
    }

    /// Closes the conversations that have ended, then counts them. During a stop, one is closed
    /// only when its answers are delivered.
    pub(crate) fn retire(&mut self, tally: &mut Tally) {
        let stopping = Drain::current().is_some();
        self.ended.retain(|&(place, outcome)| {
            let outcome = match outcome {
                Outcome::Completed if stopping => match stop::deliver(self.open[place].stream()) {
                    Delivery::Done => Outcome::Completed,
                    Delivery::Failed => Outcome::Failed,
                    Delivery::Pending => return true,
                },
                outcome => outcome,
            };
            drop(self.open.remove(place));
            tally.close(outcome);
            false
        });
    }

    /// Ends the input of those whose clients have paused: each will receive what is left, and then
    /// the end.
    pub(crate) fn end_input(&mut self, ring: &mut Ring, drain: Drain) {
        for (_, open) in &mut self.open {
            open.end_input(ring, drain);
        }
    }
}
