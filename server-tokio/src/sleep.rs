//! Where the main task sleeps: on clients, signals, ends of conversations, and the clock.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as AnySocket;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use serving::Signals;
use tokio::io::Interest;
use tokio::net::UnixStream;

use crate::conversations::Conversations;
use crate::listener::Listener;

/// What the main task sleeps on.
///
/// tokio has timers, but a runtime with them looks twice at the clock whenever it sleeps, and gives
/// the kernel a timeout for each sleep. Here the kernel has one alarm (timerfd_create(2)), and a
/// request pays nothing for it.
#[derive(Debug)]
pub(crate) struct Sleep {
    signals: Watched,
    alarm: TimerFd,
    clock: Watched,
    set_to: Option<Instant>,
}

impl Sleep {
    /// Watches the signals, in the runtime that this is called in.
    ///
    /// # Errors
    /// If there is no descriptor left, or the kernel cannot watch one more.
    pub(crate) fn new(signals: &Signals) -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let alarm = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        Ok(Self { signals: Watched::new(signals)?, clock: Watched::new(&alarm)?, alarm, set_to: None })
    }

    /// Sleeps until a client arrives at the listener, if that is watched, a signal arrives, a
    /// conversation ends, a tick of the idle timeout passes, or the deadline does. Says whether a
    /// client has arrived, and whether a signal has.
    ///
    /// Never both: a stop that comes together with a client finds it still in the listener's queue.
    ///
    /// # Errors
    /// If the kernel cannot set the alarm.
    pub(crate) async fn until(
        &mut self,
        deadline: Option<Instant>,
        mut watched: Option<&mut Listener>,
        open: &mut Conversations,
    ) -> io::Result<[bool; 2]> {
        self.set_alarm(deadline.into_iter().chain(open.next_tick()).min())?;
        let woken = poll_fn(|cx| {
            if self.signals.poll_stirred(cx)?.is_ready() {
                return Poll::Ready(Ok([false, true]));
            }
            let late = self.clock.poll_stirred(cx)?.is_ready();
            let arrival = watched.as_mut().is_some_and(|listener| listener.poll_arrival(cx).is_ready());
            let ended = open.poll_ended(cx).is_ready();
            if arrival || ended || late { Poll::Ready(Ok([arrival, false])) } else { Poll::Pending }
        });
        let woken: io::Result<_> = woken.await;
        open.tick();
        woken
    }

    /// A system call only where `at` is new. An alarm that nobody wants any more wakes once, for
    /// nothing.
    fn set_alarm(&mut self, at: Option<Instant>) -> io::Result<()> {
        if let Some(at) = at
            && self.set_to.replace(at) != Some(at)
        {
            // A time of zero would mean never.
            let left = at.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
            self.alarm.set(Expiration::OneShot(TimeSpec::from(left)), TimerSetTimeFlags::empty())?;
        }
        Ok(())
    }
}

/// A descriptor that is watched for new readiness, and never read here.
///
/// It passes for a Unix socket, because what tokio has for any descriptor (`AsyncFd`) is unsafe to
/// call. To be watched is all that is asked of it; it is owned, so it lives for as long as it is.
#[derive(Debug)]
struct Watched(UnixStream);

impl Watched {
    fn new(source: &impl AsFd) -> io::Result<Self> {
        let owned: OwnedFd = source.as_fd().try_clone_to_owned()?;
        Ok(Self(UnixStream::from_std(AnySocket::from(owned))?))
    }

    /// Ready when something has stirred since it last was: edge-triggered, so take all there is.
    fn poll_stirred(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.0.poll_read_ready(cx))?;
        // Makes tokio forget it.
        let _ = self.0.try_io(Interest::READABLE, || Err::<(), _>(ErrorKind::WouldBlock.into()));
        Poll::Ready(Ok(()))
    }
}
