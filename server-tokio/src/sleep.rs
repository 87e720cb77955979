//! Where the main task sleeps: on signals, on the clock, and on one thing more.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as AnySocket;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use common::Signals;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// What ended a sleep besides the clock.
#[derive(Debug)]
pub(crate) struct Woken<T> {
    /// What was polled for.
    pub(crate) arrival: Option<T>,
    /// A signal is there.
    pub(crate) signal: bool,
}

/// What the main task sleeps on.
#[derive(Debug)]
pub(crate) struct Sleep {
    signals: Watched,
    alarm: Alarm,
}

impl Sleep {
    /// Watches the signals, in the runtime that this is called in.
    ///
    /// # Errors
    /// If there is no descriptor left, or the kernel cannot watch one more.
    pub(crate) fn new(signals: &Signals) -> io::Result<Self> {
        Ok(Self { signals: Watched::new(signals)?, alarm: Alarm::new()? })
    }

    /// Sleeps until `poll` is ready, a signal is there, or the deadline has passed.
    ///
    /// # Errors
    /// If the kernel cannot set the alarm.
    pub(crate) async fn until<T>(
        &mut self,
        deadline: Option<Instant>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> io::Result<Woken<T>> {
        self.alarm.set(deadline)?;
        poll_fn(|cx| {
            let signal = self.signals.poll_stirred(cx)?.is_ready();
            let late = self.alarm.clock.poll_stirred(cx)?.is_ready();
            match poll(cx) {
                Poll::Ready(arrival) => Poll::Ready(Ok(Woken { arrival: Some(arrival), signal })),
                Poll::Pending if signal || late => Poll::Ready(Ok(Woken { arrival: None, signal })),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

/// A point in time as something to be watched (timerfd_create(2)).
///
/// tokio has timers, but a runtime with them looks twice at the clock whenever it sleeps, and gives the kernel a timeout for each
/// sleep. Here the kernel has the one alarm, and a request pays nothing for it.
#[derive(Debug)]
struct Alarm {
    timer: TimerFd,
    clock: Watched,
    set_to: Option<Instant>,
}

impl Alarm {
    fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        Ok(Self { clock: Watched::new(&timer)?, timer, set_to: None })
    }

    /// Sets it to `at`, or to never; a system call only where that is news.
    fn set(&mut self, at: Option<Instant>) -> io::Result<()> {
        if at == self.set_to {
            return Ok(());
        }
        self.set_to = at;
        let Some(at) = at else { return Ok(self.timer.unset()?) };
        // A time of zero would mean never.
        let left = at.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
        Ok(self.timer.set(Expiration::OneShot(TimeSpec::from(left)), TimerSetTimeFlags::empty())?)
    }
}

/// A descriptor that is watched for new readiness, and never read here.
///
/// It passes for a Unix socket, which the signals' is, because what tokio has for any descriptor (`AsyncFd`) is unsafe to call. To be
/// watched is all that is asked of it; it is owned, so it lives for as long as it is.
#[derive(Debug)]
struct Watched(UnixStream);

impl Watched {
    fn new(source: &impl AsFd) -> io::Result<Self> {
        let owned: OwnedFd = source.as_fd().try_clone_to_owned()?;
        Ok(Self(UnixStream::from_std(AnySocket::from(owned))?))
    }

    /// Ready when something has stirred since it last was: edge-triggered, so who is told takes all there is.
    fn poll_stirred(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.0.poll_read_ready(cx))?;
        // Makes tokio forget it.
        let _ = self.0.try_io(Interest::READABLE, || Err::<(), _>(ErrorKind::WouldBlock.into()));
        Poll::Ready(Ok(()))
    }
}
