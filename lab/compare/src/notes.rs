//! What one must know beside the figures, and why one should not believe them.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::time::Duration;

use client::load::Doubt as LoadDoubt;
use harness::lang::Lang;
use harness::quota::Throttled;

use crate::choose::texts::Texts;
use crate::document::Doubt;
use crate::measure::Measured;
use crate::plan::{Plan, PlannedPoint};
use crate::summary::Entry;

/// A round shorter than this says little about rare events.
const SHORT: Duration = Duration::from_secs(1);

/// Other programs that keep more cores busy disturb a round.
const DISTURBING_CORES: f64 = 0.2;

/// With fewer response times than these, fewer than ten lie beyond p99.9.
const LEAST_FOR_P99_9: u64 = 10_000;

/// From this many processes that want a core on, others have disturbed the figures.
const BUSY_MACHINE: f64 = 0.5;

/// Lines below the table.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// What a reader must know to compare the rows.
    pub notes: Vec<String>,
    /// Why figures may be wrong.
    pub doubts: Vec<Doubt>,
    /// What failed; each names its server.
    pub failures: Vec<String>,
}

impl Notes {
    /// What there is to say about what was measured, where the machine's load was `load_average`
    /// before.
    pub fn new(plan: &Plan, measured: &Measured, load_average: f64) -> Self {
        let rows = || plan.points.iter().zip(&measured.entries);
        let mut notes = plan.notes.clone();
        for (point, entries) in rows() {
            notes.extend(entries.iter().filter_map(|entry| fewer_connections(plan, point, entry)));
        }
        notes.extend(secret(measured));
        Self { notes, doubts: doubts(plan, measured, load_average), failures: failures(plan, measured) }
    }
}

/// The words that tell a point from the others, where there are several.
fn at(plan: &Plan, point: &PlannedPoint) -> String {
    let plural = if point.connections == 1 { "" } else { "s" };
    let load = point.load.map(|load| format!(", {:.0} % load", load * 100.0)).unwrap_or_default();
    match plan.points.as_slice() {
        [_] => String::new(),
        _ => format!("{}, {} connection{plural}{load}", point.scenario.name(), point.connections),
    }
}

/// Whose memory may not be read.
fn secret(measured: &Measured) -> Option<String> {
    let is_secret = |entry: &&Entry| entry.rounds.iter().any(|round| round.pss_bytes.is_none());
    let ids: BTreeSet<&str> = measured
        .entries
        .iter()
        .flatten()
        .filter(is_secret)
        .map(|entry| entry.contender.id.as_str())
        .collect();
    let listed = ids.into_iter().collect::<Vec<_>>().join(", ");
    (!listed.is_empty())
        .then(|| format!("this user may not read the memory of {listed}, so there is none in the tables"))
}

fn fewer_connections(plan: &Plan, point: &PlannedPoint, entry: &Entry) -> Option<String> {
    let contender = &entry.contender;
    let place = at(plan, point);
    let place = if place.is_empty() { place } else { format!(" at {place}") };
    (contender.connections < point.connections).then(|| {
        format!(
            "{}{place}: measured with {} connection instead of {}, because it holds one conversation at a time",
            contender.id, contender.connections, point.connections
        )
    })
}

/// Each kind of doubt once: as its worst case puts it, and where it arose.
fn doubts(plan: &Plan, measured: &Measured, load_average: f64) -> Vec<Doubt> {
    let mut lines = Vec::new();
    if load_average >= BUSY_MACHINE {
        lines.push(Doubt::of_all(format!(
            "other programs were at work: {load_average:.1} processes wanted a core before the comparison began"
        )));
    }
    let say = Texts::of(Lang::En).doubt;
    lines.extend(Disturbance::of(measured).map(|doubt| Doubt::of_all(say(&doubt))));
    if plan.rounds == 1 {
        lines.push(Doubt::of_all(
            "one round shows no spread, so no difference is ranked: measure several --rounds",
        ));
    }
    if plan.duration < SHORT {
        lines.push(Doubt::of_all(format!(
            "each round measured only {} ms: what happens once in a while may be missing (--duration)",
            plan.duration.as_millis()
        )));
    }
    let mut kinds: Vec<(&LoadDoubt, BTreeMap<String, Vec<String>>)> = Vec::new();
    for (point, entries) in plan.points.iter().zip(&measured.entries) {
        for entry in entries {
            for (doubt, count) in &entry.doubts {
                // Said once for all above, of all rounds together below, and by the first and the
                // last line of the output.
                if matches!(doubt, LoadDoubt::Short(_) | LoadDoubt::DebugBuild | LoadDoubt::FewSamples(_)) {
                    continue;
                }
                let rounds = entry.rounds.len();
                let some = if *count == rounds {
                    String::new()
                } else {
                    format!(" (in {count} of {rounds} rounds)")
                };
                let who = format!("{}{some}", entry.contender.id);
                let index =
                    kinds.iter().position(|(known, _)| mem::discriminant(*known) == mem::discriminant(doubt));
                let index = index.unwrap_or_else(|| {
                    kinds.push((doubt, BTreeMap::new()));
                    kinds.len() - 1
                });
                kinds[index].1.entry(at(plan, point)).or_default().push(who);
            }
        }
    }
    lines.extend(kinds.into_iter().map(|(doubt, places)| line(doubt, &places)));
    lines.extend(unserved(plan, measured));
    lines.extend(vague(plan, measured));
    lines
}

/// What held the servers up from outside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Disturbance {
    /// Other programs used more than so many cores in `count` of all rounds, and `most` at most.
    Others {
        /// From how many cores on a round is counted.
        from: f64,
        /// Rounds.
        count: usize,
        /// All rounds.
        rounds: usize,
        /// Cores.
        most: f64,
    },
    /// The CPU quota of the control group, in so many of its periods.
    Quota {
        /// Periods in which it did.
        throttled: u64,
        /// All periods.
        periods: u64,
    },
}

impl Disturbance {
    /// All that there were.
    pub(crate) fn of(measured: &Measured) -> impl Iterator<Item = Self> {
        let rounds = || measured.entries.iter().flatten().flat_map(|entry| &entry.rounds);
        let most = rounds().map(|round| round.others_cores).fold(0.0, f64::max);
        let count = rounds().filter(|round| round.others_cores > DISTURBING_CORES).count();
        let others = Self::Others { from: DISTURBING_CORES, count, rounds: rounds().count(), most };
        let Throttled { periods, throttled } = measured.throttled;
        let quota = Self::Quota { throttled, periods };
        [(count > 0).then_some(others), (throttled > 0).then_some(quota)].into_iter().flatten()
    }
}

/// Who had fewer processes or threads in one round than in another: clients were connected, and not
/// served yet when it ended.
fn unserved(plan: &Plan, measured: &Measured) -> Option<Doubt> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (point, entries) in plan.points.iter().zip(&measured.entries) {
        for entry in entries {
            let threads = || entry.rounds.iter().map(|round| round.threads);
            if threads().min() != threads().max() {
                places.entry(at(plan, point)).or_default().push(entry.contender.id.clone());
            }
        }
    }
    (!places.is_empty()).then(|| Doubt {
        why: "the number of threads or processes was not the same in all rounds, so in some of them not all clients were served yet \
              (--warm-up)"
            .to_owned(),
        of: listed(&places),
    })
}

/// Whose p99.9 rests on too few response times.
fn vague(plan: &Plan, measured: &Measured) -> Option<Doubt> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (point, entries) in plan.points.iter().zip(&measured.entries) {
        let is_vague = |entry: &&Entry| (1..LEAST_FOR_P99_9).contains(&entry.samples());
        for entry in entries.iter().filter(is_vague) {
            places.entry(at(plan, point)).or_default().push(entry.contender.id.clone());
        }
    }
    (!places.is_empty()).then(|| Doubt {
        why: "fewer than 10 response times lie beyond p99.9 (measure longer, --duration)".to_owned(),
        of: listed(&places),
    })
}

/// Who, place by place.
fn listed(places: &BTreeMap<String, Vec<String>>) -> String {
    let place = |(place, who): (&String, &Vec<String>)| match place.as_str() {
        "" => who.join(", "),
        place => format!("{place} - {}", who.join(", ")),
    };
    places.iter().map(place).collect::<Vec<_>>().join("; ")
}

fn line(doubt: &LoadDoubt, places: &BTreeMap<String, Vec<String>>) -> Doubt {
    let why = match doubt {
        LoadDoubt::GeneratorBusy(_) => {
            "the generator used more than 90 % of its threads' time, so it may be the limit and not the server (--threads)"
                .to_owned()
        }
        LoadDoubt::RateMissed(..) => {
            "the offered rate was not reached: the server, the connections or the generator could not keep up".to_owned()
        }
        doubt => doubt.to_string(),
    };
    Doubt { why, of: listed(places) }
}

/// Each failure once: a server that never started failed everywhere.
fn failures(plan: &Plan, measured: &Measured) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut known = Vec::new();
    for (point, entries) in plan.points.iter().zip(&measured.entries) {
        for entry in entries {
            let Some(failure) = &entry.failure else { continue };
            let key = (entry.contender.id.clone(), failure.clone());
            if known.contains(&key) {
                continue;
            }
            known.push(key);
            let place = at(plan, point);
            let place = if place.is_empty() { place } else { format!("{place}: ") };
            lines.push(format!("{}: {place}round {}: {}", entry.contender.id, failure.round, failure.why));
        }
    }
    lines
}
