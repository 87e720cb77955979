//! What one worker records while it runs: histograms and counts of its own, merged when all is
//! over.

use std::sync::mpsc::Sender;

use hdrhistogram::Histogram;

use super::connection::Flight;
use super::results::{Counts, Errors};

/// The longest time that is told apart, in nanoseconds: an hour. Longer ones count as this.
const LONGEST: u64 = 3600 * 1_000_000_000;

/// Significant decimal digits of a recorded time.
const DIGITS: u8 = 3;

/// An empty histogram of nanoseconds, up to an hour, to 0.1 %.
///
/// # Panics
/// Never: its bounds are constants.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("the bounds are constants, and valid")
}

/// One interval of one worker.
#[derive(Debug)]
pub(super) struct Second {
    /// Intervals since the measurement began; [`LATE`] for what came after its end.
    pub(super) index: u64,
    /// Requests that were begun.
    pub(super) sent: u64,
    /// Response times in nanoseconds.
    pub(super) response: Histogram<u64>,
    /// Service times in nanoseconds, in an open loop.
    pub(super) service: Option<Histogram<u64>>,
    /// What went wrong in it.
    pub(super) errors: Errors,
    /// Connections that were open at its end.
    pub(super) open: u64,
    /// Requests that were on their way at its end.
    pub(super) in_flight: u64,
}

/// A histogram of counted values.
pub(crate) fn histogram_of(counts: &Counts) -> Histogram<u64> {
    let mut histogram = histogram();
    for (value, count) in counts {
        histogram.saturating_record_n(*value, *count);
    }
    histogram
}

/// The interval of the answers that came after the end.
pub(super) const LATE: u64 = u64::MAX;

impl Second {
    fn new(index: u64, open_loop: bool) -> Self {
        Self {
            index,
            sent: 0,
            response: histogram(),
            service: open_loop.then(histogram),
            errors: Errors::default(),
            open: 0,
            in_flight: 0,
        }
    }
}

/// The interval that is being recorded, and where finished ones go.
#[derive(Debug)]
struct Seconds {
    current: Second,
    /// Length of an interval in nanoseconds.
    length: u64,
    /// Errors before this interval.
    errors_before: Errors,
    finished: Sender<Second>,
}

impl Seconds {
    /// Hands the current interval over and begins another.
    fn next(&mut self, index: u64, open: u64, in_flight: u64, errors: &Errors) {
        let next = Second::new(index, self.current.service.is_some());
        let mut done = std::mem::replace(&mut self.current, next);
        done.errors = errors.since(&std::mem::replace(&mut self.errors_before, *errors));
        (done.open, done.in_flight) = (open, in_flight);
        // The receiver lives as long as the load; when it is gone, nobody wants the result.
        let _ = self.finished.send(done);
    }
}

/// What one worker has seen.
#[derive(Debug)]
pub(super) struct Recorder {
    /// Response times in nanoseconds.
    pub(super) response: Histogram<u64>,
    /// Service times in nanoseconds, in an open loop.
    pub(super) service: Option<Histogram<u64>>,
    /// Times to open a connection, in nanoseconds.
    pub(super) connect: Histogram<u64>,
    /// Requests that were answered within the measurement.
    pub(super) requests: u64,
    /// Bytes of these requests.
    pub(super) bytes: u64,
    /// Requests that were sent within the measurement and answered after it.
    pub(super) late: u64,
    /// Requests of the measurement that were begun and are not answered.
    pub(super) in_flight: u64,
    /// Requests that were answered in this phase, whichever it is.
    pub(super) answered: u64,
    /// Whether the phase that goes on, or the last in which requests were due, is the measurement.
    pub(super) measured: bool,
    measuring: bool,
    began: u64,
    seconds: Option<Seconds>,
}

impl Recorder {
    /// Nothing seen yet. `seconds` gets every interval of so many nanoseconds, if somebody wants
    /// them.
    pub(super) fn new(open_loop: bool, seconds: Option<(Sender<Second>, u64)>) -> Self {
        let seconds = seconds.map(|(finished, length)| Seconds {
            current: Second::new(0, open_loop),
            length: length.max(1),
            errors_before: Errors::default(),
            finished,
        });
        Self {
            response: histogram(),
            service: open_loop.then(histogram),
            connect: histogram(),
            requests: 0,
            bytes: 0,
            late: 0,
            in_flight: 0,
            answered: 0,
            measured: false,
            measuring: false,
            began: 0,
            seconds,
        }
    }

    /// A phase begins, at `now`; only what is asked from here on belongs to it.
    pub(super) fn begin_phase(&mut self, measuring: bool, now: u64, errors: &Errors) {
        self.measured = measuring;
        self.measuring = measuring;
        self.began = now;
        self.answered = 0;
        if let Some(seconds) = &mut self.seconds {
            seconds.errors_before = *errors;
        }
    }

    /// The measurement ends; what was asked in it and is answered later is recorded too, but does
    /// not count for the rate.
    pub(super) fn end_phase(&mut self, open: usize, errors: &Errors) {
        self.measuring = false;
        if let Some(seconds) = &mut self.seconds {
            seconds.next(LATE, open as u64, self.in_flight, errors);
        }
    }

    /// A turn of the loop begins, at `now`: where an interval is over, it is handed over.
    pub(super) fn turn(&mut self, now: u64, open: usize, errors: &Errors) {
        let Some(seconds) = self.seconds.as_mut().filter(|_| self.measuring) else { return };
        let index = now.saturating_sub(self.began) / seconds.length;
        while seconds.current.index < index {
            seconds.next(seconds.current.index + 1, open as u64, self.in_flight, errors);
        }
    }

    /// So many requests were begun.
    #[inline]
    pub(super) fn begun(&mut self, count: u64) {
        if self.measured {
            self.in_flight += count;
            if let Some(seconds) = &mut self.seconds {
                seconds.current.sent += count;
            }
        }
    }

    /// So many measured requests will not be answered any more.
    pub(super) fn lost(&mut self, measured: u64) {
        self.in_flight -= measured;
    }

    /// A request of so many bytes was answered, at `now`.
    #[inline]
    pub(super) fn answered(&mut self, flight: Flight, bytes: usize, now: u64) {
        self.answered += 1;
        if !flight.measured {
            return;
        }
        self.in_flight -= 1;
        if self.measuring {
            self.requests += 1;
            self.bytes += bytes as u64;
        } else {
            self.late += 1;
        }
        let (response, service) = (now.saturating_sub(flight.due), now.saturating_sub(flight.sent));
        self.response.saturating_record(response);
        if let Some(services) = &mut self.service {
            services.saturating_record(service);
        }
        if let Some(seconds) = &mut self.seconds {
            seconds.current.response.saturating_record(response);
            if let Some(services) = &mut seconds.current.service {
                services.saturating_record(service);
            }
        }
    }

    /// A connection was opened, in so many nanoseconds.
    pub(super) fn connected(&mut self, nanos: u64) {
        self.connect.saturating_record(nanos);
    }

    /// Hands over the last interval.
    pub(super) fn finish(&mut self, errors: &Errors) {
        if let Some(mut seconds) = self.seconds.take() {
            seconds.next(LATE, 0, self.in_flight, errors);
        }
    }
}
