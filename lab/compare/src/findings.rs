//! What the figures say, as values: each is made from figures that differ by more than chance lets
//! them. [`words`](crate::words) makes English of them, as the last step.

use crate::claims::{Claim, Finding, Of};
use crate::difference::{self, Difference};
use crate::document::{Document, Point, Server};
use crate::metric::Metric;
use crate::plain;
use crate::profile::Scenario;
use crate::value::Value;

/// From this share of its threads' time on, the generator may be what limits the rate.
const GENERATOR_BUSY: f64 = 0.9;

/// A rate that falls below this share of a model's best is told.
const KEPT: f64 = 0.75;

/// For how many silent clients the memory is said.
const SILENT_CLIENTS: f64 = 10_000.0;

/// All findings, scenario by scenario.
pub fn findings(document: &Document) -> Vec<Finding> {
    let mut findings = Vec::new();
    for scenario in document.scenarios() {
        let points = document.points_of(scenario);
        let Some(last) = points.last().copied() else { continue };
        let mut say = |key: bool, claims: Vec<Claim>| {
            findings.extend(claims.into_iter().map(|claim| Finding { scenario, key, claim }));
        };
        let metric = scenario.profile().metrics[0];
        match scenario {
            Scenario::Idle => {
                say(true, silent(last).into_iter().collect());
                say(false, kernel_shares(last).into_iter().collect());
            }
            Scenario::Cpu if document.server_cores() == Some(1) => say(false, vec![Claim::OneCore]),
            _ => {}
        }
        if scenario != Scenario::Idle {
            for point in &points {
                let acts = std::ptr::eq(*point, last) && differ(point, metric);
                say(acts && scenario.is_decisive(), leader(point, metric).into_iter().collect());
            }
        }
        match scenario {
            Scenario::Requests => {
                for metric in [Metric::Memory, Metric::Cpu, Metric::P99] {
                    say(false, range(last, metric).into_iter().collect());
                }
                say(false, growth(&points).into_iter().collect());
                say(false, keeping(&points));
                say(true, points.iter().flat_map(|point| dependability(point)).collect());
            }
            Scenario::Pipeline | Scenario::Bulk | Scenario::Churn => {
                say(false, range(last, Metric::Cpu).into_iter().collect());
            }
            Scenario::Paced => {
                for metric in [Metric::P50, Metric::Cpu] {
                    say(false, range(last, metric).into_iter().collect());
                }
            }
            Scenario::Slow => say(false, range(last, Metric::Memory).into_iter().collect()),
            Scenario::Cpu if document.server_cores() != Some(1) => {
                say(true, leader(last, Metric::Cores).into_iter().collect());
            }
            Scenario::Mixed => say(false, leader(last, Metric::BulkThroughput).into_iter().collect()),
            Scenario::Idle | Scenario::Cpu => {}
        }
        say(false, points.iter().filter_map(|point| generator_limited(point)).collect());
    }
    findings
}

/// Whether it is known who leads in each scenario, and who ties: at its last point, in what it is
/// about.
pub fn is_clear(points: &[Point]) -> bool {
    let is_last = |(index, point): &(usize, &Point)| {
        points[index + 1..].iter().all(|later| later.scenario != point.scenario)
    };
    points.iter().enumerate().filter(is_last).all(|(_, point)| {
        match leader(point, point.scenario.profile().metrics[0]) {
            Some(Claim::Leader { unclear, .. }) => unclear.is_empty(),
            _ => true,
        }
    })
}

fn of((server, value): &(&str, Value)) -> Of {
    Of { server: (*server).to_owned(), value: value.value }
}

/// The servers that hold as many connections as the point has, the best first: those with one
/// connection cannot be ranked beside them. Nor can those that failed after one round, beside
/// others that have several.
fn ranked(point: &Point, metric: Metric) -> Vec<(&str, Value)> {
    let alike = |server: &&Server| server.connections == point.connections;
    let mut ranked: Vec<(&str, Value)> = point
        .servers
        .iter()
        .filter(alike)
        .filter_map(|server| Some((server.id.as_str(), metric.of(server)?)))
        .collect();
    if ranked.iter().any(|(_, value)| value.each.len() > 1) {
        ranked.retain(|(_, value)| value.each.len() > 1);
    }
    ranked.sort_by(|(_, one), (_, other)| one.value.total_cmp(&other.value));
    if metric.more_is_better() {
        ranked.reverse();
    }
    ranked
}

/// Whether the best differs from anybody else.
fn differ(point: &Point, metric: Metric) -> bool {
    let ranked = ranked(point, metric);
    let Some(((_, best), others)) = ranked.split_first() else { return false };
    others
        .iter()
        .any(|(_, value)| matches!(difference::compare(best, value), Difference::More | Difference::Less))
}

/// The best server, and those that cannot be told from it.
fn leader(point: &Point, quantity: Metric) -> Option<Claim> {
    let ranked = ranked(point, quantity);
    let (first, others) = ranked.split_first()?;
    if others.is_empty() {
        return None;
    }
    let (mut tied, mut unclear, mut last) = (Vec::new(), Vec::new(), None);
    for (id, value) in others {
        match difference::compare(value, &first.1) {
            Difference::Tie => tied.push((*id).to_owned()),
            Difference::Unknown | Difference::TooNoisy => unclear.push((*id).to_owned()),
            Difference::More | Difference::Less => {
                last = Some((of(&(*id, value.clone())), difference::ratio(value, &first.1)));
            }
        }
    }
    let rounds = first.1.each.len();
    Some(Claim::Leader { at: point.at(), quantity, best: of(first), tied, unclear, last, rounds })
}

fn range(point: &Point, quantity: Metric) -> Option<Claim> {
    let mut ranked = ranked(point, quantity);
    ranked.sort_by(|(_, one), (_, other)| one.value.total_cmp(&other.value));
    let (least, most) = (ranked.first()?, ranked.last()?);
    (difference::compare(&most.1, &least.1) == Difference::More).then(|| Claim::Range {
        at: point.at(),
        quantity,
        most: of(most),
        least: of(least),
        ratio: difference::ratio(&most.1, &least.1),
    })
}

fn dependability(point: &Point) -> Vec<Claim> {
    let cost = |server: &Server| {
        let page = point.server(&plain::name_of(&server.id))?;
        let (whole, bare) = (Metric::Cpu.of(server)?, Metric::Cpu.of(page)?);
        Some(Claim::Dependability {
            at: point.at(),
            ratio: difference::ratio(&whole, &bare),
            certain: matches!(difference::compare(&whole, &bare), Difference::More | Difference::Less),
            page_value: bare.value,
            whole: of(&(server.id.as_str(), whole)),
        })
    };
    point.servers.iter().filter_map(cost).collect()
}

/// How much memory each further connection costs, between the ends of the sweep.
fn growth(points: &[&Point]) -> Option<Claim> {
    let (first, last) = (points.first()?, points.last()?);
    let more = last.connections.checked_sub(first.connections).filter(|more| *more > 0)? as f64;
    let slope = |server: &Server| {
        let (before, after) = (Metric::Memory.of(first.server(&server.id)?)?, Metric::Memory.of(server)?);
        (difference::compare(&after, &before) == Difference::More)
            .then(|| Of { server: server.id.clone(), value: (after.value - before.value) / more })
    };
    let mut each: Vec<Of> = last.servers.iter().filter_map(slope).collect();
    each.sort_by(|one, other| one.value.total_cmp(&other.value));
    (!each.is_empty()).then_some(Claim::Growth { from: first.connections, to: last.connections, each })
}

/// The servers that do not keep their rate with many connections.
fn keeping(points: &[&Point]) -> Vec<Claim> {
    let Some(last) = points.last() else { return Vec::new() };
    let keeps = |server: &Server| {
        let of_point = |point: &Point| Metric::Rate.of(point.server(&server.id)?);
        let values = points.iter().filter_map(|point| Some((*point, of_point(point)?)));
        let (best_point, best) = values.max_by(|(_, one), (_, other)| one.value.total_cmp(&other.value))?;
        let now = Metric::Rate.of(server)?;
        let falls = difference::compare(&now, &best) == Difference::Less && now.value < best.value * KEPT;
        falls.then(|| Claim::Keeps {
            share: now.value / best.value,
            best: of(&(server.id.as_str(), best)),
            best_at: best_point.at(),
            at: last.at(),
        })
    };
    last.servers.iter().filter_map(keeps).collect()
}

/// What many silent clients would cost.
fn silent(point: &Point) -> Option<Claim> {
    let mut costs: Vec<Of> = ranked(point, Metric::IdleWhole)
        .iter()
        .map(|(id, value)| Of { server: (*id).to_owned(), value: value.value.max(0.0) * SILENT_CLIENTS })
        .collect();
    costs.reverse();
    (costs.len() > 1).then_some(Claim::Silent { clients: SILENT_CLIENTS, costs })
}

fn kernel_shares(point: &Point) -> Option<Claim> {
    let share = |server: &Server| {
        let (own, kernel) = (Metric::IdlePss.of(server)?.value, Metric::IdleKernel.of(server)?.value);
        (own > 0.0 && kernel > 0.0).then(|| Of { server: server.id.clone(), value: kernel / (own + kernel) })
    };
    let shares: Vec<Of> = point.servers.iter().filter_map(share).collect();
    (!shares.is_empty()).then_some(Claim::KernelShares { shares })
}

fn generator_limited(point: &Point) -> Option<Claim> {
    let busy = |server: &&Server| {
        server.figures.as_ref().is_some_and(|figures| figures.generator_share > GENERATOR_BUSY)
    };
    let servers: Vec<String> = point.servers.iter().filter(busy).map(|server| server.id.clone()).collect();
    (!servers.is_empty()).then_some(Claim::GeneratorLimited { at: point.at(), servers })
}

#[cfg(test)]
mod tests;
