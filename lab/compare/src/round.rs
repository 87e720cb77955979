//! One server, driven once: what it did, and what that cost.

use std::time::Duration;

use client::load::{Doubt, Errors, LoadOptions, Results};
use harness::sample::Footprint;
use hdrhistogram::Histogram;

use crate::document::{AloneRecord, Failure, IdleRecord, RoundRecord};

/// What was measured of one server in one round.
#[derive(Debug, Clone)]
pub struct Round {
    /// The measured window.
    pub elapsed: Duration,
    /// Requests answered within it.
    pub requests: u64,
    /// Response times, in nanoseconds.
    pub response: Histogram<u64>,
    /// CPU time of the server's process tree within the window.
    pub server_cpu: Duration,
    /// What the server occupied right after the window, with all connections open.
    pub footprint: Footprint,
    /// CPU time of the generator's threads within the window.
    pub generator_cpu: Duration,
    /// What went wrong, by kind.
    pub errors: Errors,
    /// Requests that were not answered in the end.
    pub unanswered: u64,
    /// Why one should not believe the figures.
    pub doubts: Vec<Doubt>,
    /// Why they must not be used: a wrong byte, a lost connection, nothing answered.
    pub fault: Option<String>,
    /// Cores that other programs kept busy meanwhile.
    pub others_cores: f64,
    /// Bytes of the requests that were answered within the window.
    pub bytes: u64,
    /// Threads of the generator.
    pub generator_threads: usize,
    /// What a silent connection costs, in `idle`.
    pub idle: Option<IdleRecord>,
    /// The same load undisturbed, in `slow` and `mixed`.
    pub alone: Option<AloneRecord>,
    /// What the one bulk talker got, in `mixed`.
    pub bulk_bytes_per_s: Option<f64>,
}

impl Round {
    /// What a load has shown, and what the server used meanwhile.
    pub fn new(results: Results, options: &LoadOptions, server_cpu: Duration, footprint: Footprint) -> Self {
        Self {
            elapsed: results.elapsed,
            requests: results.requests,
            server_cpu,
            footprint,
            generator_cpu: results.cpu,
            errors: results.errors,
            unanswered: results.unanswered,
            doubts: results.doubts(options),
            fault: fault(&results),
            others_cores: 0.0,
            bytes: results.bytes,
            generator_threads: results.threads,
            response: results.response,
            idle: None,
            alone: None,
            bulk_bytes_per_s: None,
        }
    }

    /// A round in which nothing is asked.
    ///
    /// # Panics
    /// Never: the histogram's bounds are constants.
    pub fn silent(idle: Option<IdleRecord>, footprint: Footprint) -> Self {
        Self {
            elapsed: Duration::ZERO,
            requests: 0,
            response: Histogram::new(3).expect("3 digits are few enough"),
            server_cpu: Duration::ZERO,
            footprint,
            generator_cpu: Duration::ZERO,
            errors: Errors::default(),
            unanswered: 0,
            doubts: Vec::new(),
            fault: None,
            others_cores: 0.0,
            bytes: 0,
            generator_threads: 1,
            idle,
            alone: None,
            bulk_bytes_per_s: None,
        }
    }

    /// Requests answered per second; 0 where nothing is asked.
    pub fn rate(&self) -> f64 {
        per_second(self.requests, self.elapsed)
    }

    /// CPU time of the server per answered request, in nanoseconds; 0 where nothing is asked.
    ///
    /// Requests in flight when the window opens or closes count on one side only. There are as many
    /// at both ends.
    pub fn cpu_ns_per_request(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.server_cpu.as_secs_f64() * 1e9 / self.requests as f64 }
    }

    /// What is written down of it: all but the histogram and the doubts.
    pub fn record(&self) -> RoundRecord {
        let generator_s = self.elapsed.as_secs_f64() * self.generator_threads.max(1) as f64;
        let generator_cpu_s = self.generator_cpu.as_secs_f64();
        RoundRecord {
            elapsed_s: self.elapsed.as_secs_f64(),
            requests: self.requests,
            requests_per_s: self.rate(),
            bytes_per_s: per_second(self.bytes, self.elapsed),
            response_p50_ns: self.response.value_at_quantile(0.5),
            response_p99_ns: self.response.value_at_quantile(0.99),
            response_p99_9_ns: self.response.value_at_quantile(0.999),
            response_max_ns: self.response.max(),
            server_cpu_s: self.server_cpu.as_secs_f64(),
            server_cpu_ns_per_request: self.cpu_ns_per_request(),
            generator_cpu_s,
            generator_share: if generator_s > 0.0 { generator_cpu_s / generator_s } else { 0.0 },
            others_cores: self.others_cores,
            pss_bytes: self.footprint.pss_bytes,
            processes: self.footprint.processes,
            threads: self.footprint.threads,
            unanswered: self.unanswered,
            errors: self.errors,
            idle: self.idle,
            alone: self.alone,
            bulk_bytes_per_s: self.bulk_bytes_per_s,
        }
    }

    /// What went wrong in this round, whose number is `number`, if its figures must not be used.
    pub fn failure(&self, number: usize) -> Option<Failure> {
        self.fault.as_ref().map(|why| Failure {
            round: number,
            why: why.clone(),
            wrong_bytes: self.errors.wrong_bytes,
            other_errors: self.errors.total() - self.errors.wrong_bytes,
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

fn per_second(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}
