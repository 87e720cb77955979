//! A worker does two phases of a load, and pauses in between: the main thread, which sleeps until it
//! is rung for, hears that it has followed and that it is done, and sees then what was done in that phase.

use std::io;
use std::ops::Index;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use loom::thread;

use super::course::Course;
use super::{Counters, Monitor, Phase, Shared, StopHandle};
use crate::kernel::{AsFd, EventFd, poll};

pub(super) const LOOK: Duration = Duration::from_millis(50);

/// What a worker of the real load has besides, as far as its phases look at it.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) counters: Arc<Counters>,
    pub(super) course: Course,
    pub(super) connections: OneConnection,
    pub(super) pace: Pace,
    pub(super) recorder: Recorder,
    pub(super) failures: Failures,
    pub(super) options: Options,
    last_began: u64,
}

pub(super) struct OneConnection;
pub(super) struct Pace;
pub(super) struct Failures;

pub(super) struct Options {
    pub(super) requests: Option<u64>,
}

pub(super) struct Recorder {
    pub(super) answered: u64,
    pub(super) in_flight: u64,
}

impl OneConnection {
    pub(super) fn open(&self) -> usize {
        1
    }

    pub(super) fn count(&self) -> usize {
        1
    }

    pub(super) fn begun_in_phase(&self) -> u64 {
        1
    }
}

impl Index<usize> for OneConnection {
    type Output = Self;

    fn index(&self, _: usize) -> &Self {
        self
    }
}

impl Pace {
    pub(super) fn release_rest(&self, _: u64, _: impl Fn(usize) -> u64) {}

    pub(super) fn is_used_up(&self) -> bool {
        true
    }
}

impl Failures {
    pub(super) fn counts(&self) -> &Self {
        self
    }

    pub(super) fn total(&self) -> u64 {
        0
    }
}

impl Recorder {
    pub(super) fn end_phase(&self, _: usize, _: &Failures) {}
}

/// How many answers the worker counts in a phase.
fn answers(phase: Phase) -> u64 {
    100 * phase as u64
}

impl Worker {
    /// All that is asked is answered at once.
    pub(super) fn begin_asking(&mut self) {
        let began = self.shared.phase_began();
        assert!(began > self.last_began, "a phase that began before the last one");
        self.last_began = began;
        self.recorder.answered = answers(self.course.phase());
    }

    pub(super) fn begin_finishing(&mut self) {}

    /// A turn whenever it is woken, and one before: it also has clients, which wake it.
    fn work(mut self, woken: &EventFd) {
        loop {
            self.follow_phase();
            self.publish();
            if self.course.phase() == Phase::Measuring {
                return;
            }
            poll(&[woken.as_fd()]);
            woken.read().unwrap();
        }
    }
}

pub(super) struct Load {
    pub(super) monitor: Monitor,
    pub(super) workers: Vec<(Waker, ())>,
}

pub(super) struct Waker(Arc<EventFd>);

impl Waker {
    pub(super) fn wake(&self) -> io::Result<()> {
        self.0.write(1)
    }
}

impl Load {
    pub(super) fn has_lost_a_thread(&self) -> bool {
        false
    }
}

pub(super) fn check() {
    let woken = Arc::new(EventFd::default());
    let shared = Arc::new(Shared::new(StopHandle::default()));
    let counters = Arc::new(Counters::default());
    let worker = Worker {
        shared: Arc::clone(&shared),
        counters: Arc::clone(&counters),
        course: Course::new(0),
        connections: OneConnection,
        pace: Pace,
        recorder: Recorder { answered: 0, in_flight: 0 },
        failures: Failures,
        options: Options { requests: Some(1) },
        last_began: 0,
    };
    let monitor = Monitor { shared: Arc::clone(&shared), counters: [Arc::clone(&counters)].into() };
    let mut load = Load { monitor, workers: vec![(Waker(Arc::clone(&woken)), ())] };
    let worker = thread::spawn(move || worker.work(&woken));
    for phase in [Phase::Greeting, Phase::Idle, Phase::Measuring] {
        load.begin(phase);
        if !phase.asks() {
            continue;
        }
        // As `Load::drive` does.
        let is_done = || counters.entered() == phase && counters.done.load(Ordering::Acquire);
        while !shared.stop.bell().wait(LOOK, is_done) {}
        assert_eq!(counters.answered.load(Ordering::Relaxed), answers(phase), "what it did is not seen");
    }
    worker.join().unwrap();
}
