//! What many loads have shown together, and when not to believe it.

use std::fmt;

use anyhow::{Result, bail};
use hdrhistogram::Histogram;

use crate::hlog::{self, Log, RESPONSE, Tags};
use crate::load::{Errors, Facts};
use crate::units::counted;

/// The share of the time that all logs should cover, from 0 to 1.
const TOGETHER: f64 = 0.9;

/// By how much the loads may begin apart, in seconds.
const APART: f64 = 0.1;

/// From which difference between the fastest and the slowest client on they are not even.
const UNEVEN: f64 = 0.1;

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
        self.log.facts.as_ref().map_or_else(|| per_second(self.requests(), end - start), Facts::rate)
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

/// A reason not to believe a merged result, or to read it with care.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Doubt {
    /// All logs cover only this share of the time, from 0 to 1.
    Apart(f64),
    /// The loads began so many seconds apart: which first, and which last.
    Starts(f64, String, String),
    /// The clocks of several machines follow no other one: which clients have them.
    Clocks(Vec<String>),
    /// The slowest client had this share of the fastest one's rate: which they are.
    Uneven(f64, String, String),
    /// What a client doubts itself.
    Own(String, String),
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apart(share) => write!(
                f,
                "all logs together cover only {:.0} % of this time, so the rate is not that of all clients at once: \
                 begin together (--start-at), and leave out old logs",
                share * 100.0
            ),
            Self::Starts(apart, first, last) => write!(
                f,
                "{last} began {apart:.2} s after {first}: they did not begin together, or their clocks differ"
            ),
            Self::Clocks(clients) => write!(
                f,
                "the clock of {} is not synchronised, so nobody knows whether all loaded the server at once",
                clients.join(", ")
            ),
            Self::Uneven(share, slowest, fastest) => {
                write!(f, "{slowest} had only {:.0} % of the rate of {fastest}", share * 100.0)
            }
            Self::Own(client, text) => write!(f, "{client}: {text}"),
        }
    }
}

impl Doubt {
    /// A name for programs.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Apart(_) => "apart",
            Self::Starts(..) => "starts",
            Self::Clocks(_) => "clocks",
            Self::Uneven(..) => "uneven",
            Self::Own(..) => "own",
        }
    }
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
            merged.requests += named.requests();
            if let Some(facts) = &named.log.facts {
                merged.errors.add(&facts.errors);
                merged.late += facts.late;
                merged.unanswered += facts.unanswered;
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
        per_second(self.requests, self.elapsed())
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

    /// The reasons not to believe this result.
    pub(super) fn doubts(&self) -> Vec<Doubt> {
        let mut doubts = Vec::new();
        if self.overlap() < TOGETHER {
            doubts.push(Doubt::Apart(self.overlap()));
        }
        let by = |key: fn(&Named) -> f64| {
            let order = |one: &&Named, other: &&Named| key(one).total_cmp(&key(other));
            Some((self.logs.iter().min_by(order)?, self.logs.iter().max_by(order)?))
        };
        if let Some((first, last)) = by(|named| named.log.span.0) {
            let apart = last.log.span.0 - first.log.span.0;
            if apart > APART {
                doubts.push(Doubt::Starts(apart, first.client(), last.client()));
            }
        }
        let facts = || self.logs.iter().filter_map(|named| Some((named, named.log.facts.as_ref()?)));
        let mut machines: Vec<_> = facts().map(|(_, facts)| &facts.machine).collect();
        machines.sort();
        machines.dedup();
        let loose: Vec<String> = facts()
            .filter(|(_, facts)| facts.clock_is_synchronised == Some(false))
            .map(|(named, _)| named.client())
            .collect();
        if machines.len() > 1 && !loose.is_empty() {
            doubts.push(Doubt::Clocks(loose));
        }
        if let Some((slowest, fastest)) = by(Named::rate) {
            let share = slowest.rate() / fastest.rate().max(f64::MIN_POSITIVE);
            if share < 1.0 - UNEVEN && fastest.rate() > 0.0 {
                doubts.push(Doubt::Uneven(share, slowest.client(), fastest.client()));
            }
        }
        for (named, facts) in facts() {
            let own = facts.doubts.iter().map(|said| Doubt::Own(named.client(), said.text.clone()));
            doubts.extend(own);
        }
        doubts
    }
}

fn main_of(tags: &Tags) -> Option<&Histogram<u64>> {
    tags.get(RESPONSE).or_else(|| tags.values().next())
}

/// So many per second, of a count.
pub(super) fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
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
    let absent: Vec<u64> =
        (0..all.min(1_000_000)).filter(|rank| ranks().all(|there| there.rank != *rank)).collect();
    let why = if unread > 0 {
        format!("there are {all}; it may be one of those above")
    } else {
        format!("there are {all}")
    };
    let known = absent.len().saturating_sub(unread);
    if known == 0 {
        return Vec::new();
    }
    absent.iter().map(|rank| Missing { name: format!("rank {rank}"), why: why.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Rank;

    fn facts(rank: Option<(u64, u64)>, started: f64, requests: u64) -> Facts {
        let options = crate::load::LoadOptions::new("127.0.0.1:1".parse().unwrap());
        let mut results = crate::load::invented(&[], 10_000, 1);
        results.requests = requests;
        let mut facts = Facts::new(&options, None, &results);
        facts.rank = rank.map(|(rank, ranks)| Rank { rank, ranks });
        (facts.started_unix_seconds, facts.elapsed_seconds, facts.ok) = (started, 10.0, true);
        facts.doubts.clear();
        facts
    }

    fn named(name: &str, facts: Facts) -> Named {
        let span = (facts.started_unix_seconds, facts.ended_unix_seconds());
        let mut tags = Tags::new();
        let mut histogram = crate::load::histogram();
        histogram.record_n(1_000, facts.requests).unwrap();
        hlog::add(&mut tags, RESPONSE.to_owned(), &histogram).unwrap();
        Named { name: name.to_owned(), log: Log { facts: Some(facts), tags, span } }
    }

    fn pair(change: impl FnOnce(&mut Facts)) -> Vec<Named> {
        let mut second = facts(Some((1, 2)), 1000.0, 500);
        change(&mut second);
        vec![named("b", second), named("a", facts(Some((0, 2)), 1000.0, 500))]
    }

    fn kinds(change: impl FnOnce(&mut Facts)) -> Vec<&'static str> {
        let merged = Merged::new(pair(change), vec![], None, false).unwrap();
        merged.doubts().iter().map(Doubt::kind).collect()
    }

    #[test]
    fn two_that_loaded_together_are_one_result() {
        let merged = Merged::new(pair(|_| ()), vec![], Some(2), false).unwrap();
        assert!(merged.ok() && merged.doubts().is_empty());
        assert_eq!((merged.requests, merged.elapsed(), merged.rate()), (1000, 10.0, 100.0));
        assert_eq!(merged.logs[0].client(), "rank 0");
    }

    #[test]
    fn each_doubt_is_raised_by_its_cause_alone() {
        assert_eq!(kinds(|facts| facts.started_unix_seconds += 3.0), ["apart", "starts"]);
        assert_eq!(kinds(|facts| facts.started_unix_seconds += 0.2), ["starts"]);
        assert_eq!(kinds(|facts| facts.requests = 400), ["uneven"]);
        let another = |facts: &mut Facts| {
            (facts.machine, facts.clock_is_synchronised) = (Some("another".to_owned()), Some(false));
        };
        assert!(kinds(another).contains(&"clocks"));
    }

    #[test]
    fn what_went_wrong_for_one_is_not_lost() {
        let merged = Merged::new(
            pair(|facts| {
                (facts.ok, facts.errors.wrong_bytes, facts.unanswered) = (false, 8, 2);
            }),
            vec![],
            None,
            false,
        )
        .unwrap();
        assert!(!merged.ok());
        assert_eq!((merged.errors.wrong_bytes, merged.unanswered), (8, 2));
    }

    #[test]
    fn who_is_missing_is_named() {
        let missing = |logs: Vec<Named>, missing: Vec<Missing>, expected| {
            let merged = Merged::new(logs, missing, expected, false).unwrap();
            assert!(!merged.ok());
            merged.missing.into_iter().map(|missing| missing.name).collect::<Vec<_>>()
        };
        let one = || vec![named("a", facts(Some((1, 3)), 1.0, 5))];
        assert_eq!(missing(one(), vec![], None), ["rank 0", "rank 2"]);
        let alone = vec![named("a", facts(None, 1.0, 5))];
        assert_eq!(missing(alone, vec![], Some(3)), ["2 logs"]);
        let cut = Missing { name: "x".to_owned(), why: "cut".to_owned() };
        assert_eq!(missing(pair(|_| ()), vec![cut], None), ["x"]);
    }

    #[test]
    fn what_is_not_alike_is_refused_unless_forced() {
        let refused = |change: fn(&mut Facts)| {
            assert!(Merged::new(pair(change), vec![], None, true).is_ok());
            Merged::new(pair(change), vec![], None, false).unwrap_err().to_string()
        };
        assert!(
            refused(|facts| facts.load.size_bytes = 1).contains("bytes of a request is 64 in a and 1 in b")
        );
        assert!(refused(|facts| facts.load.target_requests_per_second = Some(1.0)).contains("open loop"));
        assert!(refused(|facts| facts.rank = Some(Rank { rank: 0, ranks: 2 })).contains("both of rank 0"));
    }
}
