//! The change against an earlier run: only where the rounds of both tell it from chance.

use std::path::Path;

use anyhow::Result;

use crate::change::{Change, Comparison, Judgement};
use crate::difference::{self, Difference};
use crate::document::{Document, Point};
use crate::metric::Metric;
use crate::value::Value;

/// Reads the earlier run, before anything is measured.
///
/// # Errors
/// If it is no such file.
pub fn read(path: &Path) -> Result<Document> {
    Document::read(path)
}

/// Compares `now` with `before`, which was read from `file`.
pub fn compare(file: &Path, before: &Document, now: &Document) -> Comparison {
    let mut changes = Vec::new();
    for point in &now.points {
        let same = |earlier: &&Point| is_same_load(earlier, point);
        if let Some(earlier) = before.points.iter().find(same) {
            changes.extend(changes_at(earlier, point));
        }
    }
    let mut doubts = Vec::new();
    if changes.is_empty() {
        doubts.push("the earlier run has measured nothing of this one under the same load".to_owned());
    }
    let offers = |document: &Document| document.points.iter().any(|point| point.load.is_some());
    if offers(before) && offers(now) && !changes.iter().any(|change| change.point.starts_with("paced")) {
        doubts.push(
            "the open loop offered another rate in the earlier run, so paced is not compared".to_owned(),
        );
    }
    if (&before.machine.processor, before.machine.cores) != (&now.machine.processor, now.machine.cores) {
        doubts.push("the earlier run was made on another machine".to_owned());
    }
    if before.machine.kernel != now.machine.kernel {
        doubts.push("the earlier run was made on another kernel".to_owned());
    }
    if before.settings.server_cores.is_some() != now.settings.server_cores.is_some() {
        doubts.push("only one of the two runs was pinned to cores".to_owned());
    }
    if before.debug_build != now.debug_build {
        doubts.push("one of the two runs is of a debug build".to_owned());
    }
    Comparison {
        file: file.display().to_string(),
        started: before.started.clone(),
        lab_version: before.lab_version.clone(),
        changes,
        doubts,
    }
}

/// Rates that an open loop offered are the same load up to this share.
const SAME_RATE: f64 = 0.05;

/// In an open loop the rate is a share of what the slowest server sustained that day, and another
/// rate is another load.
fn is_same_load(one: &Point, other: &Point) -> bool {
    (one.scenario, one.connections, one.size_bytes, one.pipeline)
        == (other.scenario, other.connections, other.size_bytes, other.pipeline)
        && one.load == other.load
        && match (one.offered_per_s, other.offered_per_s) {
            (Some(one), Some(other)) => (one / other - 1.0).abs() <= SAME_RATE,
            (one, other) => one == other,
        }
}

fn changes_at(earlier: &Point, point: &Point) -> Vec<Change> {
    let mut changes = Vec::new();
    for server in &point.servers {
        let Some(then) = earlier.server(&server.id) else { continue };
        for metric in point.scenario.profile().metrics {
            let (Some(before), Some(now)) = (metric.of(then), metric.of(server)) else { continue };
            changes.push(Change {
                point: format!("{}, {}", point.scenario.name(), point.label()),
                server: server.id.clone(),
                quantity: metric.noun().to_owned(),
                before: metric.show(before.value),
                now: metric.show(now.value),
                change: if before.value == 0.0 { 0.0 } else { now.value / before.value - 1.0 },
                judgement: judge(*metric, &before, &now),
            });
        }
    }
    changes
}

fn judge(metric: Metric, before: &Value, now: &Value) -> Judgement {
    match (difference::compare_runs(now, before), metric.more_is_better()) {
        (Difference::Unknown, _) => Judgement::NoSpread,
        (Difference::Tie | Difference::TooNoisy, _) => Judgement::WithinTheSpread,
        (Difference::More, true) | (Difference::Less, false) => Judgement::Better,
        (Difference::More, false) | (Difference::Less, true) => Judgement::Worse,
    }
}
