//! The open conversations of one event loop, and their turns.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use common::stop::Delivery;
use common::{Buffer, Conversation, Outcome, Progress, Tally, Turn, Want, drive, silence, stop};
use mio::event::Event;
use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use slab::Slab;

use crate::TICK;

/// One conversation. This is all that an idle one costs in this process.
#[derive(Debug)]
struct Open {
    stream: TcpStream,
    conversation: Conversation,
    /// The tick of its last event.
    active: u32,
    /// An event has said that the peer will send no more. There will be no other event: from now on only an end of input
    /// means that everything is read, and a short read does not.
    peer_closed: bool,
    waits: Waits,
}

/// What a conversation waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// For an event.
    Event,
    /// Its turn ended before its input did: for another one, which comes in any case, and only once. A greedy client's events
    /// must not win it more.
    Turn,
    /// Ended by the server: for the delivery of its answers.
    Delivery,
}

/// A table of conversations.
///
/// Tokens are plain indices, without a generation: an entry is freed only in its own turn or between the turns, and used again
/// only when all events of the batch have been seen, so that none can be meant for its predecessor.
#[derive(Debug)]
pub struct Conversations {
    open: Slab<Open>,
    buffer: Buffer,
    /// Those whose turn ended before their input did.
    unfinished: Vec<usize>,
    /// Those that the server has ended, and whose peers have not acknowledged everything yet.
    undelivered: Vec<usize>,
    /// How many ticks of the idle timeout have passed.
    ticks: u32,
    /// Wakes the loop once a tick; none without an idle timeout.
    alarm: Option<TimerFd>,
}

impl Conversations {
    /// An empty table. An idle timeout of zero means never.
    ///
    /// # Errors
    /// If there is no descriptor left for the alarm of the idle timeout, or the kernel cannot watch it.
    pub fn new(registry: &Registry, idle_timeout: Duration) -> io::Result<Self> {
        let tick = silence::tick(idle_timeout);
        Ok(Self {
            open: Slab::new(),
            buffer: Buffer::shared(),
            unfinished: Vec::new(),
            undelivered: Vec::new(),
            ticks: 0,
            alarm: tick.map(|tick| alarm(registry, tick)).transpose()?,
        })
    }

    /// How long the loop may sleep if nothing happens; `None` for as long as that takes.
    pub(crate) fn patience(&self) -> Option<Duration> {
        if !self.unfinished.is_empty() {
            return Some(Duration::ZERO);
        }
        (!self.undelivered.is_empty()).then_some(stop::DELIVERY_LOOK)
    }

    /// Adds a conversation. Both directions are registered at once and for good, so no later turn costs a system call for it.
    ///
    /// # Errors
    /// `ENOMEM` or `ENOSPC`: the kernel cannot watch one more (epoll_ctl(2)).
    pub fn begin(&mut self, registry: &Registry, mut stream: TcpStream) -> io::Result<()> {
        let entry = self.open.vacant_entry();
        registry.register(&mut stream, Token(entry.key()), Interest::READABLE | Interest::WRITABLE)?;
        entry.insert(Open {
            stream,
            conversation: Conversation::new(),
            active: self.ticks,
            peer_closed: false,
            waits: Waits::Event,
        });
        Ok(())
    }

    /// Gives the conversation that an event belongs to its turn.
    pub(crate) fn turn(&mut self, key: usize, event: &Event, tally: &mut Tally) {
        let Some(open) = self.open.get_mut(key) else { return };
        open.active = self.ticks;
        open.peer_closed |= event.is_read_closed() || event.is_error();
        let heard = event.is_readable() || open.peer_closed;
        // The first event of every connection says only that it can be written.
        let concerns = heard || open.conversation.wants() != Want::Read;
        if concerns && open.waits == Waits::Event {
            self.go_on(key, tally);
        }
    }

    /// Gives those another turn whose last one was not enough.
    pub(crate) fn turn_unfinished(&mut self, tally: &mut Tally) {
        for key in std::mem::take(&mut self.unfinished) {
            self.go_on(key, tally);
        }
    }

    fn go_on(&mut self, key: usize, tally: &mut Tally) {
        let Some(open) = self.open.get_mut(key) else { return };
        open.waits = Waits::Event;
        let turn = Turn { bytes: Turn::FAIR_BYTES, short_read_drains: !open.peer_closed };
        match drive(&mut open.conversation, &mut open.stream, &mut self.buffer, turn) {
            Ok(Progress::Blocked | Progress::Interrupted) => {}
            Ok(Progress::Unfinished) => {
                open.waits = Waits::Turn;
                self.unfinished.push(key);
            }
            // What the server has ended closes when everything is delivered: see `end_delivered`.
            Ok(Progress::Ended) if stop::stopping() => {
                open.waits = Waits::Delivery;
                self.undelivered.push(key);
            }
            Ok(Progress::Ended) => self.end(key, Outcome::Completed, tally),
            Err(error) => {
                log::debug!("conversation failed: {error}");
                self.end(key, Outcome::Failed, tally);
            }
        }
    }

    /// Closes a conversation, then counts it. The kernel forgets a closed socket's registration by itself (epoll(7)).
    fn end(&mut self, key: usize, outcome: Outcome, tally: &mut Tally) {
        drop(self.open.remove(key));
        tally.close(outcome);
    }

    /// A tick has passed: ends the conversations whose peers have neither sent nor taken anything for the idle timeout.
    pub fn end_silent(&mut self, tally: &mut Tally) {
        // The kernel sets an alarm that repeats anew when it is read.
        if let Some(alarm) = &self.alarm {
            let _ = alarm.wait();
        }
        self.ticks = self.ticks.wrapping_add(1);
        let ticks = self.ticks;
        self.open.retain(|_, open| {
            let silent = silence::is_over(ticks, open.active);
            if silent {
                tally.close(Outcome::TimedOut);
            }
            !silent
        });
    }

    /// Ends every conversation's input: each will read what is left, and then the end.
    pub fn end_input(&mut self) {
        for (_, open) in &mut self.open {
            open.conversation.end_input_after(stop::unread(&open.stream));
            // It fails only where the peer has already gone.
            let _ = open.stream.shutdown(Shutdown::Read);
        }
    }

    /// Closes those that the server has ended and whose answers are delivered by now, or never will be.
    pub fn end_delivered(&mut self, tally: &mut Tally) {
        for key in std::mem::take(&mut self.undelivered) {
            let Some(open) = self.open.get(key) else { continue };
            match stop::delivery(&open.stream) {
                Delivery::Done => self.end(key, Outcome::Completed, tally),
                Delivery::Failed => self.end(key, Outcome::Failed, tally),
                Delivery::Pending => self.undelivered.push(key),
            }
        }
    }
}

/// Something that can be read once a tick (timerfd_create(2)).
///
/// The timeout of `epoll_wait` would do too. But it is a timer that the kernel sets and takes back in every sleep: two per cent of a
/// request where one client asks.
fn alarm(registry: &Registry, tick: Duration) -> io::Result<TimerFd> {
    let alarm = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
    alarm.set(Expiration::Interval(TimeSpec::from(tick)), TimerSetTimeFlags::empty())?;
    registry.register(&mut SourceFd(&alarm.as_fd().as_raw_fd()), TICK, Interest::READABLE)?;
    Ok(alarm)
}
