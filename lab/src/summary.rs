//! All rounds of one server as one row of figures. Times are never averaged over rounds: their histograms are merged.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::contender::Contender;
use crate::round::Round;

/// What the rounds of one contender brought.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Who.
    pub contender: Contender,
    /// Its rounds that went well.
    pub rounds: Vec<Round>,
    /// The round that did not; it was the last one.
    pub failure: Option<Failure>,
}

/// A round that did not go well.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// Which, from 1.
    pub round: usize,
    /// Why, in one line.
    pub why: String,
    /// Connections on which a byte was wrong.
    pub wrong_bytes: u64,
    /// All other errors of connections.
    pub other_errors: u64,
}

impl Failure {
    /// A round that ended by `error`, without results.
    pub fn before_any_answer(round: usize, error: &anyhow::Error) -> Self {
        Self { round, why: format!("{error:#}"), wrong_bytes: 0, other_errors: 0 }
    }
}

/// One row of the comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Requests answered per second: the median of the rounds.
    pub requests_per_s: f64,
    /// That rate as a fraction of the best one's.
    pub of_best: f64,
    /// Half of the distance between the fastest and the slowest round, as a fraction of the median; `None` with one round.
    pub spread: Option<f64>,
    /// Response time that half of the requests did not exceed.
    pub p50_ns: u64,
    /// Response time that 99 % of the requests did not exceed.
    pub p99_ns: u64,
    /// Response time that 99.9 % of the requests did not exceed.
    pub p99_9_ns: u64,
    /// The longest response time.
    pub max_ns: u64,
    /// CPU time of the server's process tree per answered request: the median of the rounds.
    pub server_cpu_ns_per_request: f64,
    /// Most memory in any round, see [`Footprint`](crate::sample::Footprint).
    pub peak_pss_bytes: u64,
    /// Most processes in any round.
    pub processes: usize,
    /// Most threads in any round, over all processes.
    pub threads: usize,
}

/// The figures of all entries, each beside the best; `None` for an entry without a good round.
pub fn figures(entries: &[Entry]) -> Vec<Option<Figures>> {
    let mut figures: Vec<Option<Figures>> = entries.iter().map(|entry| alone(&entry.rounds)).collect();
    let best = figures.iter().flatten().map(|figures| figures.requests_per_s).fold(0.0, f64::max);
    for figures in figures.iter_mut().flatten() {
        figures.of_best = figures.requests_per_s / best;
    }
    figures
}

fn alone(rounds: &[Round]) -> Option<Figures> {
    let response = merged(rounds)?;
    let rates: Vec<f64> = rounds.iter().map(Round::rate).collect();
    let cpu: Vec<f64> = rounds.iter().map(Round::cpu_ns_per_request).collect();
    Some(Figures {
        requests_per_s: median(&rates),
        of_best: 1.0,
        spread: spread(&rates),
        p50_ns: response.value_at_quantile(0.5),
        p99_ns: response.value_at_quantile(0.99),
        p99_9_ns: response.value_at_quantile(0.999),
        max_ns: response.max(),
        server_cpu_ns_per_request: median(&cpu),
        peak_pss_bytes: rounds.iter().map(|round| round.footprint.pss_bytes).max()?,
        processes: rounds.iter().map(|round| round.footprint.processes).max()?,
        threads: rounds.iter().map(|round| round.footprint.threads).max()?,
    })
}

/// The response times of all rounds in one histogram; `None` without a round.
fn merged(rounds: &[Round]) -> Option<Histogram<u64>> {
    let (first, others) = rounds.split_first()?;
    let mut merged = first.response.clone();
    // All come from one generator and can hold the same values; growing is for the case that this changes.
    merged.auto(true);
    for round in others {
        merged.add(&round.response).ok()?;
    }
    Some(merged)
}

/// The middle value, or the mean of the two middle ones.
///
/// # Panics
/// If there is no value.
fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    f64::midpoint(low, high)
}

/// See [`Figures::spread`].
fn spread(values: &[f64]) -> Option<f64> {
    match sorted(values).as_slice() {
        [least, .., most] => Some((most - least) / 2.0 / median(values)),
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
    use std::time::Duration;

    use client::load::Errors;

    use super::*;
    use crate::contender::Model;
    use crate::sample::Footprint;

    fn round(requests: u64, nanoseconds: u64) -> Round {
        let mut response = Histogram::new(3).unwrap();
        response.record_n(nanoseconds, requests).unwrap();
        Round {
            elapsed: Duration::from_secs(2),
            requests,
            response,
            server_cpu: Duration::from_micros(requests * 5),
            footprint: Footprint { pss_bytes: nanoseconds, processes: 1, threads: 2 },
            generator_cpu: Duration::ZERO,
            errors: Errors::default(),
            unanswered: 0,
            doubts: Vec::new(),
            fault: None,
        }
    }

    fn entry(rounds: Vec<Round>) -> Entry {
        Entry { contender: Contender::own(Model::Mio, 1), rounds, failure: None }
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
        assert_eq!((first.peak_pss_bytes, first.processes, first.threads), (300, 1, 2));
        let second = figures[1].clone().unwrap();
        assert!((second.of_best - 0.5).abs() < 1e-9);
        assert_eq!(second.spread, None);
        assert_eq!(figures[2], None);
        // A tie: both are the best.
        assert!((figures[3].clone().unwrap().of_best - 1.0).abs() < 1e-9);
    }
}
