//! How the main thread steers the workers, and how they answer: phases, counters, a bell.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::schedule::Clock;

/// What all workers do at a time. The main thread sets it and wakes them; each says when it has
/// followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    /// Open the connections.
    Connecting,
    /// Ask nothing new; what was asked may be answered.
    Idle,
    /// Ask once on each connection, and record nothing.
    Greeting,
    /// Ask, and record nothing.
    WarmUp,
    /// Ask, and record.
    Measuring,
    /// Wait for the last answers, then close.
    Finishing,
    /// Leave at once.
    Quitting,
}

impl Phase {
    const ALL: [Self; 7] = [
        Self::Connecting,
        Self::Idle,
        Self::Greeting,
        Self::WarmUp,
        Self::Measuring,
        Self::Finishing,
        Self::Quitting,
    ];

    fn from_number(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Quitting)
    }

    /// Whether requests are begun in this phase.
    pub(super) fn asks(self) -> bool {
        matches!(self, Self::Greeting | Self::WarmUp | Self::Measuring)
    }
}

/// Ends the warm-up or the measurement early, from any thread; what was measured until then is the
/// result.
#[derive(Debug, Clone, Default)]
pub struct StopHandle(Arc<Notifier>);

impl StopHandle {
    /// Ends what goes on now, and all that would follow; calling it again changes nothing.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
        self.0.ring();
    }

    /// Whether somebody has called [`StopHandle::stop`].
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }

    /// Sleeps for that long, or until somebody calls [`StopHandle::stop`].
    pub fn wait(&self, timeout: Duration) {
        let began = Instant::now();
        while !self.0.wait(timeout.saturating_sub(began.elapsed()), || self.is_stopped())
            && began.elapsed() < timeout
        {}
    }

    pub(super) fn bell(&self) -> &Notifier {
        &self.0
    }
}

/// What the main thread sleeps on.
#[derive(Debug, Default)]
pub(super) struct Notifier {
    stopped: AtomicBool,
    lock: Mutex<()>,
    rung: Condvar,
}

impl Notifier {
    /// Wakes the main thread. Publish the fact first, then ring.
    pub(super) fn ring(&self) {
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
        self.rung.notify_all();
    }

    /// Sleeps until `done` holds; looks again at each ring, and after `timeout`. Returns whether it
    /// holds.
    pub(super) fn wait(&self, timeout: Duration, mut done: impl FnMut() -> bool) -> bool {
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if done() {
            return true;
        }
        drop(self.rung.wait_timeout(guard, timeout).unwrap_or_else(PoisonError::into_inner));
        done()
    }
}

/// What all workers share with the main thread.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) stop: StopHandle,
    failure: Mutex<Option<String>>,
    phase: AtomicU8,
    phase_began: AtomicU64,
}

impl Shared {
    pub(super) fn new(stop: StopHandle) -> Self {
        Self {
            clock: Clock::new(),
            stop,
            failure: Mutex::new(None),
            phase: AtomicU8::new(Phase::Connecting as u8),
            phase_began: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(super) fn phase(&self) -> Phase {
        Phase::from_number(self.phase.load(Ordering::Acquire))
    }

    /// When the phase began, in nanoseconds of the clock.
    pub(super) fn phase_began(&self) -> u64 {
        self.phase_began.load(Ordering::Relaxed)
    }

    /// Begins a phase; the caller wakes the workers. Returns when it began, in nanoseconds of the
    /// clock.
    pub(super) fn set_phase(&self, phase: Phase) -> u64 {
        let now = self.clock.now();
        self.phase_began.store(now, Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Release);
        now
    }

    /// Why the first connection could not be opened.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the first failure to open a connection.
    pub(super) fn fail(&self, line: String) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(line);
        self.stop.bell().ring();
    }
}

/// What one worker lets others see; written once per turn of its loop.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Requests answered in this phase.
    pub(super) answered: AtomicU64,
    /// Errors since the beginning.
    pub(super) errors: AtomicU64,
    /// Connections that are open now.
    pub(super) open: AtomicUsize,
    /// Whether it has nothing left to ask or to wait for, in this phase.
    pub(super) done: AtomicBool,
    /// The phase that it has entered.
    entered: AtomicU8,
}

impl Counters {
    pub(super) fn enter(&self, phase: Phase) {
        self.entered.store(phase as u8, Ordering::Release);
    }

    pub(super) fn entered(&self) -> Phase {
        Phase::from_number(self.entered.load(Ordering::Acquire))
    }
}

/// How far a load has come.
#[derive(Debug, Clone, Copy, Default)]
pub struct Snapshot {
    /// Requests answered in the phase that goes on, or the last one.
    pub answered: u64,
    /// Errors since the load began.
    pub errors: u64,
    /// Connections that are open now.
    pub open: usize,
    /// Since this phase began.
    pub elapsed: Duration,
    /// Whether this phase is the measurement.
    pub measuring: bool,
}

/// Watches a load from another thread.
#[derive(Debug, Clone)]
pub struct Monitor {
    pub(super) shared: Arc<Shared>,
    pub(super) counters: Arc<[Arc<Counters>]>,
}

impl Monitor {
    /// How far the load has come; costs the workers nothing.
    pub fn progress(&self) -> Snapshot {
        let sum = |count: fn(&Counters) -> u64| self.counters.iter().map(|worker| count(worker)).sum();
        Snapshot {
            answered: sum(|worker| worker.answered.load(Ordering::Relaxed)),
            errors: sum(|worker| worker.errors.load(Ordering::Relaxed)),
            open: self.open(),
            elapsed: Duration::from_nanos(self.shared.clock.now().saturating_sub(self.shared.phase_began())),
            measuring: self.shared.phase() == Phase::Measuring,
        }
    }

    /// Connections that are open now.
    pub(super) fn open(&self) -> usize {
        self.counters.iter().map(|worker| worker.open.load(Ordering::Relaxed)).sum()
    }
}
