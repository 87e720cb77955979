//! The open conversations of one event loop, and their turns.

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use common::{Buffer, Conversation, Progress, Turn, Want, drive};
use mio::event::Event;
use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use serving::stop::{self, Delivery, Input};
use serving::{Drain, Outcome, ServerOptions, Silence, Tally, Transform, silence, table, tally};
use slab::Slab;

use crate::TICK;

/// One conversation. This is all that an idle one costs in this process.
#[derive(Debug)]
struct Open {
    stream: TcpStream,
    conversation: Conversation,
    silence: Silence,
    /// An event has said that the peer will send no more. There will be no other event: from now on
    /// only an end of input means that everything is read, and a short read does not.
    peer_closed: bool,
    waits: Waits,
}

/// What a conversation waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// For an event.
    Event,
    /// Its turn ended before its input did: for another one, which comes in any case, and only
    /// once. A greedy client's events must not win it more.
    Turn,
    /// It has ended: to be closed.
    Close,
}

/// A table of conversations.
///
/// Tokens are plain indices, without a generation: an entry is freed only between the turns, and
/// used again only when all events of the batch have been seen, so that none can be meant for its
/// predecessor.
#[derive(Debug)]
pub struct Conversations {
    open: Slab<Open>,
    buffer: Buffer,
    transform: Transform,
    /// Those whose turn ended before their input did.
    unfinished: VecDeque<usize>,
    /// Those that have ended, and how.
    ended: Vec<(usize, Outcome)>,
    /// How many ticks of the idle timeout have passed.
    ticks: u32,
    /// Wakes the loop once a tick; none without an idle timeout.
    alarm: Option<TimerFd>,
}

impl Conversations {
    /// An empty table.
    ///
    /// # Errors
    /// If there is no descriptor left for the alarm of the idle timeout, or the kernel cannot watch
    /// it.
    pub fn new(registry: &Registry, options: &ServerOptions) -> io::Result<Self> {
        let tick = silence::tick(options.idle_timeout);
        Ok(Self {
            open: Slab::new(),
            buffer: Buffer::shared(),
            transform: Transform::new(options),
            unfinished: VecDeque::new(),
            ended: Vec::new(),
            ticks: 0,
            alarm: tick.map(|tick| alarm(registry, tick)).transpose()?,
        })
    }

    /// Adds a conversation. Both directions are registered at once and for good, so no later turn
    /// costs a system call for it.
    ///
    /// # Errors
    /// `ENOMEM` or `ENOSPC`: the kernel cannot watch one more (epoll_ctl(2)), or there is no memory
    /// for its entry.
    pub fn begin(&mut self, registry: &Registry, mut stream: TcpStream) -> io::Result<()> {
        table::make_room(&mut self.open)?;
        // Neither list is ever longer than the table.
        self.unfinished.try_reserve(self.open.capacity() - self.unfinished.len())?;
        self.ended.try_reserve(self.open.capacity() - self.ended.len())?;
        let entry = self.open.vacant_entry();
        registry.register(&mut stream, Token(entry.key()), Interest::READABLE | Interest::WRITABLE)?;
        entry.insert(Open {
            stream,
            conversation: Conversation::new(),
            silence: Silence::since(self.ticks),
            peer_closed: false,
            waits: Waits::Event,
        });
        Ok(())
    }

    /// How long the loop may sleep if nothing happens; `None` for as long as that takes.
    pub(crate) fn patience(&self) -> Option<Duration> {
        (!self.unfinished.is_empty()).then_some(Duration::ZERO)
    }

    /// Gives the conversation that an event belongs to its turn.
    pub(crate) fn turn(&mut self, key: usize, event: &Event) {
        let Some(open) = self.open.get_mut(key) else { return };
        open.silence.end(self.ticks);
        open.peer_closed |= event.is_read_closed() || event.is_error();
        let heard = event.is_readable() || open.peer_closed;
        // The first event of every connection says only that it can be written.
        let concerns = heard || open.conversation.wants() != Want::Read;
        if concerns && open.waits == Waits::Event {
            self.go_on(key);
        }
    }

    /// Gives those another turn whose last one was not enough.
    pub(crate) fn turn_unfinished(&mut self) {
        for _ in 0..self.unfinished.len() {
            if let Some(key) = self.unfinished.pop_front() {
                self.go_on(key);
            }
        }
    }

    /// A tick has passed: ends the conversations whose peers have been silent for the idle timeout.
    pub(crate) fn tick(&mut self) {
        // The kernel sets an alarm that repeats anew when it is read.
        if let Some(alarm) = &self.alarm {
            let _ = alarm.wait();
        }
        self.ticks = self.ticks.wrapping_add(1);
        for (key, open) in &mut self.open {
            if open.waits != Waits::Close && open.silence.is_over(self.ticks, &open.stream) {
                open.waits = Waits::Close;
                self.ended.push((key, Outcome::TimedOut));
            }
        }
    }

    fn go_on(&mut self, key: usize) {
        let Some(open) = self.open.get_mut(key).filter(|open| open.waits != Waits::Close) else { return };
        let turn = stop::bounded(Turn { bytes: Turn::FAIR_BYTES, short_read_drains: !open.peer_closed });
        let progress = drive(&mut open.conversation, &mut open.stream, &mut self.buffer, turn, |received| {
            self.transform.apply(received);
        });
        open.waits = match progress {
            Ok(Progress::Blocked | Progress::Interrupted) => Waits::Event,
            Ok(Progress::Unfinished) => {
                self.unfinished.push_back(key);
                Waits::Turn
            }
            Ok(Progress::Ended) => {
                self.ended.push((key, Outcome::Completed));
                Waits::Close
            }
            Err(error) => {
                self.ended.push((key, tally::outcome_of(&error, &open.stream)));
                Waits::Close
            }
        };
    }

    /// Closes the conversations that have ended, then counts them. During a stop, one is closed
    /// only when its answers are delivered. The kernel forgets a closed socket's registration by
    /// itself (epoll(7)).
    pub fn retire(&mut self, tally: &mut Tally) {
        let stopping = Drain::current().is_some();
        self.ended.retain(|&(key, outcome)| {
            let outcome = match outcome {
                Outcome::Completed if stopping => match stop::deliver(&self.open[key].stream) {
                    Delivery::Done => Outcome::Completed,
                    Delivery::Failed => Outcome::Failed,
                    Delivery::Pending => return true,
                },
                outcome => outcome,
            };
            drop(self.open.remove(key));
            tally.close(outcome);
            false
        });
    }

    /// Ends the input of those whose clients have paused: each will read what is left, and then the
    /// end.
    pub fn end_input(&mut self, drain: Drain) {
        for (key, open) in self.open.iter_mut().filter(|(_, open)| open.waits != Waits::Close) {
            match drain.input(&open.stream) {
                Input::Open => {}
                Input::Unheard if open.conversation.wants() == Want::Read => {
                    open.waits = Waits::Close;
                    self.ended.push((key, Outcome::Completed));
                }
                Input::Ended | Input::Unheard => {
                    // It fails only where the peer has already gone.
                    let _ = open.stream.shutdown(Shutdown::Read);
                }
            }
        }
    }
}

/// Something that can be read once a tick (timerfd_create(2)).
///
/// The timeout of `epoll_wait` would do too. But it is a timer that the kernel sets and takes back
/// in every sleep: two per cent of a request where one client asks.
fn alarm(registry: &Registry, tick: Duration) -> io::Result<TimerFd> {
    let alarm = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
    alarm.set(Expiration::Interval(TimeSpec::from(tick)), TimerSetTimeFlags::empty())?;
    registry.register(&mut SourceFd(&alarm.as_fd().as_raw_fd()), TICK, Interest::READABLE)?;
    Ok(alarm)
}
