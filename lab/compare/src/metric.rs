//! What can be compared: each quantity with its name, its unit, its value for a server, and how far the rounds lie apart.

use harness::units;
use serde::{Deserialize, Serialize};

use crate::document::{RoundRecord, Server};
use crate::summary::Figures;

/// A quantity of a server at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Requests answered per second.
    Rate,
    /// Connections served per second.
    ConnectionRate,
    /// Bytes per second, in one direction.
    Throughput,
    /// The middle response time.
    P50,
    /// The response time that one request in a hundred exceeds.
    P99,
    /// The response time that one request in a thousand exceeds.
    P999,
    /// CPU time of the server for each request.
    Cpu,
    /// Memory of the server's process tree.
    Memory,
    /// Cores that the server kept busy.
    Cores,
    /// Memory of the server for each silent connection.
    IdlePss,
    /// Memory of the kernel for each silent connection.
    IdleKernel,
    /// Both.
    IdleWhole,
    /// How many times longer the p99 is with those that disturb than without.
    Disturbed,
    /// Bytes per second of the one bulk talker.
    BulkThroughput,
}

/// A value, and the rounds that it is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// The median of the rounds; for percentiles that of all requests together, for memory the most.
    pub value: f64,
    /// The least of a single round.
    pub low: f64,
    /// The most of a single round.
    pub high: f64,
    /// That of each round, in their order.
    pub each: Vec<f64>,
}

impl Metric {
    /// What a chart is called.
    pub fn title(self) -> &'static str {
        match self {
            Self::Rate => "Requests per second",
            Self::ConnectionRate => "Connections per second",
            Self::Throughput => "Bytes per second, each way",
            Self::P50 => "Response time, p50",
            Self::P99 => "Response time, p99",
            Self::P999 => "Response time, p99.9",
            Self::Cpu => "Server CPU per request",
            Self::Memory => "Memory (PSS)",
            Self::Cores => "Cores that the server used",
            Self::IdlePss => "Server's memory per silent connection",
            Self::IdleKernel => "Kernel's memory per silent connection",
            Self::IdleWhole => "Memory per silent connection, the kernel's share included",
            Self::Disturbed => "p99, times that without the disturbance",
            Self::BulkThroughput => "Bytes per second of the bulk talker",
        }
    }

    /// What a sentence calls it.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::ConnectionRate => "rate of connections",
            Self::Throughput => "throughput",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::Cpu => "CPU time per request",
            Self::Memory => "memory",
            Self::Cores => "use of cores",
            Self::IdlePss => "memory per silent connection",
            Self::IdleKernel => "kernel memory per silent connection",
            Self::IdleWhole => "whole memory per silent connection",
            Self::Disturbed => "rise of the p99",
            Self::BulkThroughput => "throughput of the bulk talker",
        }
    }

    /// Whether more is better; for the use of cores neither is.
    pub fn more_is_better(self) -> bool {
        matches!(
            self,
            Self::Rate | Self::ConnectionRate | Self::Throughput | Self::BulkThroughput | Self::Cores
        )
    }

    /// The value as people read it.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Rate | Self::ConnectionRate => format!("{}/s", units::rate(value)),
            Self::Throughput | Self::BulkThroughput => format!("{}/s", units::bytes(value)),
            Self::P50 | Self::P99 | Self::P999 | Self::Cpu => units::time(value),
            Self::Memory | Self::IdlePss | Self::IdleKernel | Self::IdleWhole => units::signed_bytes(value),
            Self::Cores => format!("{value:.2}"),
            Self::Disturbed => format!("{value:.2} x"),
        }
    }

    /// Whether its unit grows in steps of 1024, which an axis then does too.
    pub fn is_bytes(self) -> bool {
        matches!(
            self,
            Self::Throughput
                | Self::BulkThroughput
                | Self::Memory
                | Self::IdlePss
                | Self::IdleKernel
                | Self::IdleWhole
        )
    }

    /// The value of a server; `None` if it has none here.
    pub fn of(self, server: &Server) -> Option<Value> {
        let value = self.of_figures(server.figures.as_ref()?)?;
        let each: Vec<f64> = server.rounds.iter().filter_map(|round| self.of_round(round)).collect();
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
    pub fn of_round(self, round: &RoundRecord) -> Option<f64> {
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
