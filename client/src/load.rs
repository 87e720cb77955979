//! The load generator: many conversations at once, every reply byte checked, every answer timed.
//!
//! A few threads, each with an event loop of its own (mio), drive all connections. In a **closed
//! loop** a connection asks again as soon as it has its answer, so a slow server is asked less; in
//! an **open loop** (`rate`) each request is due at a moment of its own, and its response time
//! counts from then, so what a stalled server makes others wait is measured too (Tene, *How NOT to
//! Measure Latency*).
//!
//! In reading order: [`LoadOptions`]; `pattern`, what is sent; `worker`, the loop, and its parts:
//! `connections`, which sockets there are, `pace` and `schedule`, what may be asked when, `course`,
//! what the main thread wants, `recorder`, what is kept; `exchange`, what happens on one
//! `connection`; [`Results`] and [`Facts`], what came of it; [`Doubt`], when not to believe it;
//! `command`, `client load` itself.

mod command;
mod connection;
mod connections;
mod course;
mod doubts;
mod exchange;
mod facts;
mod failures;
mod find;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
#[cfg(test)]
mod invented;
mod limit;
mod moment;
mod opener;
mod options;
mod pace;
mod pattern;
mod preflight;
mod quantity;
mod rank;
mod recorder;
mod report;
mod results;
mod schedule;
mod seconds;
mod series;
mod share;
mod steer;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};
use std::{io, panic};

use anyhow::{Context, Result, bail};
use mio::Waker;

pub(crate) use command::stop_on_signals;
pub use command::{LoadCommand, run};
pub use doubts::Doubt;
pub use facts::{Asked, Facts, Said};
#[cfg(test)]
pub(crate) use invented::invented;
pub use options::{LoadOptions, Stage, Think, parse_size, parse_threads};
pub use pattern::{Payload, Request, splitmix};
pub use rank::Rank;
pub use recorder::histogram;
pub(crate) use recorder::histogram_of;
pub use results::{Counts, ErrorKind, Errors, Interval, Results};
pub use steer::{Monitor, Snapshot, StopHandle};

use crate::clock;
use crate::quota::Counted;
use schedule::nanos;
use seconds::Seconds;
use steer::{Phase, Shared};
use worker::{Worker, WorkerResult};

/// How long no connection may be opened while all are to be; `--duration` if it is shorter, but
/// never less than [`LEAST_PATIENCE`].
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// The system repeats an attempt to connect after one second, and after two more.
const LEAST_PATIENCE: Duration = Duration::from_millis(3_500);

/// How long all connections may be lost before the measurement ends.
const LOST_PATIENCE: Duration = Duration::from_secs(1);

/// How often the main thread looks although nobody has rung.
const LOOK: Duration = Duration::from_millis(50);

/// A load: connections that are open, and the threads that drive them.
#[derive(Debug)]
pub struct Load {
    options: Arc<LoadOptions>,
    monitor: Monitor,
    workers: Vec<(Waker, JoinHandle<io::Result<WorkerResult>>)>,
    seconds: Seconds,
    started: SystemTime,
    began: u64,
    /// What a CPU quota had done before the measurement.
    quota: Counted,
}

impl Load {
    /// Starts the threads and opens all connections; with a new connection for each request, one,
    /// to know that there is a server.
    ///
    /// # Errors
    /// One line that says what to do: if the options contradict each other or there are too few
    /// descriptors or ports (a [`serving::UsageError`]), if a connection is refused or lost, or if
    /// none was opened for ten seconds.
    pub fn connect(options: &LoadOptions) -> Result<Self> {
        Self::connect_until(options, StopHandle::default())
    }

    /// Like [`Load::connect`], and can be stopped even while it connects.
    ///
    /// # Errors
    /// As [`Load::connect`], and if it is stopped.
    pub fn connect_until(options: &LoadOptions, stop: StopHandle) -> Result<Self> {
        options.check()?;
        preflight::descriptors(options)?;
        preflight::ports(options)?;
        preflight::sources(options)?;
        let patience = options.length().clamp(LEAST_PATIENCE, CONNECT_PATIENCE);
        if options.new_connection_each {
            preflight::server(options.address, patience, &stop)?;
        }
        let mut load = Self::start(options, stop)?;
        load.await_connections(patience)?;
        load.begin(Phase::Idle);
        Ok(load)
    }

    fn start(options: &LoadOptions, stop: StopHandle) -> Result<Self> {
        let options = Arc::new(options.clone());
        let shared = Arc::new(Shared::new(stop));
        let payload = Arc::new(Payload::new(&options));
        let (sender, receiver) = channel();
        let mut counters = Vec::new();
        let mut load = Self {
            options: Arc::clone(&options),
            monitor: Monitor { shared: Arc::clone(&shared), counters: Arc::default() },
            workers: Vec::new(),
            seconds: Seconds::new(receiver, options.interval, options.useful_threads()),
            started: SystemTime::now(),
            began: 0,
            quota: Counted::default(),
        };
        for index in 0..options.useful_threads() {
            let seconds = options.intervals.then(|| sender.clone());
            let (worker, waker) = Worker::new(&options, &payload, &shared, index, seconds)
                .with_context(|| format!("cannot prepare thread {} of the load", index + 1))?;
            counters.push(Arc::clone(&worker.counters));
            let thread = thread::Builder::new()
                .name(format!("load-{index}"))
                .spawn(move || worker.run())
                .with_context(|| {
                    format!("cannot start thread {} of the load; ask for fewer --threads", index + 1)
                })?;
            load.workers.push((waker, thread));
        }
        load.monitor.counters = counters.into();
        Ok(load)
    }

    fn await_connections(&self, patience: Duration) -> Result<()> {
        if self.options.new_connection_each {
            return Ok(());
        }
        let (wanted, address) = (self.options.connections, self.options.address);
        let shared = &self.monitor.shared;
        let patience =
            patience + Duration::from_secs_f64(self.options.connect_rate.map_or(0.0, f64::recip).min(1e6));
        let (mut most, mut since) = (0, Instant::now());
        loop {
            let open = self.monitor.open();
            if let Some(line) = shared.failure() {
                bail!("{line}");
            }
            if open == wanted {
                return Ok(());
            }
            if shared.stop.is_stopped() {
                bail!("stopped when {open} of {wanted} connections to {address} were open");
            }
            if open > most {
                (most, since) = (open, Instant::now());
            }
            if since.elapsed() >= patience || self.has_lost_a_thread() {
                bail!(
                    "cannot open more than {open} of {wanted} connections to {address}: none for {:.0?}; \
                     ask for fewer (--connections), or look at the server's limit and backlog",
                    patience
                );
            }
            shared.stop.bell().wait(LOOK, || {
                self.monitor.open() == wanted || shared.failure().is_some() || shared.stop.is_stopped()
            });
        }
    }

    /// Asks once on each connection and waits until all are answered, but not longer than
    /// `patience`: until then a server may not have made room for every client yet. Nothing is
    /// recorded but errors.
    pub fn greet(&mut self, patience: Duration) {
        if !self.options.new_connection_each {
            self.drive(Phase::Greeting, patience, &mut |_, _| ());
        }
    }

    /// Asks for as long as the options say, and records nothing but errors.
    pub fn warm_up(&mut self) {
        let duration = self.options.warm_up;
        if !duration.is_zero() {
            self.drive(Phase::WarmUp, duration, &mut |_, _| ());
        }
    }

    /// Measures: for as long as the options say, or until as many requests as they say are
    /// answered, or all connections have been lost for a second, or somebody has called
    /// [`StopHandle::stop`]. Afterwards all connections are still open.
    pub fn measure(&mut self) {
        self.measure_and_tell(&mut |_, _| ());
    }

    /// Like [`Load::measure`], and tells of each interval soon after its end, if the options ask
    /// for intervals, and when the measurement began.
    pub fn measure_and_tell(&mut self, tell: &mut dyn FnMut(SystemTime, &Interval)) {
        self.quota = Counted::so_far();
        self.started = SystemTime::now();
        self.began = self.drive(Phase::Measuring, self.options.length(), tell);
    }

    fn drive(
        &mut self,
        phase: Phase,
        duration: Duration,
        tell: &mut dyn FnMut(SystemTime, &Interval),
    ) -> u64 {
        let began = self.begin(phase);
        let shared = Arc::clone(&self.monitor.shared);
        let end = began.saturating_add(nanos(duration));
        let mut lost_since = None;
        loop {
            let left = Duration::from_nanos(end.saturating_sub(shared.clock.now()));
            let all_done = || {
                self.monitor
                    .counters
                    .iter()
                    .all(|worker| worker.entered() == phase && worker.done.load(Ordering::Acquire))
            };
            if left.is_zero() || self.has_lost_a_thread() {
                break;
            }
            if shared.stop.bell().wait(left.min(LOOK), || shared.stop.is_stopped() || all_done()) {
                break;
            }
            if self.monitor.open() > 0 || self.options.new_connection_each {
                lost_since = None;
            } else if lost_since.get_or_insert_with(Instant::now).elapsed() >= LOST_PATIENCE {
                break;
            }
            if self.options.intervals {
                // A worker that has nothing to do would not notice the end of an interval.
                self.wake();
                let started = self.started;
                self.seconds.collect().iter().for_each(|interval| tell(started, interval));
                if self.options.forgets {
                    self.seconds.forget();
                }
            }
        }
        self.begin(Phase::Idle);
        began
    }

    /// Sets the phase and waits until every worker follows it. Returns when it began, in
    /// nanoseconds of the clock.
    fn begin(&mut self, phase: Phase) -> u64 {
        let began = self.monitor.shared.set_phase(phase);
        self.wake();
        let entered = || self.monitor.counters.iter().all(|worker| worker.entered() == phase);
        while !self.monitor.shared.stop.bell().wait(LOOK, entered) && !self.has_lost_a_thread() {}
        began
    }

    fn wake(&self) {
        for (waker, _) in &self.workers {
            // Fails only if the counter behind it is full, and then the worker wakes as well.
            let _ = waker.wake();
        }
    }

    /// Whether a worker has ended, which none should before the load does.
    fn has_lost_a_thread(&self) -> bool {
        self.workers.iter().any(|(_, thread)| thread.is_finished())
    }

    /// Ends the warm-up or the measurement early, from another thread.
    pub fn stop_handle(&self) -> StopHandle {
        self.monitor.shared.stop.clone()
    }

    /// Watches from another thread how far the load has come.
    pub fn monitor(&self) -> Monitor {
        self.monitor.clone()
    }

    /// How far the load has come.
    pub fn progress(&self) -> Snapshot {
        self.monitor.progress()
    }

    /// Waits for the replies in flight, which are verified too, but not longer than the options
    /// say, and closes every connection in order.
    ///
    /// # Panics
    /// If a worker has panicked.
    pub fn finish(mut self) -> Results {
        let shared = Arc::clone(&self.monitor.shared);
        shared.set_phase(Phase::Finishing);
        self.wake();
        let ended = || self.monitor.counters.iter().all(|worker| worker.entered() == Phase::Quitting);
        while !shared.stop.bell().wait(LOOK, ended) && !self.has_lost_a_thread() {
            if shared.stop.is_stopped() {
                self.wake();
            }
        }
        let mut outcomes = Vec::new();
        let mut failed = None;
        for (_, thread) in self.workers.drain(..) {
            match thread.join() {
                Ok(Ok(outcome)) => outcomes.push(outcome),
                Ok(Err(error)) => failed = Some(format!("a thread of the load failed: {error}")),
                Err(panic) => panic::resume_unwind(panic),
            }
        }
        self.seconds.collect();
        self.results(outcomes, failed)
    }

    fn results(&mut self, outcomes: Vec<WorkerResult>, failed: Option<String>) -> Results {
        let ended = outcomes.iter().map(|outcome| outcome.ended).max().unwrap_or_default();
        let elapsed = Duration::from_nanos(ended.saturating_sub(self.began));
        let mut results = Results::new(self.started, elapsed, self.options.is_open_loop());
        results.threads = self.options.useful_threads();
        results.clock_is_synchronised = clock::is_synchronised();
        results.throttled = Counted::so_far().since(&self.quota);
        let mut first = None;
        for outcome in outcomes {
            results.add(&outcome);
            first = first.into_iter().chain(outcome.failures.into_first()).min();
        }
        results.first_error = first.map(|(_, line): (u64, String)| line);
        if let Some(line) = failed {
            results.errors.count(ErrorKind::Other);
            results.first_error = Some(line);
        }
        results.intervals = self.seconds.take(elapsed, self.options.timeout);
        results
    }
}

impl Drop for Load {
    /// A load that is not finished leaves at once; the server sees its connections end.
    fn drop(&mut self) {
        if self.workers.is_empty() {
            return;
        }
        self.monitor.shared.set_phase(Phase::Quitting);
        self.wake();
        for (_, thread) in self.workers.drain(..) {
            let _ = thread.join();
        }
    }
}
