//! The kinds of sentence.

use harness::units;

use crate::document::{Point, Server};
use crate::metric::{Metric, Value};
use crate::plain;
use crate::verdict::{self, Verdict};

/// From this share of its threads' time on, the generator may be what limits the rate.
const GENERATOR_BUSY: f64 = 0.9;

/// A rate that falls below this share of a model's best is told.
const KEPT: f64 = 0.75;

/// A model and its value.
type Ranked<'a> = (&'a str, Value);

/// All that have a value, the best first.
fn ranked(point: &Point, metric: Metric) -> Vec<Ranked<'_>> {
    let mut ranked: Vec<Ranked<'_>> =
        point.servers.iter().filter_map(|server| Some((server.id.as_str(), metric.of(server)?))).collect();
    ranked.sort_by(|(_, one), (_, other)| one.value.total_cmp(&other.value));
    if metric.more_is_better() {
        ranked.reverse();
    }
    ranked
}

/// The servers that hold as many connections as the point has: those with one connection cannot be ranked beside them. Nor can those
/// that failed after one round, beside others that have several.
fn alike(point: &Point, mut ranked: Vec<Ranked<'_>>) -> Vec<(String, Value)> {
    ranked.retain(|(id, _)| point.server(id).is_some_and(|server| server.connections == point.connections));
    if ranked.iter().any(|(_, value)| value.rounds > 1) {
        ranked.retain(|(_, value)| value.rounds > 1);
    }
    ranked.into_iter().map(|(id, value)| (id.to_owned(), value)).collect()
}

/// Whether the best differs from anybody else.
pub(super) fn differ(point: &Point, metric: Metric) -> bool {
    let ranked = alike(point, ranked(point, metric));
    let Some(((_, best), others)) = ranked.split_first() else { return false };
    others.iter().any(|(_, value)| matches!(verdict::compare(best, value), Verdict::More | Verdict::Less))
}

/// Who is best, and with whom that is a tie.
pub(super) fn leaders(point: &Point, metric: Metric) -> Option<String> {
    let ranked = alike(point, ranked(point, metric));
    let (first, best) = ranked.first()?;
    let others = &ranked[1..];
    if others.is_empty() {
        return None;
    }
    let superlative = if metric.more_is_better() { "highest" } else { "lowest" };
    if others.iter().any(|(_, value)| verdict::compare(best, value) == Verdict::Unknown) {
        return Some(format!(
            "at {}, the {superlative} {} was {first}'s, {}, but one round shows no spread, so nothing is ranked",
            point.label(),
            metric.noun(),
            metric.show(best.value)
        ));
    }
    let is_tie = |(_, value): &&(String, Value)| verdict::compare(best, value) == Verdict::Tie;
    let ties: Vec<&str> = others.iter().filter(is_tie).map(|(id, _)| id.as_str()).collect();
    let beaten: Vec<_> = others.iter().filter(|other| !is_tie(other)).collect();
    let tied: Vec<&str> = [first.as_str()].into_iter().chain(ties.iter().copied()).collect();
    let mut text = match ties.as_slice() {
        _ if beaten.is_empty() => format!(
            "at {}, {} tie in their {}: all lie within the spread of the rounds around {first}'s {}",
            point.label(),
            listed(&tied),
            metric.noun(),
            metric.show(best.value)
        ),
        [] => format!(
            "at {}, {first} has the {superlative} {}, {}",
            point.label(),
            metric.noun(),
            metric.show(best.value)
        ),
        _ => format!(
            "at {}, {} tie for the {superlative} {} within the spread of the rounds: {}",
            point.label(),
            listed(&tied),
            metric.noun(),
            metric.show(best.value)
        ),
    };
    if let Some((last, worst)) = beaten.last() {
        let (ratio, shown) = (times(worst.value, best.value), metric.show(worst.value));
        // Beside nothing, or less, there is no ratio.
        text += &if best.value >= 1.0 {
            format!("; {last}'s is {ratio} ({shown})")
        } else {
            format!("; {last}'s is {shown}")
        };
    }
    Some(text)
}

/// How many times as much the one with the most has as the one with the least.
pub(super) fn extremes(point: &Point, metric: Metric) -> Option<String> {
    let mut ranked = alike(point, ranked(point, metric));
    ranked.sort_by(|(_, one), (_, other)| one.value.total_cmp(&other.value));
    let ((low, least), (high, most)) = (ranked.first()?, ranked.last()?);
    match verdict::compare(most, least) {
        Verdict::More if least.value > 0.0 => Some(format!(
            "at {}, {high}'s {} is {} times {low}'s ({} against {})",
            point.label(),
            metric.noun(),
            ratio(most.value / least.value),
            metric.show(most.value),
            metric.show(least.value)
        )),
        Verdict::Tie => Some(format!(
            "at {}, the {} of all lies within the spread of the rounds: from {} to {}",
            point.label(),
            metric.noun(),
            metric.show(least.value),
            metric.show(most.value)
        )),
        _ => None,
    }
}

/// What limits, timeouts, a stop and counting cost each model: its server beside its page, where that was measured too.
pub(super) fn dependability(point: &Point) -> Vec<String> {
    let cost = |server: &Server| {
        let page = point.server(&plain::name_of(&server.id))?;
        let (whole, bare) = (Metric::Cpu.of(server)?, Metric::Cpu.of(page)?);
        let doubt = match verdict::compare(&whole, &bare) {
            Verdict::Tie => ", which cannot be told from noise",
            Verdict::Unknown => ", in one round, which shows no spread",
            Verdict::More | Verdict::Less => "",
        };
        Some(format!(
            "at {}, dependability costs {} {:.2} times the CPU time per request of its page ({} against {}){doubt}",
            point.label(),
            server.id,
            whole.value / bare.value,
            Metric::Cpu.show(whole.value),
            Metric::Cpu.show(bare.value),
        ))
    };
    point.servers.iter().filter_map(cost).collect()
}

/// How much memory each further connection costs, between the ends of the sweep.
pub(super) fn growth(points: &[&Point]) -> Option<String> {
    let (first, last) = (points.first()?, points.last()?);
    let more = last.connections.checked_sub(first.connections).filter(|more| *more > 0)? as f64;
    let mut slopes: Vec<(&str, f64)> = last
        .servers
        .iter()
        .filter_map(|server| {
            let (before, after) = (Metric::Memory.of(first.server(&server.id)?)?, Metric::Memory.of(server)?);
            (verdict::compare(&after, &before) == Verdict::More)
                .then_some((server.id.as_str(), (after.value - before.value) / more))
        })
        .collect();
    slopes.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    if slopes.is_empty() {
        return None;
    }
    let each: Vec<String> =
        slopes.iter().map(|(id, slope)| format!("{id}'s by {}", units::bytes(*slope))).collect();
    Some(format!(
        "from {} to {}, each further one makes the memory grow: {}",
        units::grouped(first.connections as u64),
        last.label(),
        each.join(", ")
    ))
}

/// Who keeps its rate with many connections, and who does not.
pub(super) fn keeping(points: &[&Point]) -> Vec<String> {
    let Some(last) = points.last() else { return Vec::new() };
    let mut sentences = Vec::new();
    for server in &last.servers {
        let of = |point: &Point| Metric::Rate.of(point.server(&server.id)?);
        let values: Vec<(&Point, Value)> =
            points.iter().filter_map(|point| Some((*point, of(point)?))).collect();
        let best = values.iter().max_by(|(_, one), (_, other)| one.value.total_cmp(&other.value));
        let (Some((at, best)), Some(now)) = (best, Metric::Rate.of(server)) else { continue };
        if verdict::compare(&now, best) == Verdict::Less && now.value < best.value * KEPT {
            sentences.push(format!(
                "{} keeps {:.0} % of its best rate at {}; the best was {} at {}",
                server.id,
                now.value / best.value * 100.0,
                last.label(),
                Metric::Rate.show(best.value),
                at.label()
            ));
        }
    }
    sentences
}

/// What a silent connection costs, model by model beside the cheapest.
pub(super) fn idle_ratios(point: &Point) -> Vec<String> {
    let mut sentences = Vec::new();
    let ranked = ranked(point, Metric::IdlePss);
    if let (Some((low, least)), Some((high, most))) = (ranked.first(), ranked.last())
        && verdict::compare(most, least) == Verdict::More
    {
        let ratio = if least.value >= 1.0 {
            format!("{high} {} times the memory of {low}", ratio(most.value / least.value))
        } else {
            format!("{high} memory, and {low} none that could be measured")
        };
        sentences.push(format!(
            "a silent connection costs {ratio}: {} against {} of the server's own memory",
            Metric::IdlePss.show(most.value),
            Metric::IdlePss.show(least.value)
        ));
    }
    if let Some(sentence) = fork_beside_thread(point) {
        sentences.push(sentence);
    }
    sentences.extend(kernel_shares(point));
    sentences
}

/// The course's own question: a process or a thread for each client?
fn fork_beside_thread(point: &Point) -> Option<String> {
    let whole = |id| {
        let server = point.server(id)?;
        let (own, kernel) = (Metric::IdlePss.of(server)?, Metric::IdleKernel.of(server)?);
        Some(Value {
            value: own.value + kernel.value,
            low: own.low + kernel.low,
            high: own.high + kernel.high,
            rounds: own.rounds,
        })
    };
    let (fork, thread) = (whole("fork")?, whole("thread")?);
    (verdict::compare(&fork, &thread) == Verdict::More && thread.value > 0.0).then(|| {
        format!(
            "fork costs {:.1} x the memory of thread per connection on this machine, the kernel's share included: {} against {}",
            fork.value / thread.value,
            units::bytes(fork.value),
            units::bytes(thread.value)
        )
    })
}

fn kernel_shares(point: &Point) -> Option<String> {
    let share = |server: &Server| {
        let (own, kernel) = (Metric::IdlePss.of(server)?.value, Metric::IdleKernel.of(server)?.value);
        (own > 0.0 && kernel > 0.0).then(|| format!("{} {:.0} %", server.id, kernel / (own + kernel) * 100.0))
    };
    let shares: Vec<String> = point.servers.iter().filter_map(share).collect();
    (!shares.is_empty())
        .then(|| format!("of what a silent connection costs, the kernel holds: {}", shares.join(", ")))
}

/// For whom the generator, and not the server, was the limit.
pub(super) fn limits(point: &Point) -> Option<String> {
    let busy = |server: &&Server| {
        server.figures.as_ref().is_some_and(|figures| figures.generator_share > GENERATOR_BUSY)
    };
    let who: Vec<&str> = point.servers.iter().filter(busy).map(|server| server.id.as_str()).collect();
    (!who.is_empty()).then(|| {
        format!(
            "at {}, the generator had no time left, so it and not the server may have been the limit for {}",
            point.label(),
            listed(&who)
        )
    })
}

/// `a`, `a and b`, `a, b and c`.
fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")),
    }
}

/// Two or three digits.
fn ratio(ratio: f64) -> String {
    if ratio < 100.0 { format!("{ratio:.1}") } else { units::whole(ratio) }
}

fn times(value: f64, reference: f64) -> String {
    match value / reference {
        ratio if ratio > 0.0 && ratio < 0.1 => format!("1/{} of that", units::whole(1.0 / ratio)),
        ratio if ratio < 10.0 => format!("{ratio:.2} times that"),
        ratio => format!("{} times that", units::whole(ratio)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{IdleRecord, RoundRecord};
    use crate::scenario::Scenario;
    use crate::summary::Figures;

    fn point(scenario: Scenario, connections: usize, servers: Vec<Server>) -> Point {
        Point {
            scenario,
            connections,
            size_bytes: 64,
            pipeline: 1,
            load: None,
            offered_per_s: None,
            slowest: None,
            servers,
        }
    }

    fn server(id: &str, connections: usize, figures: Figures, rounds: Vec<RoundRecord>) -> Server {
        Server {
            id: id.to_owned(),
            workers: None,
            command: String::new(),
            is_foreign: false,
            echo: false,
            connections,
            figures: Some(figures),
            rounds,
            failure: None,
        }
    }

    /// A server whose rates were these, of which the second is the median.
    fn rated(id: &str, connections: usize, rates: [f64; 3]) -> Server {
        let figures = Figures { requests_per_s: rates[1], ..Figures::default() };
        let round = |rate| RoundRecord { requests_per_s: rate, elapsed_s: 1.0, ..RoundRecord::default() };
        server(id, connections, figures, rates.map(round).to_vec())
    }

    fn silent(id: &str, pss_bytes: f64, kernel: f64) -> Server {
        let idle = IdleRecord { pss_bytes, kernel_own_bytes: kernel, kernel_slab_bytes: 0.0 };
        let figures = Figures { idle: Some(idle), ..Figures::default() };
        let round = || RoundRecord { idle: Some(idle), ..RoundRecord::default() };
        server(id, 100, figures, vec![round(), round()])
    }

    #[test]
    fn what_dependability_costs_is_a_ratio_that_may_be_noise() {
        let cpu = |id: &str, times: [f64; 3]| {
            let mut server = rated(id, 10, [100.0; 3]);
            if let Some(figures) = &mut server.figures {
                figures.server_cpu_ns_per_request = times[1];
            }
            for (round, time) in server.rounds.iter_mut().zip(times) {
                round.server_cpu_ns_per_request = time;
            }
            server
        };
        let servers = [
            cpu("mio", [4900.0, 5000.0, 5100.0]),
            cpu("fork", [9900.0, 10_000.0, 10_100.0]),
            cpu("plain-mio", [4850.0, 4950.0, 5050.0]),
            cpu("plain-fork", [7900.0, 8000.0, 8100.0]),
        ];
        let said = dependability(&point(Scenario::Requests, 10, servers.to_vec()));
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("costs mio 1.01 times") && said[0].contains("noise"), "{said:?}");
        assert!(said[1].contains("costs fork 1.25 times") && !said[1].contains("noise"), "{said:?}");
    }

    #[test]
    fn a_clear_lead_is_ranked_and_an_overlap_is_a_tie() {
        let clear = [rated("mio", 10, [90.0, 100.0, 110.0]), rated("fork", 10, [40.0, 50.0, 60.0])];
        let said = leaders(&point(Scenario::Requests, 10, clear.to_vec()), Metric::Rate).unwrap();
        assert_eq!(
            said,
            "at 10 connections, mio has the highest rate, 100/s; fork's is 0.50 times that (50.0/s)"
        );
        let close = [rated("mio", 10, [90.0, 100.0, 110.0]), rated("thread", 10, [85.0, 95.0, 105.0])];
        let said = leaders(&point(Scenario::Requests, 10, close.to_vec()), Metric::Rate).unwrap();
        assert!(said.contains("mio and thread tie in their rate"), "{said}");
        assert!(!said.contains("highest"), "{said}");
    }

    #[test]
    fn one_round_is_not_ranked_and_one_connection_not_beside_many() {
        let mut once = [rated("mio", 10, [100.0; 3]), rated("fork", 10, [50.0; 3])];
        once.iter_mut().for_each(|server| server.rounds.truncate(1));
        let said = leaders(&point(Scenario::Requests, 10, once.to_vec()), Metric::Rate).unwrap();
        assert!(said.contains("nothing is ranked"), "{said}");
        let unequal =
            [rated("iterative", 1, [900.0; 3]), rated("fork", 10, [50.0; 3]), rated("mio", 10, [100.0; 3])];
        let said = leaders(&point(Scenario::Requests, 10, unequal.to_vec()), Metric::Rate).unwrap();
        assert!(said.contains("mio has the highest") && !said.contains("iterative"), "{said}");
    }

    #[test]
    fn what_a_silent_connection_costs_is_told_with_the_kernels_share_and_never_beside_nothing() {
        let servers = [silent("fork", 30_000.0, 70_000.0), silent("thread", 10_000.0, 10_000.0)];
        let said = idle_ratios(&point(Scenario::Idle, 100, servers.to_vec())).join("\n");
        assert!(said.contains("fork costs 5.0 x the memory of thread per connection"), "{said}");
        assert!(said.contains("fork 70 %, thread 50 %"), "{said}");
        let servers = [silent("fork", 30_000.0, 70_000.0), silent("mio", -3.0, 2000.0)];
        let said = idle_ratios(&point(Scenario::Idle, 100, servers.to_vec())).join("\n");
        assert!(said.contains("mio none that could be measured") && !said.contains("times"), "{said}");
    }

    #[test]
    fn who_loses_its_rate_with_many_connections_is_told() {
        let few = point(
            Scenario::Requests,
            10,
            vec![rated("mio", 10, [99.0, 100.0, 101.0]), rated("fork", 10, [99.0, 100.0, 101.0])],
        );
        let many = point(
            Scenario::Requests,
            1000,
            vec![rated("mio", 1000, [95.0, 98.0, 101.0]), rated("fork", 1000, [39.0, 40.0, 41.0])],
        );
        let said = keeping(&[&few, &many]);
        assert_eq!(
            said,
            ["fork keeps 40 % of its best rate at 1,000 connections; the best was 100/s at 10 connections"]
        );
    }
}
