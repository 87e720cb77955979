//! A step that is taken with all connections, and how it went.

use std::time::Duration;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde::{Deserialize, Serialize};

use crate::load::histogram;
use crate::units::{grouped, per_second, rate, time};

/// A step, with all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Open them, and greet the server on each: a connection counts as open when its greeting is
    /// answered.
    Open,
    /// Ask once on each, in random order.
    Ask,
    /// End the output of each, and read to the end.
    Close,
}

impl Step {
    /// The line that orders it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ask => "ask",
            Self::Close => "close",
        }
    }

    /// What is being done: "opening".
    pub fn participle(self) -> &'static str {
        match self {
            Self::Open => "opening",
            Self::Ask => "asking",
            Self::Close => "closing",
        }
    }

    /// What has been done with each connection.
    fn done(self) -> &'static str {
        match self {
            Self::Open => "open and greeted",
            Self::Ask => "asked in random order, every byte of every reply checked",
            Self::Close => "ended by the client, and read to the end",
        }
    }
}

impl ValueEnum for Step {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Open, Self::Ask, Self::Close]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

/// A line of stdout where the client is told its orders.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// It has all it needs but the connections.
    Ready,
    /// With how many connections it has done the step that is under way; at most ten a second.
    Progress(u64),
    /// The step is over.
    Done(Account),
}

/// How a step went.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Account {
    /// With how many connections it went well.
    pub done: u64,
    /// With how many not.
    pub failed: u64,
    /// What happened to the first of them.
    pub first_failure: Option<String>,
    /// When it began, in nanoseconds of CLOCK_MONOTONIC, which all processes of a machine share.
    pub began_ns: u64,
    /// When it ended.
    pub ended_ns: u64,
    /// Pairs of a time in nanoseconds and how often it took that long: each from the first system
    /// call to the last byte.
    pub times: Vec<(u64, u64)>,
}

/// How a step went, over all clients of one machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepResult {
    /// With how many connections it went well.
    pub done: u64,
    /// With how many not.
    pub failed: u64,
    /// What happened to the first of one client, for each client to which anything did.
    pub failures: Vec<String>,
    /// From the first client's beginning to the last one's end, in seconds.
    pub took_s: f64,
    /// How often a second it went well.
    pub per_s: f64,
    /// How long each took, in nanoseconds: from merged histograms.
    pub p50_ns: u64,
    /// Of a hundred, the slowest took longer.
    pub p99_ns: u64,
    /// The slowest.
    pub max_ns: u64,
}

impl StepResult {
    /// From what each client said.
    pub fn of(accounts: &[Account]) -> Self {
        let accounts = accounts.iter();
        let mut times = histogram();
        for (value, count) in accounts.clone().flat_map(|account| &account.times) {
            times.saturating_record_n(*value, *count);
        }
        let began_ns = accounts.clone().map(|account| account.began_ns).min().unwrap_or(0);
        let ended_ns = accounts.clone().map(|account| account.ended_ns).max().unwrap_or(0);
        let took_s = Duration::from_nanos(ended_ns.saturating_sub(began_ns)).as_secs_f64();
        let done = accounts.clone().map(|account| account.done).sum();
        Self {
            done,
            failed: accounts.clone().map(|account| account.failed).sum(),
            failures: accounts.filter_map(|account| account.first_failure.clone()).collect(),
            took_s,
            per_s: per_second(done as f64, took_s),
            p50_ns: times.value_at_quantile(0.5),
            p99_ns: times.value_at_quantile(0.99),
            max_ns: times.max(),
        }
    }

    /// Two lines for people: how often, and how fast.
    pub fn text(&self, step: Step) -> String {
        let failed =
            if self.failed > 0 { format!(", {} failed", grouped(self.failed)) } else { String::new() };
        format!(
            "{:8} {} {}{failed}\n         in {}: {}/s; p50 {}, p99 {}, max {}\n",
            step.participle(),
            grouped(self.done),
            step.done(),
            time(self.took_s * 1e9),
            rate(self.per_s),
            time(self.p50_ns as f64),
            time(self.p99_ns as f64),
            time(self.max_ns as f64)
        )
    }
}
