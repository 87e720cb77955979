//! All that a comparison has found, as `--json` writes it and `lab report` reads it.
//! `docs/results.md` describes every field.
//!
//! The table, the sentences, the charts and the change against an earlier run are all made from
//! this and nothing else, so a file that was kept can be looked at again later. Every name says its
//! unit; `version` changes when a reader would have to.

mod reading;

use std::fmt;

use client::load::Errors;
use harness::machine::Machine;
use harness::sample::Footprint;
use serde::{Deserialize, Serialize};

use crate::change::Comparison;
use crate::claims::{At, Finding};
use crate::profile::Scenario;
use crate::words;

/// Version of the schema.
pub const VERSION: u32 = 3;

/// All that was measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Document {
    /// [`VERSION`] of who wrote it.
    pub version: u32,
    /// Of the lab, and so of our servers.
    pub lab_version: String,
    /// The compiler that built both.
    pub rustc: String,
    /// In a debug build the figures mean nothing.
    pub debug_build: bool,
    /// When it began, RFC 3339.
    pub started: String,
    /// How long it took.
    pub took_s: f64,
    /// Where.
    pub machine: Machine,
    /// How.
    pub settings: Settings,
    /// Whether the user ended the comparison early.
    pub interrupted: bool,
    /// Runs that were made, and those that were planned: one server started and driven once is a
    /// run.
    pub runs: usize,
    /// See `runs`.
    pub runs_planned: usize,
    /// What was measured: one element for each scenario, number of connections and share of the
    /// load.
    pub points: Vec<Point>,
    /// What the figures say.
    pub findings: Vec<Finding>,
    /// What a reader must know to compare the rows.
    pub notes: Vec<String>,
    /// Why figures may be wrong.
    pub doubts: Vec<Doubt>,
    /// What failed; each names its server.
    pub failures: Vec<String>,
    /// Servers that could have taken part, why they do not, and how to get them.
    pub left_out: Vec<String>,
    /// The change against an earlier run, if one was given.
    pub baseline: Option<Comparison>,
}

/// Why figures may be wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// Why, in words.
    pub why: String,
    /// Where that was and of whom, in words; empty where it concerns all.
    pub of: String,
}

impl Doubt {
    /// One that concerns all.
    pub fn of_all(why: impl Into<String>) -> Self {
        Self { why: why.into(), of: String::new() }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of.as_str() {
            "" => f.write_str(&self.why),
            of => write!(f, "{}; so it was for: {of}", self.why),
        }
    }
}

/// How it was measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Settings {
    /// Threads of the generator.
    pub generator_threads: usize,
    /// The measured window of each run.
    pub duration_s: f64,
    /// The time before it, in which the server is driven and nothing recorded.
    pub warm_up_s: f64,
    /// How often each server was measured at each point.
    pub rounds: usize,
    /// Cores of the servers; null if nothing was pinned. The scenarios that say so use all cores
    /// for both.
    pub server_cores: Option<Vec<usize>>,
    /// Cores of the generator; null if nothing was pinned.
    pub generator_cores: Option<Vec<usize>>,
}

/// One scenario under one load.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Point {
    /// Which.
    pub scenario: Scenario,
    /// Connections, all open at once.
    pub connections: usize,
    /// Bytes in each request.
    pub size_bytes: usize,
    /// Requests in flight on each connection.
    pub pipeline: usize,
    /// The share of the rate that the slowest server sustains, from 0; only in `paced`.
    pub load: Option<f64>,
    /// The requests per second that were offered; only in `paced`.
    pub offered_per_s: Option<f64>,
    /// The server whose rate that is a share of; only in `paced`.
    pub slowest: Option<String>,
    /// Who was measured, in the order of the table.
    pub servers: Vec<Server>,
}

/// One server at one point.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Server {
    /// The model: the same at every point, and in every comparison.
    pub id: String,
    /// How many workers it had, where it is told how many.
    pub workers: Option<usize>,
    /// What it was started with.
    pub command: String,
    /// Whether it is not of this project.
    pub is_foreign: bool,
    /// Whether it sends bytes back as they are.
    pub echo: bool,
    /// Connections that were opened to it.
    pub connections: usize,
    /// Null if no round went well.
    pub figures: Option<Figures>,
    /// The rounds that went well.
    pub rounds: Vec<Round>,
    /// Null if all rounds went well.
    pub failure: Option<Failure>,
}

/// One server, driven once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// The measured window.
    pub elapsed_s: f64,
    /// Requests answered within it.
    pub requests: u64,
    /// The same per second.
    pub requests_per_s: f64,
    /// Bytes of these requests per second; as many came back.
    pub bytes_per_s: f64,
    /// Response times; 0 in `idle`, where nothing is asked.
    pub response_p50_ns: u64,
    /// See `response_p50_ns`.
    pub response_p99_ns: u64,
    /// See `response_p50_ns`.
    pub response_p99_9_ns: u64,
    /// See `response_p50_ns`.
    pub response_max_ns: u64,
    /// CPU time of the server's process tree within the window.
    pub server_cpu_s: f64,
    /// The same per answered request; 0 where nothing is asked.
    pub server_cpu_ns_per_request: f64,
    /// CPU time of the generator's threads within the window.
    pub generator_cpu_s: f64,
    /// The same as a share of what these threads could have used, from 0 to 1.
    pub generator_share: f64,
    /// Cores that other programs kept busy within the window: what disturbs this round. To about
    /// 0.05.
    pub others_cores: f64,
    /// Memory of the process tree, see [`Footprint`].
    /// Null if it may not be read.
    pub pss_bytes: Option<u64>,
    /// Processes of the tree.
    pub processes: usize,
    /// Threads of the tree, over all processes.
    pub threads: usize,
    /// Requests that were not answered in the end.
    pub unanswered: u64,
    /// What went wrong, by kind; in a round that went well, nothing.
    pub errors: Errors,
    /// What a silent connection costs; only in `idle`.
    pub idle: Option<IdleRecord>,
    /// The same clients without those that disturb them; only in `slow` and `mixed`.
    pub alone: Option<AloneRecord>,
    /// Bytes per second of the one that disturbs; only in `mixed`.
    pub bulk_bytes_per_s: Option<f64>,
}

impl Round {
    /// One in which nothing is asked.
    pub fn silent(idle: Option<IdleRecord>, footprint: Footprint) -> Self {
        let Footprint { pss_bytes, processes, threads } = footprint;
        Self { pss_bytes, processes, threads, idle, ..Self::default() }
    }
}

/// One row of the comparison.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Requests answered per second: the median of the rounds. 0 in `idle`, where nothing is asked,
    /// as is all that follows from it.
    pub requests_per_s: f64,
    /// That rate as a fraction of the best one's at this point.
    pub of_best: f64,
    /// Half of the distance between the fastest and the slowest round, as a fraction of the median;
    /// `None` with one round.
    pub spread: Option<f64>,
    /// Bytes of the answered requests per second: the median of the rounds.
    pub bytes_per_s: f64,
    /// Response time that half of the requests did not exceed.
    pub p50_ns: u64,
    /// Response time that 99 % of the requests did not exceed.
    pub p99_ns: u64,
    /// Response time that 99.9 % of the requests did not exceed.
    pub p99_9_ns: u64,
    /// The longest response time.
    pub max_ns: u64,
    /// The response times of all rounds: pairs of a percentile from 0 to 100 and nanoseconds, both
    /// rising.
    pub percentiles: Vec<(f64, u64)>,
    /// How many response times these are.
    pub samples: u64,
    /// CPU time of the server's process tree per answered request: the median of the rounds.
    pub server_cpu_ns_per_request: f64,
    /// Cores that the process tree kept busy: the median of the rounds.
    pub server_cores: f64,
    /// CPU time of the generator as a share of what its threads could have used, from 0 to 1: the
    /// median of the rounds.
    pub generator_share: f64,
    /// Most memory in any round, see [`Footprint`].
    /// `None` if it may not be read.
    pub peak_pss_bytes: Option<u64>,
    /// Most processes in any round.
    pub processes: usize,
    /// Most threads in any round, over all processes.
    pub threads: usize,
    /// What a silent connection costs: medians of the rounds; only in `idle`.
    pub idle: Option<IdleRecord>,
    /// The same load undisturbed: medians of the rounds; only in `slow` and `mixed`.
    pub alone: Option<AloneRecord>,
    /// What the one bulk talker got: the median of the rounds; only in `mixed`.
    pub bulk_bytes_per_s: Option<f64>,
}

/// A round that did not go well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// What one more silent connection costs, on average over those that were opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct IdleRecord {
    /// Growth of the process tree's proportional set size.
    pub pss_bytes: f64,
    /// Growth of the tree's page tables and kernel stacks: these are the server's for certain.
    pub kernel_own_bytes: f64,
    /// Growth of the kernel's slab caches less what the client's end costs: socket, file, and where
    /// there are any process and thread. Of the whole machine, so whatever else happens on it is in
    /// here too.
    pub kernel_slab_bytes: f64,
}

impl IdleRecord {
    /// The kernel's share.
    pub fn kernel_bytes(&self) -> f64 {
        self.kernel_own_bytes + self.kernel_slab_bytes
    }
}

/// The clients that matter, before they are disturbed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct AloneRecord {
    /// Requests answered per second.
    pub requests_per_s: f64,
    /// Response time that 99 % of the requests did not exceed.
    pub response_p99_ns: u64,
}

impl AloneRecord {
    /// What matters of that round.
    pub fn of(round: &Round) -> Self {
        Self { requests_per_s: round.requests_per_s, response_p99_ns: round.response_p99_ns }
    }
}

impl Document {
    /// How many cores the servers had; `None` if they were not told which.
    pub fn server_cores(&self) -> Option<usize> {
        self.settings.server_cores.as_ref().map(Vec::len)
    }

    /// The scenarios that were measured, in the order of the points.
    pub fn scenarios(&self) -> Vec<Scenario> {
        let mut scenarios: Vec<Scenario> = Vec::new();
        for point in &self.points {
            if !scenarios.contains(&point.scenario) {
                scenarios.push(point.scenario);
            }
        }
        scenarios
    }

    /// The points of one scenario, in the order of the sweep.
    pub fn points_of(&self, scenario: Scenario) -> Vec<&Point> {
        self.points.iter().filter(|point| point.scenario == scenario).collect()
    }

    /// All servers by their ids, in the order of the first table that has them.
    pub fn ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = Vec::new();
        for server in self.points.iter().flat_map(|point| &point.servers) {
            if !ids.contains(&server.id.as_str()) {
                ids.push(&server.id);
            }
        }
        ids
    }
}

impl Point {
    /// Under which load, in words.
    pub fn label(&self) -> String {
        words::label(self.at())
    }

    /// Under which load.
    pub fn at(&self) -> At {
        At { connections: self.connections, load: self.load }
    }

    /// The server of that id, if it was measured here.
    pub fn server(&self, id: &str) -> Option<&Server> {
        self.servers.iter().find(|server| server.id == id)
    }
}

#[cfg(test)]
mod tests;
