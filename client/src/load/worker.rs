//! One worker: a thread that drives its share of the connections with a poll of its own.
//!
//! It follows the phases that the main thread sets, and shares nothing with the other workers. The
//! phases are in [`super::phases`], and what happens on a connection is in [`super::exchange`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};
use nix::sched::{CloneFlags, unshare};

use super::connection::{Connection, State};
use super::opener::Opener;
use super::options::LoadOptions;
use super::pattern::Payload;
use super::recorder::{Recorder, Second};
use super::results::Errors;
use super::schedule::{Alarm, Cursor, Schedule};
use super::steer::{Counters, Phase, Shared};

/// Bytes that one read can bring. More than a socket usually holds at a time, so that a short read
/// is the rule.
const BUFFER_BYTES: usize = 256 * 1024;

/// Events that one poll can bring.
const EVENTS: usize = 1024;

/// Due requests that are released in one turn; then the events get theirs.
const RELEASED_PER_TURN: usize = 1024;

const WAKER: Token = Token(usize::MAX);
const ALARM: Token = Token(usize::MAX - 1);

/// What a worker hands over at its end.
#[derive(Debug)]
pub(super) struct WorkerResult {
    pub(super) recorder: Recorder,
    pub(super) errors: Errors,
    pub(super) first_error: Option<(u64, String)>,
    pub(super) unanswered: u64,
    pub(super) cpu: Duration,
    /// When this worker left the measurement, in nanoseconds of the clock.
    pub(super) ended: u64,
}

/// One worker. It has the connections `index`, `index + workers`, `index + 2 workers`, ... of the
/// load.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) options: Arc<LoadOptions>,
    pub(super) payload: Arc<Payload>,
    pub(super) shared: Arc<Shared>,
    pub(super) counters: Arc<Counters>,
    pub(super) poll: Poll,
    pub(super) connections: Vec<Connection>,
    pub(super) opener: Opener,
    pub(super) recorder: Recorder,
    pub(super) phase: Phase,
    pub(super) buffer: Vec<u8>,
    pub(super) scratch: Vec<u8>,
    /// Connections that have more to read than one turn allows, and whether the server has closed
    /// them.
    pub(super) unfinished: Vec<(usize, bool)>,
    pub(super) schedule: Option<Schedule>,
    /// Requests that are due and not begun, in an open loop.
    pub(super) overdue: u64,
    /// Requests that may still be begun in this phase of a closed loop.
    pub(super) quota: u64,
    /// Connections that are open now.
    pub(super) open: usize,
    pub(super) errors: Errors,
    pub(super) first_error: Option<(u64, String)>,
    pub(super) index: usize,
    pub(super) workers: usize,
    alarm: Option<Alarm>,
    pub(super) cursor: Cursor,
    released: Vec<usize>,
    pub(super) announced: bool,
    /// No answer is waited for any more.
    pub(super) closing: bool,
    pub(super) deadline: Option<u64>,
    pub(super) cpu_began: Duration,
    pub(super) cpu: Duration,
    pub(super) ended: u64,
}

impl Worker {
    /// Worker number `index` of `workers`, and what wakes it.
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
        let workers = options.useful_threads();
        let slots = (options.connections - index).div_ceil(workers);
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let open_loop = options.rate.is_some();
        let alarm = if open_loop { Some(Alarm::new(poll.registry(), ALARM)?) } else { None };
        let worker = Self {
            options: Arc::clone(options),
            payload: Arc::clone(payload),
            shared: Arc::clone(shared),
            counters: Arc::default(),
            poll,
            connections: (0..slots).map(|slot| Connection::new(payload, index + slot * workers)).collect(),
            opener: Opener::new(options.address, &options.source),
            recorder: Recorder::new(open_loop, seconds),
            phase: Phase::Connecting,
            buffer: vec![0; BUFFER_BYTES],
            scratch: Vec::new(),
            unfinished: Vec::new(),
            schedule: None,
            overdue: 0,
            quota: 0,
            open: 0,
            errors: Errors::default(),
            first_error: None,
            index,
            workers,
            alarm,
            cursor: Cursor::new(index, workers, slots),
            released: Vec::new(),
            announced: false,
            closing: false,
            deadline: None,
            cpu_began: Duration::ZERO,
            cpu: Duration::ZERO,
            ended: 0,
        };
        Ok((worker, waker))
    }

    /// The number in the load of the connection in `slot`.
    pub(super) fn number(&self, slot: usize) -> usize {
        self.index + slot * self.workers
    }

    /// Works until the load finishes.
    ///
    /// # Errors
    /// If the poll itself fails; errors of connections are counted instead.
    pub(super) fn run(mut self) -> io::Result<WorkerResult> {
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
            self.options.connect_rate.map(|rate| Schedule::new(self.shared.clock.now(), rate, 1, None));
        for slot in 0..self.connections.len() {
            let number = self.number(slot) as u64;
            let moment = pace.and_then(|pace| pace.due(0, number)).unwrap_or_default();
            self.connections[slot].state = State::Waiting;
            self.opener.open_at(moment, slot);
        }
    }

    /// How long the poll may sleep: until something is to be opened or given up, in milliseconds,
    /// rounded up.
    fn timeout(&self) -> Option<Duration> {
        if !self.unfinished.is_empty() {
            return Some(Duration::ZERO);
        }
        let moment = [self.opener.wake_at(), self.deadline].into_iter().flatten().min()?;
        let left = moment.saturating_sub(self.shared.clock.now());
        Some(Duration::from_millis(left.div_ceil(1_000_000)))
    }

    fn release_due(&mut self) {
        if self.phase.asks() {
            self.release_until(self.shared.clock.now(), RELEASED_PER_TURN);
            let mut released = std::mem::take(&mut self.released);
            for slot in released.drain(..) {
                self.proceed(slot);
            }
            self.released = released;
        }
    }

    /// Lets connections begin the requests that are due by `now`, at most so many.
    fn release_until(&mut self, now: u64, most: usize) {
        let Some(schedule) = self.schedule else { return };
        for _ in 0..most {
            if self.cursor.due(&schedule).is_none_or(|due| due > now) {
                return;
            }
            let slot = self.cursor.advance();
            self.overdue += 1;
            self.connections[slot].released += 1;
            // One that is behind already is waiting for its pipeline or for its connection, or is
            // in the list.
            if self.connections[slot].overdue() == 1 {
                self.released.push(slot);
            }
        }
    }

    /// Counts all requests that were due by `now` as such: they would have been the slowest, and
    /// must not be missing.
    pub(super) fn release_rest(&mut self, now: u64) {
        let Some(schedule) = self.schedule else { return };
        for slot in 0..self.connections.len() {
            let due = schedule.due_by(self.number(slot) as u64, now);
            let connection = &mut self.connections[slot];
            self.overdue += due.saturating_sub(connection.released);
            connection.released = connection.released.max(due);
        }
    }

    fn set_alarm(&mut self) -> io::Result<()> {
        let Some(schedule) = self.schedule.filter(|_| self.phase.asks()) else { return Ok(()) };
        match (self.cursor.due(&schedule), &mut self.alarm) {
            (Some(due), Some(alarm)) => alarm.set(due, self.shared.clock.now()),
            _ => Ok(()),
        }
    }

    /// Lets others see how far this worker has come; tells the main thread once when nothing is
    /// left to do in this phase.
    fn publish(&mut self) {
        self.counters.answered.store(self.recorder.answered, Ordering::Relaxed);
        self.counters.errors.store(self.errors.total(), Ordering::Relaxed);
        self.counters.open.store(self.open, Ordering::Relaxed);
        let done = match self.phase {
            Phase::Connecting => self.open == self.connections.len(),
            Phase::Greeting => self.recorder.answered >= self.connections.len() as u64,
            Phase::Measuring if self.options.requests.is_some() => {
                let exhausted = match &self.schedule {
                    Some(schedule) => self.cursor.due(schedule).is_none(),
                    None => self.quota == 0,
                };
                exhausted && self.overdue == 0 && self.recorder.in_flight == 0
            }
            _ => false,
        };
        if done && !self.announced {
            self.announced = true;
            self.counters.done.store(true, Ordering::Release);
            self.shared.stop.bell().ring();
        }
    }

    fn outcome(mut self) -> WorkerResult {
        self.recorder.finish();
        // With a new connection for each request, one that could not even be opened is an
        // unanswered request.
        let unopened = if self.options.new_connection_each { self.opener.connecting as u64 } else { 0 };
        WorkerResult {
            unanswered: self.recorder.in_flight + self.overdue.max(unopened),
            recorder: self.recorder,
            errors: self.errors,
            first_error: self.first_error,
            cpu: self.cpu,
            ended: self.ended,
        }
    }
}
