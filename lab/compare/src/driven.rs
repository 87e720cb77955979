//! One server, driven once: what is written down of it, and what only the summary needs.

use std::time::Duration;

use client::load::{Doubt, LoadOptions, Results, histogram};
use harness::sample::Footprint;
use hdrhistogram::Histogram;

use crate::document::{Failure, IdleRecord, Round};

/// What came of driving a server once.
#[derive(Debug, Clone)]
pub struct Driven {
    /// All that is written down.
    pub round: Round,
    /// Response times, in nanoseconds.
    pub response: Histogram<u64>,
    /// Why one should not believe the figures.
    pub doubts: Vec<Doubt>,
    /// Why they must not be used: a wrong byte, a lost connection, nothing answered.
    pub fault: Option<String>,
}

impl Driven {
    /// What a load has shown, and what the server used meanwhile.
    ///
    /// Requests in flight when the window opens or closes count on one side only in the CPU time
    /// of each. There are as many at both ends.
    pub fn new(results: Results, options: &LoadOptions, server_cpu: Duration, footprint: Footprint) -> Self {
        let elapsed_s = results.elapsed.as_secs_f64();
        let generator_s = elapsed_s * results.threads.max(1) as f64;
        let round = Round {
            elapsed_s,
            requests: results.requests,
            requests_per_s: ratio(results.requests as f64, elapsed_s),
            bytes_per_s: ratio(results.bytes as f64, elapsed_s),
            response_p50_ns: results.response.value_at_quantile(0.5),
            response_p99_ns: results.response.value_at_quantile(0.99),
            response_p99_9_ns: results.response.value_at_quantile(0.999),
            response_max_ns: results.response.max(),
            server_cpu_s: server_cpu.as_secs_f64(),
            server_cpu_ns_per_request: ratio(server_cpu.as_secs_f64() * 1e9, results.requests as f64),
            generator_cpu_s: results.cpu.as_secs_f64(),
            generator_share: ratio(results.cpu.as_secs_f64(), generator_s),
            unanswered: results.unanswered,
            errors: results.errors,
            ..Round::silent(None, footprint)
        };
        Self { round, doubts: results.doubts(options), fault: fault(&results), response: results.response }
    }

    /// A round in which nothing is asked.
    pub fn silent(idle: Option<IdleRecord>, footprint: Footprint) -> Self {
        let round = Round::silent(idle, footprint);
        Self { round, response: histogram(), doubts: Vec::new(), fault: None }
    }

    /// What went wrong in this round, whose number is `number`, if its figures must not be used.
    pub fn failure(&self, number: usize) -> Option<Failure> {
        let errors = &self.round.errors;
        self.fault.as_ref().map(|why| Failure {
            round: number,
            why: why.clone(),
            wrong_bytes: errors.wrong_bytes,
            other_errors: errors.total() - errors.wrong_bytes,
        })
    }
}

/// Why the results must not be used, if so.
fn fault(results: &Results) -> Option<String> {
    if results.errors.total() > 0 {
        let first =
            results.first_error.as_ref().map(|error| format!("; the first: {error}")).unwrap_or_default();
        Some(format!("errors: {}{first}", results.errors))
    } else if results.requests == 0 {
        Some(format!("no request was answered within {:.1?}", results.elapsed))
    } else {
        None
    }
}

/// 0 where there is nothing to divide by.
fn ratio(value: f64, by: f64) -> f64 {
    if by > 0.0 { value / by } else { 0.0 }
}
