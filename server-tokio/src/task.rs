//! One conversation, as a task: what a thread does, with `.await` where the thread would sleep.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::ops::ControlFlow;
use std::task::Poll;

use common::{Buffer, Conversation, Progress, Turn, Want, drive};
use serving::stop::{self, Delivery, Input};
use serving::{Drain, Outcome, Silence, tally};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::yield_now;

use crate::conversations::Place;

/// How far a task goes before it yields, so that a greedy client starves no other. A short read is
/// no matter here: [`Socket`] knows what it means.
const TURN: Turn = Turn { bytes: Turn::FAIR_BYTES, short_read_drains: false };

thread_local! {
    /// Lent to a task for its turn. A turn is a call without `.await`, so no task can sleep on it.
    static BUFFER: RefCell<Buffer> = const { RefCell::new(Buffer::shared()) };
}

/// Whether this thread is in the turn of a task: what panics there ends that conversation alone.
pub(crate) fn is_in_turn() -> bool {
    BUFFER.try_with(|buffer| buffer.try_borrow().is_err()).unwrap_or(false)
}

/// One conversation. This is all that an idle one costs in this process, besides what tokio keeps
/// for a task and a socket.
///
/// The socket stands before the place: it is closed before its end is reported, also where the task
/// panics.
#[derive(Debug)]
pub(crate) struct Task {
    stream: TcpStream,
    conversation: Conversation,
    silence: Silence,
    place: Place,
}

impl Task {
    /// A task that has not run yet.
    pub(crate) fn new(stream: TcpStream, place: Place) -> Self {
        let silence = Silence::since(place.ticks());
        Self { stream, conversation: Conversation::new(), silence, place }
    }

    /// The task's life.
    pub(crate) async fn serve(&mut self) {
        poll_fn(|cx| self.place.poll_entered(cx)).await;
        let outcome = loop {
            match self.turn() {
                ControlFlow::Break(outcome) => break outcome,
                ControlFlow::Continue(Progress::Unfinished) => {
                    self.silence.end(self.place.ticks());
                    yield_now().await;
                }
                ControlFlow::Continue(_) => {
                    let idle = self.sleep().await;
                    if idle {
                        break Outcome::TimedOut;
                    }
                }
            }
        };
        self.place.ends(outcome);
    }

    /// Moves the conversation on as far as it goes without sleeping; breaks when it is over.
    fn turn(&mut self) -> ControlFlow<Outcome, Progress> {
        let transform = self.place.transform();
        let progress = BUFFER.with_borrow_mut(|buffer| {
            drive(
                &mut self.conversation,
                &mut Socket(&self.stream),
                buffer,
                stop::bounded(TURN),
                |received| {
                    transform.apply(received);
                },
            )
        });
        match (progress, Drain::current()) {
            (Err(error), _) => ControlFlow::Break(tally::outcome_of(&error, &self.stream)),
            (Ok(Progress::Ended), None) => ControlFlow::Break(Outcome::Completed),
            (Ok(progress), None) => ControlFlow::Continue(progress),
            (Ok(progress), Some(drain)) => self.finish(progress, drain),
        }
    }

    /// What follows a turn during a stop: the input ends when the client has paused, and the
    /// conversation when its last answers are delivered. The main task wakes this one now and then
    /// to look.
    fn finish(&mut self, progress: Progress, drain: Drain) -> ControlFlow<Outcome, Progress> {
        match (drain.input(&self.stream), self.conversation.wants()) {
            (_, Want::Close) => {}
            (Input::Unheard, Want::Read) => self.conversation.end_of_input(),
            (input, _) => {
                if input != Input::Open {
                    // It fails only where the peer has already gone.
                    let _ = SockRef::from(&self.stream).shutdown(Shutdown::Read);
                }
                return ControlFlow::Continue(progress);
            }
        }
        match stop::deliver(&self.stream) {
            Delivery::Done => ControlFlow::Break(Outcome::Completed),
            Delivery::Failed => ControlFlow::Break(Outcome::Failed),
            Delivery::Pending => ControlFlow::Continue(Progress::Ended),
        }
    }

    /// Sleeps until the socket can do what the conversation wants, or until the main task wakes
    /// this one; says whether the idle timeout has passed. A function that returns a future, so
    /// that this is no bigger than what it remembers.
    fn sleep(&mut self) -> impl Future<Output = bool> {
        let mut asleep = false;
        poll_fn(move |cx| {
            let ready = match self.conversation.wants() {
                Want::Read => self.stream.poll_read_ready(cx),
                Want::Write => self.stream.poll_write_ready(cx),
                // For the delivery of its answers, of which no event tells.
                Want::Close => Poll::Pending,
            };
            if ready.is_ready() {
                self.silence.end(self.place.ticks());
                Poll::Ready(false)
            } else if asleep {
                // Its input has ended, and its answers are on their way.
                let delivers = self.conversation.wants() == Want::Close;
                Poll::Ready(!delivers && self.silence.is_over(self.place.ticks(), &self.stream))
            } else {
                asleep = true;
                Poll::Pending
            }
        })
    }
}

/// A socket that is read and written without waiting, for as long as tokio believes it ready; what
/// it does not, costs no call.
#[derive(Debug)]
struct Socket<'a>(&'a TcpStream);

impl Read for Socket<'_> {
    /// Like `try_read`, which takes the socket to be ready until a read has failed. A short read
    /// says the same and saves that read (epoll(7)) - *unless* the peer has closed: then no further
    /// edge comes. tokio never forgets that an event has said so, whatever is cleared here, and an
    /// event that comes between the read and the clearing is not cleared by it.
    #[inline]
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let mut received = 0;
        let drained = self.0.try_io(Interest::READABLE, || {
            received = (&*SockRef::from(self.0)).read(space)?;
            if 0 < received && received < space.len() { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        if received > 0 { Ok(received) } else { drained.map(|()| 0) }
    }
}

impl Write for Socket<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With the hundred bytes that tokio puts around a task, and rounded up to its steps of 128,
    /// that makes 256. A debug build of mio remembers more of a socket.
    const MOST_BYTES: usize = if cfg!(debug_assertions) { 160 } else { 152 };

    #[test]
    fn a_conversation_is_small_and_holds_no_buffer() {
        fn size<F>(_: fn(Task) -> F) -> usize {
            size_of::<F>()
        }
        let bytes = size(|mut task| async move { task.serve().await });
        assert!(bytes <= MOST_BYTES, "{bytes} bytes");
    }
}
