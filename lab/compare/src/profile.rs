//! The scenarios by their names, and what is to be said of each.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::metric::Metric;

/// A scenario, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scenario {
    /// Closed loop: each client asks again as soon as it has its answer
    Requests,
    /// The same with many requests in flight on each connection
    Pipeline,
    /// Messages of 64 KiB
    Bulk,
    /// A new connection for each request
    Churn,
    /// Silent connections: what does one more cost?
    Idle,
    /// Open loop: response times at equal load
    Paced,
    /// Half of the clients read slowly
    Slow,
    /// Each request costs 20 microseconds of computing
    Cpu,
    /// One bulk talker among many small ones
    Mixed,
}

/// What one scenario is, apart from how it is driven.
#[derive(Debug)]
pub struct Profile {
    /// A heading.
    pub title: &'static str,
    /// What is done, and what that finds out.
    pub about: &'static str,
    /// Connections of the sweep: quick, usual, thorough. Empty: not part of it.
    pub connections: [&'static [usize]; 3],
    /// The least connections with which it makes sense.
    pub least_connections: usize,
    /// Shares of the load, as `connections`; empty where the load has no rate.
    pub loads: [&'static [f64]; 3],
    /// Bytes in each request.
    pub size: usize,
    /// Requests in flight on each connection.
    pub pipeline: usize,
    /// How a server takes part that holds one conversation at a time.
    pub one_at_a_time: OneAtATime,
    /// Whether server and generator run on different cores.
    pub pinned: bool,
    /// More arguments for our servers. Foreign ones do not know them, and are left out.
    pub arguments: &'static [&'static str],
    /// What is drawn over the sweep; the first is what the servers are ranked by.
    pub metrics: &'static [Metric],
}

/// How a server takes part that holds one conversation at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OneAtATime {
    /// As all others.
    Fully,
    /// With one connection, at the first point of the sweep.
    WithOneConnection,
    /// Not at all: many conversations at once are the point.
    Not,
}

impl Scenario {
    /// What the command line calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Pipeline => "pipeline",
            Self::Bulk => "bulk",
            Self::Churn => "churn",
            Self::Idle => "idle",
            Self::Paced => "paced",
            Self::Slow => "slow",
            Self::Cpu => "cpu",
            Self::Mixed => "mixed",
        }
    }

    /// Whether who leads is something that a person acts on.
    pub fn is_decisive(self) -> bool {
        matches!(self, Self::Requests | Self::Churn | Self::Paced)
    }
}
