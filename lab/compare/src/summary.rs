//! All rounds of one server as one row of figures. Times are never averaged over rounds: their
//! histograms are merged.

use std::mem;

use client::load::Doubt;
use harness::contender::Contender;
use hdrhistogram::Histogram;

use crate::document::{AloneRecord, Failure, Figures, IdleRecord, Round};
use crate::driven::Driven;

/// Points of a percentile curve for each halving of the distance to 100 %, and where it ends.
const POINTS_PER_HALVING: u32 = 4;

/// What the rounds of one contender at one point brought.
#[derive(Debug)]
pub struct Entry {
    /// Who.
    pub contender: Contender,
    /// Its rounds that went well.
    pub rounds: Vec<Round>,
    /// The response times of these rounds together.
    response: Option<Histogram<u64>>,
    /// Each kind of doubt once, as the first round that had it puts it, and in how many rounds it
    /// arose.
    pub doubts: Vec<(Doubt, usize)>,
    /// The round that did not go well; it was the last one.
    pub failure: Option<Failure>,
}

impl Entry {
    /// Nothing measured yet.
    pub fn new(contender: Contender) -> Self {
        Self { contender, rounds: Vec::new(), response: None, doubts: Vec::new(), failure: None }
    }

    /// Adds a round that went well. Of its histogram only the sum stays.
    pub fn add(&mut self, driven: Driven) {
        self.rounds.push(driven.round);
        for doubt in driven.doubts {
            let same =
                |(known, _): &&mut (Doubt, usize)| mem::discriminant(known) == mem::discriminant(&doubt);
            match self.doubts.iter_mut().find(same) {
                Some((_, count)) => *count += 1,
                None => self.doubts.push((doubt, 1)),
            }
        }
        match &mut self.response {
            // All come from one generator and can hold the same values.
            Some(merged) => {
                let _ = merged.add(&driven.response);
            }
            None => {
                let mut first = driven.response;
                first.auto(true);
                self.response = Some(first);
            }
        }
    }

    /// How many response times its rounds have brought.
    pub fn samples(&self) -> u64 {
        self.response.as_ref().map_or(0, Histogram::len)
    }

    fn figures(&self) -> Option<Figures> {
        let response = self.response.as_ref()?;
        let middle = |value: fn(&Round) -> f64| median(&self.rounds.iter().map(value).collect::<Vec<_>>());
        let rates: Vec<f64> = self.rounds.iter().map(|round| round.requests_per_s).collect();
        Some(Figures {
            requests_per_s: median(&rates),
            of_best: 1.0,
            spread: spread(&rates),
            bytes_per_s: middle(|round| round.bytes_per_s),
            p50_ns: response.value_at_quantile(0.5),
            p99_ns: response.value_at_quantile(0.99),
            p99_9_ns: response.value_at_quantile(0.999),
            max_ns: response.max(),
            percentiles: percentiles(response),
            samples: response.len(),
            server_cpu_ns_per_request: middle(|round| round.server_cpu_ns_per_request),
            server_cores: middle(|round| {
                if round.elapsed_s > 0.0 { round.server_cpu_s / round.elapsed_s } else { 0.0 }
            }),
            generator_share: middle(|round| round.generator_share),
            peak_pss_bytes: self
                .rounds
                .iter()
                .map(|round| round.pss_bytes)
                .min()
                .flatten()
                .and(self.rounds.iter().filter_map(|round| round.pss_bytes).max()),
            processes: self.rounds.iter().map(|round| round.processes).max()?,
            threads: self.rounds.iter().map(|round| round.threads).max()?,
            idle: idle(&self.rounds),
            alone: alone(&self.rounds),
            bulk_bytes_per_s: median_of(self.rounds.iter().filter_map(|round| round.bulk_bytes_per_s)),
        })
    }
}

/// The figures of all entries of one point, each beside the best; `None` for an entry without a
/// good round.
pub fn figures(entries: &[Entry]) -> Vec<Option<Figures>> {
    let mut figures: Vec<Option<Figures>> = entries.iter().map(Entry::figures).collect();
    let best = figures.iter().flatten().map(|figures| figures.requests_per_s).fold(0.0, f64::max);
    for figures in figures.iter_mut().flatten() {
        figures.of_best = if best > 0.0 { figures.requests_per_s / best } else { 1.0 };
    }
    figures
}

/// A curve that is dense where the requests are few.
fn percentiles(response: &Histogram<u64>) -> Vec<(f64, u64)> {
    response
        .iter_quantiles(POINTS_PER_HALVING)
        .map(|step| (step.quantile_iterated_to() * 100.0, step.value_iterated_to()))
        .collect()
}

fn idle(rounds: &[Round]) -> Option<IdleRecord> {
    let of = |value: fn(&IdleRecord) -> f64| {
        median_of(rounds.iter().filter_map(|round| round.idle.as_ref()).map(value))
    };
    Some(IdleRecord {
        pss_bytes: of(|idle| idle.pss_bytes)?,
        kernel_own_bytes: of(|idle| idle.kernel_own_bytes)?,
        kernel_slab_bytes: of(|idle| idle.kernel_slab_bytes)?,
    })
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a time in nanoseconds, from a u64"
)]
fn alone(rounds: &[Round]) -> Option<AloneRecord> {
    let alone = || rounds.iter().filter_map(|round| round.alone);
    Some(AloneRecord {
        requests_per_s: median_of(alone().map(|alone| alone.requests_per_s))?,
        response_p99_ns: median_of(alone().map(|alone| alone.response_p99_ns as f64))? as u64,
    })
}

fn median_of(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| median(&values))
}

/// The middle value, or the mean of the two middle ones.
///
/// # Panics
/// If there is no value.
pub fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    f64::midpoint(low, high)
}

/// See [`Figures::spread`].
fn spread(values: &[f64]) -> Option<f64> {
    let middle = median(values);
    match sorted(values).as_slice() {
        [least, .., most] if middle > 0.0 => Some((most - least) / 2.0 / middle),
        _ => None,
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness::models::Model;
    use harness::sample::Footprint;

    fn round(requests: u64, nanoseconds: u64) -> Driven {
        let footprint = Footprint { pss_bytes: Some(nanoseconds), processes: 1, threads: 2 };
        let mut driven = Driven::silent(Some(IdleRecord::default()), footprint);
        driven.response.record_n(nanoseconds, requests).unwrap();
        driven.round.requests = requests;
        driven.round.requests_per_s = requests as f64 / 2.0;
        driven.round.server_cpu_ns_per_request = 5000.0;
        driven
    }

    fn entry(rounds: Vec<Driven>) -> Entry {
        let mut entry = Entry::new(Contender::own(Model::Mio, 1, 1));
        rounds.into_iter().for_each(|round| entry.add(round));
        entry
    }

    #[test]
    fn rates_are_medians_beside_the_best_and_times_come_from_all_rounds() {
        let figures = figures(&[
            entry(vec![round(1000, 100), round(900, 200), round(1100, 300)]),
            entry(vec![round(500, 400)]),
            entry(Vec::new()),
            entry(vec![round(900, 100), round(1100, 100)]),
        ]);
        let first = figures[0].clone().unwrap();
        assert!((first.requests_per_s - 500.0).abs() < 1e-9);
        assert!((first.spread.unwrap() - 0.1).abs() < 1e-9);
        assert!((first.server_cpu_ns_per_request - 5000.0).abs() < 1e-6);
        assert_eq!((first.p50_ns, first.p99_ns, first.max_ns), (200, 300, 300));
        assert_eq!((first.peak_pss_bytes, first.processes, first.threads), (Some(300), 1, 2));
        assert_eq!(first.samples, 3000);
        assert!(first.percentiles.is_sorted(), "{:?}", first.percentiles);
        let second = figures[1].clone().unwrap();
        assert!((second.of_best - 0.5).abs() < 1e-9);
        assert_eq!(second.spread, None);
        assert_eq!(figures[2], None);
        // A tie: both are the best.
        assert!((figures[3].clone().unwrap().of_best - 1.0).abs() < 1e-9);
    }
}
