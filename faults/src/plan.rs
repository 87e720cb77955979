//! Which experiments there are.

use tests::Random;

use crate::profile::Profile;
use crate::row::{Phase, Row};
use crate::subject::Subject;
use crate::table::{CALLS, Meaning};

/// What is asked for; an empty list is everything.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// System calls.
    pub calls: Vec<String>,
    /// Errors.
    pub errnos: Vec<String>,
    /// The first calls that fail.
    pub nths: Vec<u32>,
    /// Phases.
    pub phases: Vec<Phase>,
    /// Failing once, failing for ever.
    pub spans: Vec<bool>,
    /// Whether also those are wanted that a profile says are never reached.
    pub unreached: bool,
}

/// Every experiment with this server that its profiles say can be reached.
pub fn rows(subject: &Subject, wanted: &Wanted, profile: impl Fn(&str) -> Profile) -> Vec<Row> {
    let names = |list: &[String], name: &str| list.is_empty() || list.iter().any(|wanted| wanted == name);
    let mut rows = Vec::new();
    for call in CALLS.iter().filter(|call| names(&wanted.calls, call.name)) {
        let profile = profile(call.name);
        for (errno, meaning) in call.errors().filter(|(errno, _)| names(&wanted.errnos, errno)) {
            for &phase in &wanted.phases {
                let reached = |nth: u32| nth <= profile.most(phase, call.name) || wanted.unreached;
                for &nth in wanted.nths.iter().filter(|&&nth| reached(nth)) {
                    // Nothing interrupts for ever, and no pipe or eventfd is wrong for ever.
                    let is_momentary = meaning == Meaning::Again || call.name == "read";
                    for &ever in wanted.spans.iter().filter(|&&ever| !(ever && is_momentary)) {
                        rows.push(Row {
                            server: subject.name.clone(),
                            call: call.name,
                            errno,
                            nth,
                            ever,
                            phase,
                        });
                    }
                }
            }
        }
    }
    rows
}

/// The same rows in an order that depends on `seed` alone.
pub fn shuffle<T>(rows: &mut [T], seed: u64) {
    let mut random = Random::new(seed);
    for last in (1..rows.len()).rev() {
        rows.swap(last, random.up_to(last + 1) - 1);
    }
}
