//! One conversation, as a task: what a thread does with a blocking socket, with `.await` where the thread would sleep.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::task::Poll;

use common::stop::Delivery;
use common::{Buffer, Conversation, Outcome, Progress, Turn, Want, drive, stop};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::yield_now;

use crate::open::Place;

/// How far a task goes before it yields, so that a greedy client starves no other. A short read is no matter here: [`Socket`]
/// knows what it means.
const TURN: Turn = Turn { bytes: Turn::FAIR_BYTES, short_read_drains: false };

thread_local! {
    /// Lent to a task for its turn. A turn is a call without `.await`, so no task can sleep on it.
    static BUFFER: RefCell<Buffer> = const { RefCell::new(Buffer::shared()) };
}

/// One conversation. This is all that an idle one costs in this process, besides what tokio keeps for a task and a socket.
///
/// The socket stands before the place: it is closed before its end is counted, also where the task panics.
#[derive(Debug)]
pub(crate) struct Task {
    socket: Socket,
    conversation: Conversation,
    /// The tick in which it last received or sent something.
    active: u32,
    /// Whether it knows that the server stops.
    stopping: bool,
    place: Place,
}

impl Task {
    /// A task that has not run yet.
    pub(crate) fn new(stream: TcpStream, place: Place) -> Self {
        let active = place.ticks();
        Self {
            socket: Socket { stream, moved: false },
            conversation: Conversation::new(),
            active,
            stopping: false,
            place,
        }
    }

    /// The life of the task.
    #[allow(
        clippy::manual_async_fn,
        reason = "an async fn would hold `self` twice: as its argument, and as its variable"
    )]
    pub(crate) fn run(mut self) -> impl Future<Output = ()> + Send {
        async move {
            let outcome = self.converse().await;
            self.place.ends(outcome);
        }
    }

    /// Serves one whole conversation and says how it ended.
    async fn converse(&mut self) -> Outcome {
        poll_fn(|cx| {
            self.place.can_be_woken(cx);
            Poll::Ready(())
        })
        .await;
        loop {
            self.obey_stop();
            // Not in the `match`, whose subject would be kept while the task sleeps.
            let progress = match self.turn() {
                Ok(progress) => progress,
                Err(error) => {
                    log::debug!("conversation failed: {error}");
                    return Outcome::Failed;
                }
            };
            match progress {
                Progress::Ended if !stop::stopping() => return Outcome::Completed,
                Progress::Ended => return poll_fn(|_| self.poll_delivered()).await,
                Progress::Unfinished => yield_now().await,
                _ if self.place.silent_since(self.active) => return Outcome::TimedOut,
                Progress::Blocked | Progress::Interrupted => self.sleep().await,
            }
        }
    }

    /// Moves the conversation on as far as it goes without sleeping.
    fn turn(&mut self) -> io::Result<Progress> {
        let progress =
            BUFFER.with_borrow_mut(|buffer| drive(&mut self.conversation, &mut self.socket, buffer, TURN));
        if std::mem::take(&mut self.socket.moved) {
            self.active = self.place.ticks();
        }
        progress
    }

    /// Sleeps until the socket can do what the conversation wants, or until the server wakes the task: which of them it was shows
    /// when one tries. A function that returns a future, so that this one is no bigger than what it remembers.
    fn sleep(&mut self) -> impl Future<Output = ()> {
        let mut asleep = false;
        poll_fn(move |cx| {
            if asleep {
                return Poll::Ready(());
            }
            asleep = true;
            let ready = match self.conversation.wants() {
                Want::Write => self.socket.stream.poll_write_ready(cx),
                Want::Read | Want::Close => self.socket.stream.poll_read_ready(cx),
            };
            // An error says that the runtime has been shut down, and nothing is polled then.
            ready.map(drop)
        })
    }

    /// Ends the conversation's input if the server stops, and this is the first that the task hears of it.
    fn obey_stop(&mut self) {
        if stop::stopping() && !self.stopping {
            self.stopping = true;
            self.conversation.end_input_after(stop::unread(&self.socket.stream));
            // It fails only where the peer has already gone.
            let _ = SockRef::from(&self.socket.stream).shutdown(Shutdown::Read);
        }
    }

    /// Ready when all answers are delivered, or never will be. The main task wakes this one now and then to look.
    fn poll_delivered(&self) -> Poll<Outcome> {
        match stop::delivery(&self.socket.stream) {
            Delivery::Done => Poll::Ready(Outcome::Completed),
            Delivery::Failed => Poll::Ready(Outcome::Failed),
            Delivery::Pending => Poll::Pending,
        }
    }
}

/// A socket that is read and written without waiting, for as long as tokio believes it ready; what it does not, costs no call.
#[derive(Debug)]
struct Socket {
    stream: TcpStream,
    /// Whether bytes have been received or sent since this was last false.
    moved: bool,
}

impl Read for Socket {
    /// Like `try_read`, which takes the socket to be ready until a read has failed. A short read says the same and saves that
    /// read (epoll(7)) - *unless* the peer has closed: then no further edge comes. tokio never forgets that an event has said so,
    /// whatever is cleared here, and an event that comes between the read and the clearing is not cleared by it.
    #[inline]
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let mut received = 0;
        let drained = self.stream.try_io(Interest::READABLE, || {
            received = (&*SockRef::from(&self.stream)).read(space)?;
            if 0 < received && received < space.len() { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        self.moved |= received > 0;
        if received > 0 { Ok(received) } else { drained.map(|()| 0) }
    }
}

impl Write for Socket {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.stream.try_write(bytes)?;
        self.moved = true;
        Ok(sent)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With the hundred bytes that tokio puts around a task, and rounded up to its steps of 128, that makes 256. A debug build
    /// of mio remembers more of a socket.
    const MOST_BYTES: usize = if cfg!(debug_assertions) { 160 } else { 152 };

    #[test]
    fn a_conversation_is_small_and_holds_no_buffer() {
        fn size<F>(_: fn(Task) -> F) -> usize {
            size_of::<F>()
        }
        let bytes = size(|task| task.run());
        assert!(bytes <= MOST_BYTES, "{bytes} bytes");
    }
}
