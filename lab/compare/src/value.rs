//! The value of a quantity for a server, and how far the rounds lie apart.

use crate::document::{Figures, Round, Server};
use crate::metric::Metric;

/// A value, and the rounds that it is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// The median of the rounds; for percentiles that of all requests together, for memory the
    /// most.
    pub value: f64,
    /// The least of a single round.
    pub low: f64,
    /// The most of a single round.
    pub high: f64,
    /// That of each round, in their order, as far as all have one: rounds of one number are paired.
    pub each: Vec<f64>,
}

impl Metric {
    /// The value of a server; `None` if it has none here.
    pub fn of(self, server: &Server) -> Option<Value> {
        let value = self.of_figures(server.figures.as_ref()?)?;
        let each: Vec<f64> = server.rounds.iter().map_while(|round| self.of_round(round)).collect();
        let low = each.iter().copied().fold(value, f64::min);
        let high = each.iter().copied().fold(value, f64::max);
        Some(Value { value, low, high, each })
    }

    #[allow(clippy::cast_precision_loss, reason = "times and sizes stay far below 2^52")]
    fn of_figures(self, figures: &Figures) -> Option<f64> {
        let asked = figures.requests_per_s > 0.0;
        match self {
            Self::Rate | Self::ConnectionRate => asked.then_some(figures.requests_per_s),
            Self::Throughput => asked.then_some(figures.bytes_per_s),
            Self::P50 => asked.then_some(figures.p50_ns as f64),
            Self::P99 => asked.then_some(figures.p99_ns as f64),
            Self::P999 => asked.then_some(figures.p99_9_ns as f64),
            Self::Cpu => asked.then_some(figures.server_cpu_ns_per_request),
            Self::Memory => figures.peak_pss_bytes.map(|bytes| bytes as f64),
            Self::Cores => asked.then_some(figures.server_cores),
            Self::IdlePss => figures.idle.map(|idle| idle.pss_bytes),
            Self::IdleKernel => figures.idle.map(|idle| idle.kernel_bytes()),
            Self::IdleWhole => figures.idle.map(|idle| idle.pss_bytes + idle.kernel_bytes()),
            Self::Disturbed => figures.alone.map(|alone| times(figures.p99_ns, alone.response_p99_ns)),
            Self::BulkThroughput => figures.bulk_bytes_per_s,
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "times and sizes stay far below 2^52")]
    /// The value of one round; `None` if it has none.
    pub fn of_round(self, round: &Round) -> Option<f64> {
        Some(match self {
            Self::Rate | Self::ConnectionRate => round.requests_per_s,
            Self::Throughput => round.bytes_per_s,
            Self::P50 => round.response_p50_ns as f64,
            Self::P99 => round.response_p99_ns as f64,
            Self::P999 => round.response_p99_9_ns as f64,
            Self::Cpu => round.server_cpu_ns_per_request,
            Self::Memory => round.pss_bytes? as f64,
            Self::Cores => round.server_cpu_s / round.elapsed_s,
            Self::IdlePss => round.idle?.pss_bytes,
            Self::IdleKernel => round.idle?.kernel_bytes(),
            Self::IdleWhole => round.idle.map(|idle| idle.pss_bytes + idle.kernel_bytes())?,
            Self::Disturbed => times(round.response_p99_ns, round.alone?.response_p99_ns),
            Self::BulkThroughput => round.bulk_bytes_per_s?,
        })
    }
}

#[allow(clippy::cast_precision_loss, reason = "times stay far below 2^52")]
fn times(with: u64, without: u64) -> f64 {
    with as f64 / without.max(1) as f64
}
