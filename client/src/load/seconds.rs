//! The intervals of the measurement, gathered from all workers, in little space: for the interval
//! log and the time series.

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::recorder::{LATE, Second};
use super::results::{Counts, Errors, Interval};

/// One interval, of some of the workers.
#[derive(Debug, Default)]
struct Gathered {
    /// Workers that have handed theirs over.
    workers: usize,
    response: BTreeMap<u64, u64>,
    service: Option<BTreeMap<u64, u64>>,
    sent: u64,
    errors: Errors,
    open: u64,
    in_flight: u64,
}

/// The intervals that the workers have finished. A histogram of its own for each would take a
/// quarter of a megabyte.
#[derive(Debug)]
pub(super) struct Seconds {
    finished: Receiver<Second>,
    length: Duration,
    workers: usize,
    /// By index, what is not whole yet.
    gathered: BTreeMap<u64, Gathered>,
    whole: Vec<Interval>,
    /// How many of these have no times any more.
    forgotten: usize,
}

impl Seconds {
    /// Nothing gathered yet, of so many workers with intervals of that length.
    pub(super) fn new(finished: Receiver<Second>, length: Duration, workers: usize) -> Self {
        Self { finished, length, workers, gathered: BTreeMap::new(), whole: Vec::new(), forgotten: 0 }
    }

    /// Takes what the workers have finished, without waiting; returns the intervals that are whole
    /// by that.
    pub(super) fn collect(&mut self) -> &[Interval] {
        for second in self.finished.try_iter() {
            self.gathered.entry(second.index).or_default().add(second);
        }
        let known = self.whole.len();
        while let Some(next) = self.gathered.first_entry()
            && *next.key() == self.whole.len() as u64
            && next.get().workers == self.workers
        {
            let start = self.length * u32::try_from(self.whole.len()).unwrap_or(u32::MAX);
            self.whole.push(next.remove().interval(start, self.length));
        }
        &self.whole[known..]
    }

    /// Forgets the times of the intervals that are whole.
    pub(super) fn forget(&mut self) {
        for interval in &mut self.whole[self.forgotten..] {
            (interval.response, interval.service) = (Counts::new(), None);
        }
        self.forgotten = self.whole.len();
    }

    /// All intervals of a measurement that took so long, those without an answer too, and at last
    /// what came in the `grace` after its end.
    pub(super) fn take(&mut self, elapsed: Duration, grace: Duration) -> Vec<Interval> {
        self.collect();
        let mut all = std::mem::take(&mut self.whole);
        let late = self.gathered.remove(&LATE);
        for (index, gathered) in std::mem::take(&mut self.gathered) {
            let start = self.length * u32::try_from(index).unwrap_or(u32::MAX);
            all.push(gathered.interval(start, self.length));
        }
        // The last one is shorter than the others.
        for interval in &mut all {
            interval.length = elapsed.saturating_sub(interval.start).min(interval.length);
        }
        all.retain(|interval| !interval.length.is_zero() || interval.has_something());
        let late = late.map(|late| Interval { is_late: true, ..late.interval(elapsed, grace) });
        all.extend(late.filter(Interval::has_something));
        all
    }
}

impl Gathered {
    fn add(&mut self, second: Second) {
        self.workers += 1;
        add(&mut self.response, &second.response);
        if let Some(service) = &second.service {
            add(self.service.get_or_insert_default(), service);
        }
        self.sent += second.sent;
        self.errors.add(&second.errors);
        self.open += second.open;
        self.in_flight += second.in_flight;
    }

    fn interval(self, start: Duration, length: Duration) -> Interval {
        Interval {
            start,
            is_late: false,
            length,
            sent: self.sent,
            errors: self.errors,
            open: self.open,
            in_flight: self.in_flight,
            response: self.response.into_iter().collect(),
            service: self.service.map(Counts::from_iter),
        }
    }
}

fn add(counts: &mut BTreeMap<u64, u64>, histogram: &Histogram<u64>) {
    for value in histogram.iter_recorded() {
        *counts.entry(value.value_iterated_to()).or_default() += value.count_at_value();
    }
}
