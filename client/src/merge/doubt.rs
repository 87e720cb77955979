//! When not to believe a merged result.

use std::fmt;

use super::merged::{Merged, Named};

/// The share of the time that all logs should cover, from 0 to 1.
const TOGETHER: f64 = 0.9;

/// By how much the loads may begin apart, in seconds.
const APART: f64 = 0.1;

/// From which difference between the fastest and the slowest client on they are not even.
const UNEVEN: f64 = 0.1;

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
