//! One conversation on a blocking socket, for the models whose thread or process sleeps in it.

use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use common::{Buffer, Conversation, Progress, Turn, Want, drive};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::SockRef;

use crate::stop::{self, Delivery, Drain, Input};
use crate::tcp::Info;
use crate::{Outcome, Silence, Transform, tally};

/// How often one conversation is looked at that has ended and whose last answers are not delivered
/// yet.
const DELIVERY_LOOK: Duration = Duration::from_millis(5);

/// A conversation, and how long its peer has been silent.
#[derive(Debug)]
pub struct Talk {
    conversation: Conversation,
    /// How often the socket's timeout has passed: see [`listen`](crate::listen()), which sets it to
    /// a tick.
    ticks: u32,
    silence: Silence,
}

impl Talk {
    /// Nothing has been said yet.
    pub fn new() -> Self {
        Self { conversation: Conversation::new(), ticks: 0, silence: Silence::since(0) }
    }

    /// Goes on until the conversation has ended, and says how. It comes back with `None` where a
    /// signal has woken it ([`stop::Current`]), and during a stop now and then: look for signals,
    /// then go on.
    ///
    /// A request costs two system calls and no clock. During a stop the socket does not block, and
    /// the conversation obeys the [`Drain`].
    #[inline]
    pub fn go_on(
        &mut self,
        stream: &TcpStream,
        buffer: &mut Buffer,
        transform: Transform,
    ) -> Option<Outcome> {
        match Drain::current() {
            None => self.talk(stream, buffer, transform),
            Some(drain) => self.finish(stream, buffer, transform, drain),
        }
    }

    #[inline]
    fn talk(&mut self, mut stream: &TcpStream, buffer: &mut Buffer, transform: Transform) -> Option<Outcome> {
        loop {
            let progress = drive(&mut self.conversation, &mut stream, buffer, Turn::LONG, |received| {
                transform.apply(received);
            });
            match progress {
                Err(error) => return Some(tally::outcome_of(&error, stream)),
                _ if Drain::current().is_some() => return None,
                Ok(Progress::Ended) => return Some(Outcome::Completed),
                Ok(_) if SockRef::from(stream).nonblocking().unwrap_or(false) => return None,
                Ok(Progress::Blocked) if self.tick(stream) => return Some(Outcome::TimedOut),
                Ok(_) => {}
            }
        }
    }

    /// The socket's timeout has passed. Whether the idle timeout has passed too.
    fn tick(&mut self, stream: &TcpStream) -> bool {
        let timeout = stream.read_timeout().ok().flatten().unwrap_or_default();
        // The last bytes have come in the tick before this one, or in this one: a call that blocks
        // anew does not come back sooner.
        if Info::of(stream).is_some_and(|info| info.since_received() < 2 * timeout) {
            self.silence.end(self.ticks);
        }
        self.ticks = self.ticks.wrapping_add(1);
        self.silence.is_over(self.ticks, stream)
    }

    /// One step of a stop: moves the conversation on as far as that goes without sleeping, then
    /// sleeps a moment.
    fn finish(
        &mut self,
        mut stream: &TcpStream,
        buffer: &mut Buffer,
        transform: Transform,
        drain: Drain,
    ) -> Option<Outcome> {
        // A socket that cannot be told so is one that the next read fails on.
        let _ = stream.set_nonblocking(true);
        let progress =
            drive(&mut self.conversation, &mut stream, buffer, stop::bounded(Turn::LONG), |received| {
                transform.apply(received);
            });
        if let Err(error) = progress {
            return Some(tally::outcome_of(&error, stream));
        }
        match (drain.input(stream), self.conversation.wants()) {
            (_, Want::Close) => {}
            _ if drain.is_over() => return Some(Outcome::Failed),
            (Input::Unheard, Want::Read) => self.conversation.end_of_input(),
            (input, wants) => {
                if input != Input::Open {
                    // It fails only where the peer has already gone.
                    let _ = stream.shutdown(Shutdown::Read);
                }
                let events = if wants == Want::Write { PollFlags::POLLOUT } else { PollFlags::POLLIN };
                let look = PollTimeout::try_from(stop::LOOK).unwrap_or(PollTimeout::ZERO);
                let _ = poll(&mut [PollFd::new(stream.as_fd(), events)], look);
                return None;
            }
        }
        match stop::deliver(stream) {
            Delivery::Done => Some(Outcome::Completed),
            Delivery::Failed => Some(Outcome::Failed),
            Delivery::Pending if drain.is_over() => Some(Outcome::Failed),
            Delivery::Pending => {
                thread::sleep(DELIVERY_LOOK);
                None
            }
        }
    }
}

impl Default for Talk {
    fn default() -> Self {
        Self::new()
    }
}
