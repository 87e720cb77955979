//! The seconds of the measurement, gathered from all workers, in little space: for the interval
//! log.

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::recorder::{INTERVAL, Second};
use super::results::{Counts, Interval};

/// Counts by value, of response and of service times.
#[derive(Debug, Default)]
struct Sparse {
    response: BTreeMap<u64, u64>,
    service: Option<BTreeMap<u64, u64>>,
}

/// The seconds that the workers have finished. A histogram of its own for each would take a quarter
/// of a megabyte.
#[derive(Debug)]
pub(super) struct Seconds {
    finished: Receiver<Second>,
    gathered: BTreeMap<u64, Sparse>,
}

impl Seconds {
    /// Nothing gathered yet.
    pub(super) fn new(finished: Receiver<Second>) -> Self {
        Self { finished, gathered: BTreeMap::new() }
    }

    /// Takes what the workers have finished; never waits.
    pub(super) fn collect(&mut self) {
        for second in self.finished.try_iter() {
            let sparse = self.gathered.entry(second.index).or_default();
            add(&mut sparse.response, &second.response);
            if let Some(service) = &second.service {
                add(sparse.service.get_or_insert_default(), service);
            }
        }
    }

    /// All seconds of a measurement that took so long, those without an answer too.
    pub(super) fn take(&mut self, elapsed: Duration) -> Vec<Interval> {
        let mut gathered = std::mem::take(&mut self.gathered);
        let Some(last) = gathered.keys().next_back().copied() else { return Vec::new() };
        let whole = Duration::from_nanos(INTERVAL);
        (0..=last)
            .map(|index| {
                let start = whole * u32::try_from(index).unwrap_or(u32::MAX);
                let Sparse { response, service } = gathered.remove(&index).unwrap_or_default();
                Interval {
                    start,
                    length: elapsed.saturating_sub(start).min(whole),
                    response: response.into_iter().collect(),
                    service: service.map(Counts::from_iter),
                }
            })
            .collect()
    }
}

fn add(counts: &mut BTreeMap<u64, u64>, histogram: &Histogram<u64>) {
    for value in histogram.iter_recorded() {
        *counts.entry(value.value_iterated_to()).or_default() += value.count_at_value();
    }
}
