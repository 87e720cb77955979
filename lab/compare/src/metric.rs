//! What can be compared: each quantity with its name and its unit.

use harness::units;
use serde::{Deserialize, Serialize};

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
}
