//! One conversation, as a task.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll};

use common::stop::Delivery;
use common::{Buffer, Conversation, Outcome, Want, stop, work};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::yield_now;

use crate::open::Place;
use crate::sleep::IDLE_TICKS;

/// The most bytes that a conversation may receive in one turn, so that a greedy client starves no other.
const TURN_BYTES: usize = 256 * 1024;

thread_local! {
    /// Lent to a task while it is polled, never across an `await`.
    static BUFFER: RefCell<Buffer> = const { RefCell::new(Buffer::shared()) };
}

/// One conversation. This is all that an idle one costs in this process, besides what tokio keeps for a task and a socket.
///
/// The socket stands before the place: it is closed before its end is counted.
#[derive(Debug)]
pub(crate) struct Task {
    stream: TcpStream,
    conversation: Conversation,
    /// Bytes received in this turn.
    received: usize,
    /// The tick in which it last received or sent something.
    active: u32,
    /// Whether it knows that the server stops.
    stopping: bool,
    place: Place,
}

impl Task {
    pub(crate) fn new(stream: TcpStream, place: Place) -> Self {
        let active = place.ticks();
        Self { stream, conversation: Conversation::new(), received: 0, active, stopping: false, place }
    }

    /// Not an `async fn`, which would hold `self` twice.
    pub(crate) fn run(mut self) -> impl Future<Output = ()> + Send {
        async move {
            let this = &mut self;
            poll_fn(|cx| {
                this.place.can_be_woken(cx);
                Poll::Ready(())
            })
            .await;
            let outcome = self.converse().await.unwrap_or_else(|outcome| outcome);
            self.place.ends(outcome);
        }
    }

    pub(crate) async fn run2(mut self) { 
            let outcome = self.converse().await.unwrap_or_else(|outcome| outcome);
            self.place.ends(outcome);}
    async fn converse(&mut self) -> Result<Outcome, Outcome> {
        loop {
            match self.conversation.wants() {
                Want::Read if self.received >= TURN_BYTES => {
                    yield_now().await;
                    let _ = self.attend();
                }
                Want::Read => poll_fn(|cx| self.poll_answer(cx)).await?,
                Want::Write => poll_fn(|cx| self.poll_send(cx)).await?,
                Want::Close if !stop::stopping() => return Ok(Outcome::Completed),
                Want::Close => return Ok(poll_fn(|_| self.poll_delivered()).await),
            }
        }
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Outcome>> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut lent = ReadBuf::new(buffer.space());
            match Pin::new(&mut self.stream).poll_read(cx, &mut lent) {
                Poll::Pending => return self.attend(),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(failed(&error))),
                Poll::Ready(Ok(())) => {}
            }
            let received = lent.filled_mut();
            if received.is_empty() {
                self.conversation.end_of_input();
                return Poll::Ready(Ok(()));
            }
            self.received += received.len();
            self.active = self.place.ticks();
            common::show(received);
            let answer = self.conversation.receive(received);
            work::spend();
            let sent = match Pin::new(&mut self.stream).poll_write(cx, answer) {
                Poll::Pending => 0,
                Poll::Ready(Ok(sent)) => sent,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(failed(&error))),
            };
            self.conversation.keep(&answer[sent..]);
            Poll::Ready(Ok(()))
        })
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Outcome>> {
        match Pin::new(&mut self.stream).poll_write(cx, self.conversation.unsent()) {
            Poll::Pending => self.attend(),
            Poll::Ready(Ok(0)) => Poll::Ready(Err(failed(&ErrorKind::WriteZero.into()))),
            Poll::Ready(Ok(sent)) => {
                self.conversation.sent(sent);
                self.active = self.place.ticks();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(failed(&error))),
        }
    }

    fn poll_delivered(&self) -> Poll<Outcome> {
        match stop::delivery(&self.stream) {
            Delivery::Done => Poll::Ready(Outcome::Completed),
            Delivery::Failed => Poll::Ready(Outcome::Failed),
            Delivery::Pending => Poll::Pending,
        }
    }

    fn attend(&mut self) -> Poll<Result<(), Outcome>> {
        self.received = 0;
        if stop::stopping() && !self.stopping {
            self.stopping = true;
            self.conversation.end_input_after(stop::unread(&self.stream));
            // It fails only where the peer has already gone.
            let _ = SockRef::from(&self.stream).shutdown(Shutdown::Read);
            return Poll::Ready(Ok(()));
        }
        if self.place.ticks().wrapping_sub(self.active) > IDLE_TICKS {
            return Poll::Ready(Err(Outcome::TimedOut));
        }
        Poll::Pending
    }
}

fn failed(error: &io::Error) -> Outcome {
    log::debug!("conversation failed: {error}");
    Outcome::Failed
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn size() {
        fn of<F>(_: impl FnOnce(Task) -> F) -> usize { std::mem::size_of::<F>() }
        println!("task {} future {} {} stream {} conv {} place {}", size_of::<Task>(), of(Task::run), of(Task::run2), size_of::<TcpStream>(), size_of::<Conversation>(), size_of::<Place>());
    }
}
