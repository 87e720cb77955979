//! Many loads as one: what is added, what is refused, what is doubted.

use super::doubt::Doubt;
use super::merged::*;
use crate::hlog::{self, Log, RESPONSE, Tags};
use crate::load::{Facts, Rank};

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
    assert!(refused(|facts| facts.load.size_bytes = 1).contains("bytes of a request is 64 in a and 1 in b"));
    assert!(refused(|facts| facts.load.target_requests_per_second = Some(1.0)).contains("open loop"));
    assert!(refused(|facts| facts.rank = Some(Rank { rank: 0, ranks: 2 })).contains("both of rank 0"));
}
