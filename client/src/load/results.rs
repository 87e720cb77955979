//! What a load has shown.

use std::fmt;
use std::io;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::recorder::histogram;
use super::worker::WorkerResult;
use crate::quota::Throttled;
use crate::units;

/// What went wrong with a connection, or with opening one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nobody listens there.
    Refused,
    /// The server, or its system, threw the connection away.
    Reset,
    /// The server ended the connection while an answer was due, or when it should have stayed open.
    ClosedEarly,
    /// The system gave up waiting for the server's system.
    TimedOut,
    /// A reply was not what it must be.
    WrongBytes,
    /// This machine had no free local port.
    NoPort,
    /// This process had no free descriptor.
    NoDescriptor,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// The kind of an error that the system reported.
    pub fn of(error: &io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ECONNREFUSED) => Self::Refused,
            Some(Errno::ECONNRESET | Errno::ECONNABORTED) => Self::Reset,
            Some(Errno::EPIPE) => Self::ClosedEarly,
            Some(Errno::ETIMEDOUT) => Self::TimedOut,
            Some(Errno::EADDRNOTAVAIL | Errno::EADDRINUSE) => Self::NoPort,
            Some(Errno::EMFILE | Errno::ENFILE) => Self::NoDescriptor,
            _ => Self::Other,
        }
    }
}

/// Errors by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    /// Attempts to connect that were refused.
    pub refused: u64,
    /// Connections that were reset.
    pub reset: u64,
    /// Connections that the server ended while they were needed.
    pub closed_early: u64,
    /// Connections, or attempts to connect, that timed out in the system.
    pub timed_out: u64,
    /// Replies with a wrong byte; the connection is given up, so there is one for each.
    pub wrong_bytes: u64,
    /// Attempts to connect for which this machine had no free local port.
    pub no_port: u64,
    /// Attempts to connect for which this process had no free descriptor.
    pub no_descriptor: u64,
    /// All others.
    pub other: u64,
}

impl Errors {
    /// Counts one more.
    pub fn count(&mut self, kind: ErrorKind) {
        let counter = match kind {
            ErrorKind::Refused => &mut self.refused,
            ErrorKind::Reset => &mut self.reset,
            ErrorKind::ClosedEarly => &mut self.closed_early,
            ErrorKind::TimedOut => &mut self.timed_out,
            ErrorKind::WrongBytes => &mut self.wrong_bytes,
            ErrorKind::NoPort => &mut self.no_port,
            ErrorKind::NoDescriptor => &mut self.no_descriptor,
            ErrorKind::Other => &mut self.other,
        };
        *counter += 1;
    }

    /// Every kind: the name of its field, its name for people, and its count.
    fn all(&self) -> [(&'static str, &'static str, u64); 8] {
        [
            ("refused", "refused", self.refused),
            ("reset", "reset", self.reset),
            ("closed_early", "closed early", self.closed_early),
            ("timed_out", "timed out", self.timed_out),
            ("wrong_bytes", "wrong bytes", self.wrong_bytes),
            ("no_port", "no free local port", self.no_port),
            ("no_descriptor", "no free descriptor", self.no_descriptor),
            ("other", "other", self.other),
        ]
    }

    /// Every kind with its name and its count.
    pub fn by_kind(&self) -> [(&'static str, u64); 8] {
        self.all().map(|(_, name, count)| (name, count))
    }

    /// Every kind with the name of its field, and its count.
    pub fn by_field(&self) -> [(&'static str, u64); 8] {
        self.all().map(|(field, _, count)| (field, count))
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.all().iter().fold(0, |total, (.., count)| total.saturating_add(*count))
    }

    /// Adds another worker's, or another load's.
    pub(crate) fn add(&mut self, other: &Self) {
        *self = self.with(other, u64::saturating_add);
    }

    /// What has come since there were only those.
    pub(super) fn since(&self, before: &Self) -> Self {
        self.with(before, u64::saturating_sub)
    }

    fn with(&self, other: &Self, combine: fn(u64, u64) -> u64) -> Self {
        Self {
            refused: combine(self.refused, other.refused),
            reset: combine(self.reset, other.reset),
            closed_early: combine(self.closed_early, other.closed_early),
            timed_out: combine(self.timed_out, other.timed_out),
            wrong_bytes: combine(self.wrong_bytes, other.wrong_bytes),
            no_port: combine(self.no_port, other.no_port),
            no_descriptor: combine(self.no_descriptor, other.no_descriptor),
            other: combine(self.other, other.other),
        }
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, count) in self.by_kind().into_iter().filter(|(_, count)| *count > 0) {
            write!(f, "{separator}{count} {name}")?;
            separator = ", ";
        }
        if separator.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}

/// How often each value was recorded: a histogram in little space.
pub type Counts = Vec<(u64, u64)>;

/// One interval of the measurement, usually a second, or the rest of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// Since the measurement began.
    pub start: Duration,
    /// Whether it is after the measurement: it has the answers that came too late to count for the
    /// rate. Only the last one is.
    pub is_late: bool,
    /// How long the interval is.
    pub length: Duration,
    /// Requests that were begun.
    pub sent: u64,
    /// What went wrong.
    pub errors: Errors,
    /// Connections that were open at its end.
    pub open: u64,
    /// Requests that were on their way at its end.
    pub in_flight: u64,
    /// Response times in nanoseconds.
    pub response: Counts,
    /// Service times in nanoseconds, in an open loop.
    pub service: Option<Counts>,
}

impl Interval {
    /// Whether anything was asked or answered, or went wrong.
    pub fn has_something(&self) -> bool {
        self.sent > 0 || !self.response.is_empty() || self.errors.total() > 0
    }
}

/// What a load has shown.
#[derive(Debug, Clone)]
pub struct Results {
    /// When the measurement began.
    pub started: SystemTime,
    /// How long the measurement took.
    pub elapsed: Duration,
    /// Requests that were answered within the measurement.
    pub requests: u64,
    /// Bytes of these requests; as many came back.
    pub bytes: u64,
    /// Nanoseconds until the last byte of the reply. Closed loop: from when the request was sent.
    /// Open loop: from when it should have been sent. Requests that were sent within the
    /// measurement and answered after it, in time, are in here too.
    pub response: Histogram<u64>,
    /// Nanoseconds from when the request was sent; open loop only.
    pub service: Option<Histogram<u64>>,
    /// Nanoseconds to open a connection. With a new connection for each request, only those of the
    /// measurement.
    pub connect: Histogram<u64>,
    /// Errors by kind, in all phases.
    pub errors: Errors,
    /// Requests of the measurement that were answered after it, while the last were waited for.
    pub late: u64,
    /// Requests of the measurement that were still not answered then; in an open loop also those
    /// that were due and not sent.
    pub unanswered: u64,
    /// Connections on which nothing was answered, although something was asked on them.
    pub unserved: u64,
    /// CPU time of the generator's threads within the measurement.
    pub cpu: Duration,
    /// The generator's threads.
    pub threads: usize,
    /// Whether this machine's clock followed another one; `None` if unknown.
    pub clock_is_synchronised: Option<bool>,
    /// How often a CPU quota held the generator back within the measurement.
    pub throttled: Throttled,
    /// By how much the load missed the moment at which it should have begun.
    pub start_delay: Option<Duration>,
    /// What the first error was.
    pub first_error: Option<String>,
    /// The intervals of the measurement, if they were asked for, and of what came late.
    pub intervals: Vec<Interval>,
}

impl Results {
    /// Nothing seen yet.
    pub(super) fn new(started: SystemTime, elapsed: Duration, open_loop: bool) -> Self {
        Self {
            started,
            elapsed,
            requests: 0,
            bytes: 0,
            response: histogram(),
            service: open_loop.then(histogram),
            connect: histogram(),
            errors: Errors::default(),
            late: 0,
            unanswered: 0,
            unserved: 0,
            cpu: Duration::ZERO,
            threads: 0,
            clock_is_synchronised: None,
            throttled: Throttled::default(),
            start_delay: None,
            first_error: None,
            intervals: Vec::new(),
        }
    }

    /// Adds what one worker has seen.
    ///
    /// # Panics
    /// Never: all histograms have the same bounds.
    pub(super) fn add(&mut self, outcome: &WorkerResult) {
        let seen = &outcome.recorder;
        let bounds = "all histograms have the same bounds";
        self.response.add(&seen.response).expect(bounds);
        self.connect.add(&seen.connect).expect(bounds);
        if let (Some(all), Some(one)) = (&mut self.service, &seen.service) {
            all.add(one).expect(bounds);
        }
        self.requests += seen.requests;
        self.bytes += seen.bytes;
        self.late += seen.late;
        self.errors.add(outcome.failures.counts());
        self.unanswered += outcome.unanswered;
        self.unserved += outcome.unserved;
        self.cpu += outcome.cpu;
    }

    /// Requests per second.
    pub fn rate(&self) -> f64 {
        self.per_second(self.requests as f64)
    }

    /// MiB per second, in one direction.
    pub fn mebibytes_per_second(&self) -> f64 {
        self.per_second(self.bytes as f64 / f64::from(1 << 20))
    }

    /// The generator's CPU time as a share of what its threads could have used, from 0 to 1.
    pub fn cpu_share(&self) -> f64 {
        self.per_second(self.cpu.as_secs_f64()) / self.threads.max(1) as f64
    }

    /// Whether something was answered, every byte of it was right, and no connection was lost or
    /// could not be opened.
    pub fn ok(&self) -> bool {
        let lack_of_our_own = self.errors.no_port + self.errors.no_descriptor;
        self.errors.total() == lack_of_our_own && self.requests + self.late > 0
    }

    fn per_second(&self, amount: f64) -> f64 {
        units::per_second(amount, self.elapsed.as_secs_f64())
    }
}
