//! Where the main task sleeps: on signals, a deadline, and one thing more.

use std::io;
use std::os::fd::AsFd;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use std::future::{Future, poll_fn};

use common::Signals;
use tokio::net::UnixStream;

/// The idle timeout is counted in this many ticks, so it is late by an eighth at the most. The price is that every task is polled
/// once per tick; a request costs no system call and no timer.
pub(crate) const IDLE_TICKS: u32 = 8;

/// The shortest tick.
const SHORTEST_TICK: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(crate) struct Sleep {
    signals: UnixStream,
}

#[derive(Debug)]
pub(crate) struct Woken<T> {
    pub(crate) arrival: Option<T>,
    pub(crate) signal: bool,
}

impl Sleep {
    pub(crate) fn new(signals: &Signals) -> io::Result<Self> {
        let signals = std::os::unix::net::UnixStream::from(signals.as_fd().try_clone_to_owned()?);
        Ok(Self { signals: UnixStream::from_std(signals)? })
    }

    pub(crate) async fn until<T>(
        &mut self,
        deadline: Option<Instant>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> io::Result<Woken<T>> {
        let mut alarm = pin!(deadline.map(|deadline| tokio::time::sleep_until(deadline.into())));
        poll_fn(|cx| {
            let mut signal = false;
            while self.signals.poll_read_ready(cx)?.is_ready() {
                signal = true;
                let _ = self.signals.try_read(&mut [0; 64]);
            }
            let late = alarm.as_mut().as_pin_mut().is_some_and(|alarm| alarm.poll(cx).is_ready());
            match poll(cx) {
                Poll::Ready(arrival) => Poll::Ready(Ok(Woken { arrival: Some(arrival), signal })),
                Poll::Pending if signal || late => Poll::Ready(Ok(Woken { arrival: None, signal })),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

#[derive(Debug)]
pub(crate) struct Ticks {
    tick: Option<Duration>,
    next: Instant,
}

impl Ticks {
    pub(crate) fn new(idle_timeout: Duration) -> Self {
        let tick = (!idle_timeout.is_zero()).then(|| SHORTEST_TICK.max(idle_timeout / IDLE_TICKS));
        Self { tick, next: Instant::now() + tick.unwrap_or_default() }
    }
    pub(crate) fn next(&self) -> Option<Instant> {
        self.tick.map(|_| self.next)
    }
    pub(crate) fn passed(&mut self) -> bool {
        let Some(tick) = self.tick else { return false };
        let now = Instant::now();
        let passed = now >= self.next;
        if passed { self.next = now + tick; }
        passed
    }
}
