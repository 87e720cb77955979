//! What the servers are asked to do. Each scenario is a small file: what it is called, what it finds out, under which loads, and how
//! it is driven.

mod bulk;
mod churn;
mod cpu;
mod idle;
mod mixed;
mod paced;
mod pipeline;
mod requests;
mod slow;
mod window;

use anyhow::Result;
use clap::ValueEnum;
use client::load::LoadOptions;
use harness::interrupt::Interrupt;
use harness::server::Server;
use serde::{Deserialize, Serialize};

use crate::metric::Metric;
use crate::round::Round;

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

/// A server that runs, and what is to be done with it.
#[derive(Debug)]
pub struct Run<'a> {
    /// It listens.
    pub server: &'a Server<'a>,
    /// The load of the point, closed loop.
    pub load: LoadOptions,
    /// The requests per second to offer; only in `paced`.
    pub offered_per_s: Option<f64>,
    /// Ends it early.
    pub interrupt: &'a Interrupt,
}

impl Scenario {
    /// What it is.
    pub fn profile(self) -> &'static Profile {
        match self {
            Self::Requests => &requests::PROFILE,
            Self::Pipeline => &pipeline::PROFILE,
            Self::Bulk => &bulk::PROFILE,
            Self::Churn => &churn::PROFILE,
            Self::Idle => &idle::PROFILE,
            Self::Paced => &paced::PROFILE,
            Self::Slow => &slow::PROFILE,
            Self::Cpu => &cpu::PROFILE,
            Self::Mixed => &mixed::PROFILE,
        }
    }

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

    /// Drives the server.
    ///
    /// # Errors
    /// If the server cannot be reached or sampled.
    pub fn drive(self, run: &Run<'_>) -> Result<Round> {
        match self {
            Self::Requests | Self::Pipeline | Self::Bulk | Self::Cpu => window::drive(run),
            Self::Churn => churn::drive(run),
            Self::Idle => idle::drive(run),
            Self::Paced => paced::drive(run),
            Self::Slow => slow::drive(run),
            Self::Mixed => mixed::drive(run),
        }
    }
}
