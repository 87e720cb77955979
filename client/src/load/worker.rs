//! One worker: a thread that drives its share of the connections with a poll of its own.
//!
//! It follows the phases that the main thread sets, and shares nothing with the other workers. Its
//! parts know nothing of each other: its [`Connections`], its [`Pace`], its [`Course`], what it has
//! seen ([`Recorder`]) and what went wrong ([`Failures`]). Here they meet, once per turn of the
//! loop; what happens on a connection is in [`super::exchange`].

use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::Duration;

use common::Buffer;
use mio::{Events, Poll, Token, Waker};
use nix::sched::{CloneFlags, unshare};

use super::connections::Connections;
use super::course::Course;
use super::failures::Failures;
use super::options::LoadOptions;
use super::pace::Pace;
use super::pattern::Payload;
use super::recorder::{Recorder, Second};
use super::schedule::{Alarm, Schedule, nanos};
use super::share::Share;
use super::steer::{Counters, Phase, Shared};

/// Events that one poll can bring.
const EVENTS: usize = 1024;

const WAKER: Token = Token(usize::MAX);
const ALARM: Token = Token(usize::MAX - 1);

/// What a worker hands over at its end.
#[derive(Debug)]
pub(super) struct WorkerResult {
    pub(super) recorder: Recorder,
    pub(super) failures: Failures,
    pub(super) unanswered: u64,
    /// Connections on which nothing was answered within the measurement.
    pub(super) unserved: u64,
    pub(super) cpu: Duration,
    /// When this worker left the measurement, in nanoseconds of the clock.
    pub(super) ended: u64,
}

/// One worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) options: Arc<LoadOptions>,
    pub(super) payload: Arc<Payload>,
    pub(super) shared: Arc<Shared>,
    pub(super) counters: Arc<Counters>,
    share: Share,
    poll: Poll,
    alarm: Option<Alarm>,
    pub(super) connections: Connections,
    pub(super) pace: Pace,
    pub(super) course: Course,
    pub(super) recorder: Recorder,
    pub(super) failures: Failures,
    /// The most requests on one connection.
    pub(super) most_here: u64,
    pub(super) buffer: Buffer,
    pub(super) scratch: Vec<u8>,
    /// Connections that have more to read than one turn allows, and whether the server has closed
    /// them.
    pub(super) unfinished: Vec<(usize, bool)>,
}

impl Worker {
    /// Worker number `index`, and what wakes it.
    ///
    /// # Errors
    /// If there are no descriptors for it.
    pub(super) fn new(
        options: &Arc<LoadOptions>,
        payload: &Arc<Payload>,
        shared: &Arc<Shared>,
        index: usize,
        seconds: Option<Sender<Second>>,
    ) -> io::Result<(Self, Waker)> {
        let share = Share::new(index, options.useful_threads(), options.connections);
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let needs_alarm = options.is_open_loop() || options.think_time.is_some();
        let alarm = needs_alarm.then(|| Alarm::new(poll.registry(), ALARM)).transpose()?;
        let worker = Self {
            options: Arc::clone(options),
            payload: Arc::clone(payload),
            shared: Arc::clone(shared),
            counters: Arc::default(),
            share,
            connections: Connections::new(options, payload, share, poll.registry().try_clone()?),
            poll,
            alarm,
            pace: Pace::new(share, options.think_time, options.seed),
            course: Course::new(nanos(options.timeout)),
            recorder: Recorder::new(
                options.is_open_loop(),
                seconds.map(|sender| (sender, nanos(options.interval))),
            ),
            failures: Failures::default(),
            most_here: options.requests_per_connection.map_or(u64::MAX, NonZeroU64::get),
            buffer: Buffer::shared(),
            scratch: Vec::new(),
            unfinished: Vec::new(),
        };
        Ok((worker, waker))
    }

    /// Works until the load finishes.
    ///
    /// # Errors
    /// If the poll itself fails; errors of connections are counted instead.
    pub(super) fn run(self) -> io::Result<WorkerResult> {
        let (counters, shared) = (Arc::clone(&self.counters), Arc::clone(&self.shared));
        let result = self.work();
        counters.enter(Phase::Quitting);
        shared.stop.bell().ring();
        result
    }

    fn work(mut self) -> io::Result<WorkerResult> {
        // The kernel finds a descriptor without an atomic operation where only one thread uses the
        // table of them, which saves 2 to 4 % of a request. What was open before is in both tables.
        // Where it fails, it only costs more.
        let _ = unshare(CloneFlags::CLONE_FILES);
        let mut events = Events::with_capacity(EVENTS);
        self.queue_all();
        loop {
            match self.poll.poll(&mut events, self.timeout()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            if self.options.intervals {
                let (open, failures) = (self.connections.open(), &self.failures);
                self.recorder.turn(self.shared.clock.now(), open, failures.counts());
            }
            self.follow_phase();
            for event in &events {
                match event.token() {
                    WAKER | ALARM => {}
                    Token(slot) => self.on_event(slot, event),
                }
            }
            self.resume_unfinished();
            self.release_due();
            self.open_due();
            if self.is_finished() {
                return Ok(self.outcome());
            }
            self.set_alarm()?;
            self.publish();
        }
    }

    /// Puts every connection into the queue of those to open, at the rate that was asked for.
    fn queue_all(&mut self) {
        if self.options.new_connection_each {
            return;
        }
        let pace =
            self.options.connect_rate.map(|rate| Schedule::constant(self.shared.clock.now(), rate, 1, None));
        for slot in 0..self.connections.count() {
            let moment =
                pace.as_ref().and_then(|pace| pace.due(0, self.share.number(slot))).unwrap_or_default();
            self.connections.open_at(moment, slot);
        }
    }

    /// How long the poll may sleep: until something is to be opened or given up, in milliseconds,
    /// rounded up.
    fn timeout(&self) -> Option<Duration> {
        if !self.unfinished.is_empty() {
            return Some(Duration::ZERO);
        }
        let moment = [self.connections.wake_at(), self.course.wake_at()].into_iter().flatten().min()?;
        let left = moment.saturating_sub(self.shared.clock.now());
        Some(Duration::from_millis(left.div_ceil(1_000_000)))
    }

    /// Does what a new phase asks for, if the main thread has set one.
    fn follow_phase(&mut self) {
        let phase = self.shared.phase();
        if phase == self.course.phase() {
            return;
        }
        let now = self.shared.clock.now();
        if self.course.leave(now) == Phase::Measuring {
            let connections = &self.connections;
            self.pace.release_rest(now, |slot| connections[slot].begun_in_phase());
            self.recorder.end_phase(connections.open(), self.failures.counts());
        }
        self.course.enter(phase, now);
        self.counters.done.store(false, Ordering::Relaxed);
        if phase.asks() {
            self.begin_asking();
        } else if phase == Phase::Finishing {
            self.begin_finishing();
        }
        self.counters.enter(phase);
        self.shared.stop.bell().ring();
    }

    fn begin_asking(&mut self) {
        let phase = self.course.phase();
        let (measuring, greeting) = (phase == Phase::Measuring, phase == Phase::Greeting);
        let began = self.shared.phase_began();
        let requests = self.options.requests.filter(|_| measuring);
        self.recorder.begin_phase(measuring, began, self.failures.counts());
        if measuring && self.options.new_connection_each {
            self.recorder.connect.reset();
        }
        for connection in self.connections.iter_mut() {
            connection.begin_phase();
        }
        match self.options.schedule(began, measuring, requests).filter(|_| !greeting) {
            Some(schedule) => self.pace.follow(schedule),
            None if greeting => self.pace.allow(self.connections.count() as u64),
            None => {
                self.pace.allow(requests.map_or(u64::MAX, |all| self.share.part_of(all)));
                self.pace.spread(began);
            }
        }
        for slot in 0..self.connections.count() {
            self.proceed(slot);
        }
    }

    fn begin_finishing(&mut self) {
        self.connections.forget_waiting();
        for slot in 0..self.connections.count() {
            self.proceed(slot);
            self.settle(slot);
        }
        if !self.options.new_connection_each {
            self.connections.forget_connecting();
        }
    }

    /// Whether all connections are closed, or have had the time for it.
    fn is_finished(&mut self) -> bool {
        if self.course.phase() != Phase::Finishing {
            return self.course.phase() == Phase::Quitting;
        }
        self.connections.open() + self.connections.connecting() == 0
            || self.course.is_over(self.shared.clock.now(), self.shared.stop.is_stopped())
    }

    fn release_due(&mut self) {
        if self.course.phase().asks() {
            self.pace.release(self.shared.clock.now());
            while let Some(slot) = self.pace.next_released() {
                self.proceed(slot);
            }
        }
    }

    /// Opens what is due to be opened.
    fn open_due(&mut self) {
        while let Some(slot) = self.connections.next_due(self.shared.clock.now()) {
            // With a new connection for each request, an open one is only good for asking.
            if self.options.new_connection_each {
                self.proceed(slot);
            } else {
                self.open(slot);
            }
        }
    }

    fn set_alarm(&mut self) -> io::Result<()> {
        let Some(alarm) = self.alarm.as_mut().filter(|_| self.course.phase().asks()) else { return Ok(()) };
        self.pace.wake_at().map_or(Ok(()), |due| alarm.set(due, self.shared.clock.now()))
    }

    /// Lets others see how far this worker has come; tells the main thread once when nothing is
    /// left to do in this phase.
    fn publish(&mut self) {
        let (open, count) = (self.connections.open(), self.connections.count());
        self.counters.answered.store(self.recorder.answered, Ordering::Relaxed);
        self.counters.errors.store(self.failures.counts().total(), Ordering::Relaxed);
        self.counters.open.store(open, Ordering::Relaxed);
        let done = match self.course.phase() {
            Phase::Connecting => open == count,
            Phase::Greeting => self.recorder.answered >= count as u64,
            Phase::Measuring => {
                self.options.requests.is_some() && self.pace.is_used_up() && self.recorder.in_flight == 0
            }
            _ => false,
        };
        if self.course.announce(done) {
            self.counters.done.store(true, Ordering::Release);
            self.shared.stop.bell().ring();
        }
    }

    fn outcome(mut self) -> WorkerResult {
        self.recorder.finish(self.failures.counts());
        // With a new connection for each request, one that could not even be opened is an
        // unanswered request.
        let unopened =
            if self.options.new_connection_each { self.connections.connecting() as u64 } else { 0 };
        let unserved = self.connections.iter_mut().filter(|connection| !connection.was_served()).count();
        WorkerResult {
            unanswered: self.recorder.in_flight + self.pace.overdue().max(unopened),
            unserved: if self.options.new_connection_each { 0 } else { unserved as u64 },
            recorder: self.recorder,
            failures: self.failures,
            cpu: self.course.cpu(),
            ended: self.course.ended(),
        }
    }

    /// The number in the load of the connection in `slot`.
    pub(super) fn number(&self, slot: usize) -> u64 {
        self.share.number(slot)
    }
}
