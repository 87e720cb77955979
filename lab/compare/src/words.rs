//! Findings in English. Nothing looks at these words again.

use harness::units;

use crate::claims::{At, Claim, Of};
use crate::interval::Interval;
use crate::metric::Metric;

/// Costs below this for each client are not told apart.
const SMALL: f64 = 0.1;

/// A claim as a sentence without its full stop. It begins with a small letter, see [`sentence`].
pub fn say(claim: &Claim) -> String {
    match claim {
        Claim::Leader { at, quantity, best, tied, unclear, last, rounds } => {
            leader(*at, *quantity, best, tied, unclear, last.as_ref(), *rounds)
        }
        Claim::Range { at, quantity, most, least, ratio } => format!(
            "at {}, {}'s {} is {}{}'s ({} against {})",
            label(*at),
            most.server,
            quantity.noun(),
            ratio.map_or_else(|| "more than ".to_owned(), |ratio| format!("{} times ", interval(ratio))),
            least.server,
            quantity.show(most.value),
            quantity.show(least.value)
        ),
        Claim::OneCore => {
            "the servers had one core: to see which of them use all cores takes two or more".to_owned()
        }
        Claim::Dependability { at, whole, page_value, ratio, certain } => format!(
            "at {}, {} uses {} times the CPU time per request of its plain program ({} against {}){}",
            label(*at),
            whole.server,
            ratio.map_or_else(|| format!("{:.2}", whole.value / page_value), interval),
            Metric::Cpu.show(whole.value),
            Metric::Cpu.show(*page_value),
            if *certain { "" } else { ", which cannot be told from noise" }
        ),
        Claim::Growth { from, to, each } => {
            let each: Vec<String> =
                each.iter().map(|of| format!("{}'s by {}", of.server, units::bytes(of.value))).collect();
            format!(
                "from {} to {} connections, each further one makes the memory grow: {}",
                units::grouped(*from as u64),
                units::grouped(*to as u64),
                each.join(", ")
            )
        }
        Claim::Keeps { best, best_at, share, at } => format!(
            "{} keeps {:.0} % of its best rate at {}; the best was {} at {}",
            best.server,
            share * 100.0,
            label(*at),
            Metric::Rate.show(best.value),
            label(*best_at)
        ),
        Claim::Silent { clients, costs } => silent(*clients, costs),
        Claim::KernelShares { shares } => {
            let shares: Vec<String> =
                shares.iter().map(|of| format!("{} {:.0} %", of.server, of.value * 100.0)).collect();
            format!("of what a silent connection costs, the kernel holds: {}", shares.join(", "))
        }
        Claim::GeneratorLimited { at, servers } => format!(
            "at {}, the generator had no time left, so it and not the server may have been the limit for {}",
            label(*at),
            listed(servers)
        ),
    }
}

/// A claim as a sentence of its own. A server's name stays as it is written.
pub fn sentence(claim: &Claim) -> String {
    let said = say(claim);
    let mut characters = said.chars();
    match (claim, characters.next()) {
        (Claim::Keeps { .. }, _) | (_, None) => format!("{said}."),
        (_, Some(first)) => format!("{}{}.", first.to_uppercase(), characters.as_str()),
    }
}

/// Under which load, in words.
pub fn label(at: At) -> String {
    let plural = if at.connections == 1 { "" } else { "s" };
    let connections = format!("{} connection{plural}", units::grouped(at.connections as u64));
    match at.load {
        Some(load) => format!("{connections}, {:.0} % load", load * 100.0),
        None => connections,
    }
}

/// `1.31 (1.22 to 1.40)`.
pub fn interval(of: Interval) -> String {
    let digits = |value: f64| match value.abs() {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        _ => units::whole(value),
    };
    format!("{} ({} to {})", digits(of.value), digits(of.low), digits(of.high))
}

fn leader(
    at: At,
    quantity: Metric,
    best: &Of,
    tied: &[String],
    unclear: &[String],
    last: Option<&(Of, Option<Interval>)>,
    rounds: usize,
) -> String {
    let superlative = if quantity.more_is_better() { "highest" } else { "lowest" };
    let (place, noun, value) = (label(at), quantity.noun(), quantity.show(best.value));
    if rounds < 2 {
        return format!(
            "at {place}, the {superlative} {noun} was {}'s, {value}, but one round shows no spread, so nothing is ranked",
            best.server
        );
    }
    let all: Vec<String> = [&best.server].into_iter().chain(tied).cloned().collect();
    let mut text = match (tied, last, unclear) {
        ([], None, _) => format!("at {place}, {}'s {noun} is {value}", best.server),
        ([], Some(_), _) => format!("at {place}, {} has the {superlative} {noun}, {value}", best.server),
        (_, Some(_), _) => format!("at {place}, {} tie for the {superlative} {noun}, {value}", listed(&all)),
        (_, None, _) => format!("at {place}, {} tie in their {noun}, {value}", listed(&all)),
    };
    if let Some((last, ratio)) = last {
        text += &match ratio {
            Some(ratio) => {
                format!(
                    "; {}'s is {} times that ({})",
                    last.server,
                    interval(*ratio),
                    quantity.show(last.value)
                )
            }
            None => format!("; {}'s is {}", last.server, quantity.show(last.value)),
        };
    }
    if !unclear.is_empty() {
        text += &format!("; {rounds} noisy rounds cannot tell {} from it", listed(unclear));
    }
    text
}

/// The dearest, and whoever costs a tenth of the one before, so that a few figures show the steps.
fn silent(clients: f64, costs: &[Of]) -> String {
    let mut steps: Vec<&Of> = Vec::new();
    for cost in costs {
        if steps.last().is_none_or(|before| cost.value < before.value * 0.5) {
            steps.push(cost);
        }
    }
    let least = SMALL * clients * 10_240.0;
    let mut said: Vec<String> = Vec::new();
    for cost in steps {
        if cost.value < least {
            said.push(format!("less than {} with {}", units::bytes(least), cost.server));
            break;
        }
        said.push(format!("{} with {}", units::bytes(cost.value), cost.server));
    }
    format!("{} silent clients: {}", units::whole(clients), said.join(", "))
}

/// `a`, `a and b`, `a, b and c`.
fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")),
    }
}
