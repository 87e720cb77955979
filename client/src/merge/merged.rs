//! What many loads have shown together.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use hdrhistogram::Histogram;

use crate::hlog::{self, Log, RESPONSE, Tags};
use crate::load::{Errors, Facts};
use crate::units::{counted, per_second};

/// Ranks from here on are not missed one by one.
const MOST_RANKS: u64 = 10_000;

/// A log and where it came from.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) log: Log,
}

impl Named {
    /// How the client that wrote it is called: by its rank if it has one.
    pub(super) fn client(&self) -> String {
        match self.log.facts.as_ref().and_then(|facts| facts.rank) {
            Some(rank) => format!("rank {}", rank.rank),
            None => self.name.clone(),
        }
    }

    /// The response times, or what comes first.
    pub(super) fn histogram(&self) -> Option<&Histogram<u64>> {
        main_of(&self.log.tags)
    }

    /// Answers within its measurement.
    pub(super) fn requests(&self) -> u64 {
        match &self.log.facts {
            Some(facts) => facts.requests,
            None => self.histogram().map_or(0, Histogram::len),
        }
    }

    /// Requests per second, of this client alone.
    pub(super) fn rate(&self) -> f64 {
        let (start, end) = self.log.span;
        self.log.facts.as_ref().map_or_else(|| per_second(self.requests() as f64, end - start), Facts::rate)
    }
}

/// A log that should be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) name: String,
    pub(super) why: String,
}

/// All logs together.
#[derive(Debug)]
pub(super) struct Merged {
    /// By rank, then by name.
    pub(super) logs: Vec<Named>,
    pub(super) missing: Vec<Missing>,
    pub(super) tags: Tags,
    /// Answers within the measurements.
    pub(super) requests: u64,
    pub(super) errors: Errors,
    pub(super) late: u64,
    pub(super) unanswered: u64,
}

impl Merged {
    /// Merges logs, of which so many are expected; `force` takes those that are not alike too.
    ///
    /// # Errors
    /// One line: if two have the same rank, or the loads are not alike.
    pub(super) fn new(
        mut logs: Vec<Named>,
        mut missing: Vec<Missing>,
        expected: Option<usize>,
        force: bool,
    ) -> Result<Self> {
        logs.sort_by_key(|named| named.log.facts.as_ref().and_then(|facts| facts.rank).map(|rank| rank.rank));
        if !force {
            refuse_unlike(&logs)?;
        }
        missing.extend(missing_ranks(&logs, missing.len()));
        let there = logs.len() + missing.len();
        if let Some(expected) = expected.filter(|expected| *expected > there) {
            let name = counted((expected - there) as u64, "log");
            missing.push(Missing { name, why: format!("{expected} were expected") });
        }
        let mut merged = Self {
            logs,
            missing,
            tags: Tags::new(),
            requests: 0,
            errors: Errors::default(),
            late: 0,
            unanswered: 0,
        };
        for named in &merged.logs {
            for (tag, histogram) in &named.log.tags {
                hlog::add(&mut merged.tags, tag.clone(), histogram)?;
            }
            merged.requests = merged.requests.saturating_add(named.requests());
            if let Some(facts) = &named.log.facts {
                merged.errors.add(&facts.errors);
                merged.late = merged.late.saturating_add(facts.late);
                merged.unanswered = merged.unanswered.saturating_add(facts.unanswered);
            }
        }
        Ok(merged)
    }

    /// Whether no log is missing, and no load has failed.
    pub(super) fn ok(&self) -> bool {
        let is_ok = |named: &Named| named.log.facts.as_ref().is_none_or(|facts| facts.ok);
        self.missing.is_empty() && self.logs.iter().all(is_ok)
    }

    /// The one histogram that a distribution can show: of the response times, or of whatever comes
    /// first.
    pub(super) fn main_histogram(&self) -> Option<&Histogram<u64>> {
        main_of(&self.tags)
    }

    /// From the first one's start to the last one's end, in seconds.
    pub(super) fn elapsed(&self) -> f64 {
        let (start, end) = self.bounds(f64::min, f64::max);
        // One client's own figure is not to be rounded by the way of two moments.
        match &self.logs[..] {
            [Named { log: Log { facts: Some(facts), .. }, .. }] => facts.elapsed_seconds,
            _ => (end - start).max(0.0),
        }
    }

    /// Requests per second, of all clients together.
    pub(super) fn rate(&self) -> f64 {
        per_second(self.requests as f64, self.elapsed())
    }

    /// The part of the time that all logs cover, from 0 to 1.
    pub(super) fn overlap(&self) -> f64 {
        let (first, last) = self.bounds(f64::min, f64::max);
        let (start, end) = self.bounds(f64::max, f64::min);
        if last > first { ((end - start) / (last - first)).max(0.0) } else { 1.0 }
    }

    fn bounds(&self, starts: fn(f64, f64) -> f64, ends: fn(f64, f64) -> f64) -> (f64, f64) {
        let spans = self.logs.iter().map(|named| named.log.span);
        spans.reduce(|one, other| (starts(one.0, other.0), ends(one.1, other.1))).unwrap_or_default()
    }
}

fn main_of(tags: &Tags) -> Option<&Histogram<u64>> {
    tags.get(RESPONSE).or_else(|| tags.values().next())
}

fn refuse_unlike(logs: &[Named]) -> Result<()> {
    let mut known: Vec<(&Named, &Facts)> = Vec::new();
    for (named, facts) in logs.iter().filter_map(|named| Some((named, named.log.facts.as_ref()?))) {
        let same = |(_, other): &&(&Named, &Facts)| facts.rank.is_some() && other.rank == facts.rank;
        if let Some((other, _)) = known.iter().find(same) {
            bail!(
                "{} and {} are both of {}: give each client's log once, or --force it",
                other.name,
                named.name,
                named.client()
            );
        }
        if let Some((other, others)) = known.first() {
            let pairs = facts.load.kind().into_iter().zip(others.load.kind());
            if let Some(((what, one), (_, another))) = pairs.into_iter().find(|(one, another)| one != another)
            {
                bail!(
                    "the loads are not alike: {what} is {another} in {} and {one} in {}; leave one out, or --force it",
                    other.name,
                    named.name
                );
            }
        }
        known.push((named, facts));
    }
    Ok(())
}

/// The ranks of which there is no log, but for `unread` logs that may be theirs.
fn missing_ranks(logs: &[Named], unread: usize) -> Vec<Missing> {
    let ranks = || logs.iter().filter_map(|named| named.log.facts.as_ref()?.rank);
    let Some(all) = ranks().map(|rank| rank.ranks).max() else { return Vec::new() };
    let there: BTreeSet<u64> = ranks().map(|rank| rank.rank).collect();
    let absent: Vec<u64> = (0..all.min(MOST_RANKS)).filter(|rank| !there.contains(rank)).collect();
    let why = if unread > 0 {
        format!("there are {all}; it may be one of those above")
    } else {
        format!("there are {all}")
    };
    if absent.len() <= unread {
        return Vec::new();
    }
    absent.iter().map(|rank| Missing { name: format!("rank {rank}"), why: why.clone() }).collect()
}
