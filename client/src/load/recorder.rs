//! What one worker records while it runs: histograms and counts of its own, merged when all is
//! over.

use std::sync::mpsc::Sender;

use hdrhistogram::Histogram;

use super::connection::Flight;

/// The longest time that is told apart, in nanoseconds: an hour. Longer ones count as this.
const LONGEST: u64 = 3600 * 1_000_000_000;

/// Significant decimal digits of a recorded time.
const DIGITS: u8 = 3;

/// Length of an interval in the interval log, in nanoseconds.
pub(super) const INTERVAL: u64 = 1_000_000_000;

/// An empty histogram of nanoseconds, up to an hour, to 0.1 %.
///
/// # Panics
/// Never: its bounds are constants.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("the bounds are constants, and valid")
}

/// One second of one worker, for the interval log.
#[derive(Debug)]
pub(super) struct Second {
    /// Seconds since the measurement began.
    pub(super) index: u64,
    /// Response times in nanoseconds.
    pub(super) response: Histogram<u64>,
    /// Service times in nanoseconds, in an open loop.
    pub(super) service: Option<Histogram<u64>>,
}

impl Second {
    fn new(index: u64, open_loop: bool) -> Self {
        Self { index, response: histogram(), service: open_loop.then(histogram) }
    }
}

/// The second that is being recorded, and where finished ones go.
#[derive(Debug)]
struct Seconds {
    current: Second,
    finished: Sender<Second>,
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
    /// Nothing seen yet. `seconds` gets a histogram of each second, if somebody wants them.
    pub(super) fn new(open_loop: bool, seconds: Option<Sender<Second>>) -> Self {
        let seconds = seconds.map(|finished| Seconds { current: Second::new(0, open_loop), finished });
        Self {
            response: histogram(),
            service: open_loop.then(histogram),
            connect: histogram(),
            requests: 0,
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
    pub(super) fn begin_phase(&mut self, measuring: bool, now: u64) {
        self.measured = measuring;
        self.measuring = measuring;
        self.began = now;
        self.answered = 0;
    }

    /// The measurement ends; what was asked in it and is answered later is recorded too, but does
    /// not count for the rate.
    pub(super) fn end_phase(&mut self) {
        self.measuring = false;
    }

    /// A request was answered, at `now`.
    #[inline]
    pub(super) fn answered(&mut self, flight: Flight, now: u64) {
        self.answered += 1;
        if !flight.measured {
            return;
        }
        self.in_flight -= 1;
        if self.measuring {
            self.requests += 1;
        } else {
            self.late += 1;
        }
        let (response, service) = (now.saturating_sub(flight.due), now.saturating_sub(flight.sent));
        self.response.saturating_record(response);
        if let Some(services) = &mut self.service {
            services.saturating_record(service);
        }
        if self.seconds.is_some() {
            self.record_second(response, service, now);
        }
    }

    fn record_second(&mut self, response: u64, service: u64, now: u64) {
        let Some(seconds) = &mut self.seconds else { return };
        let index = now.saturating_sub(self.began) / INTERVAL;
        // A late answer belongs to the last second of the measurement.
        if self.measuring && index > seconds.current.index {
            let next = Second::new(index, self.service.is_some());
            // The receiver lives as long as the load; when it is gone, nobody wants the result.
            let _ = seconds.finished.send(std::mem::replace(&mut seconds.current, next));
        }
        seconds.current.response.saturating_record(response);
        if let Some(services) = &mut seconds.current.service {
            services.saturating_record(service);
        }
    }

    /// A connection was opened, in so many nanoseconds.
    pub(super) fn connected(&mut self, nanos: u64) {
        self.connect.saturating_record(nanos);
    }

    /// Hands over the last second.
    pub(super) fn finish(&mut self) {
        if let Some(seconds) = self.seconds.take() {
            let _ = seconds.finished.send(seconds.current);
        }
    }
}
