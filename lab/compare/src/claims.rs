//! What figures can say, as values.

use serde::{Deserialize, Serialize};

use crate::interval::Interval;
use crate::metric::Metric;
use crate::profile::Scenario;

/// Something that the figures say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about.
    pub scenario: Scenario,
    /// Whether a person would act on it: it stands under the matrix, and at the top of a report.
    pub key: bool,
    /// What is said.
    #[serde(flatten)]
    pub claim: Claim,
}

/// Under which load.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct At {
    /// Connections, all open at once.
    pub connections: usize,
    /// The share of the rate that the slowest server sustains, in an open loop.
    pub load: Option<f64>,
}

/// A server's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Of {
    /// The server.
    pub server: String,
    /// Its value, in the unit of the quantity.
    pub value: f64,
}

/// What can be said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Claim {
    /// Who is best.
    Leader {
        /// Where.
        at: At,
        /// In what.
        quantity: Metric,
        /// The best, and its value.
        best: Of,
        /// Whom nobody can tell from the best.
        tied: Vec<String>,
        /// Who may be as good: too few rounds, or too noisy ones, to tell.
        unclear: Vec<String>,
        /// The one that is farthest from the best, if any is beyond doubt, and how many times the
        /// best's its value is.
        last: Option<(Of, Option<Interval>)>,
        /// How many rounds there were.
        rounds: usize,
    },
    /// How many times as much the one with the most has as the one with the least.
    Range {
        /// Where.
        at: At,
        /// Of what.
        quantity: Metric,
        /// The most.
        most: Of,
        /// The least.
        least: Of,
        /// The ratio; `None` beside nothing, or less.
        ratio: Option<Interval>,
    },
    /// The servers had one core, so nobody can show that it uses more.
    OneCore,
    /// What limits, timeouts, a stop and counting cost a model: its server beside its page.
    Dependability {
        /// Where.
        at: At,
        /// The model, and its CPU time per request.
        whole: Of,
        /// That of its page.
        page_value: f64,
        /// How many times the page's it is.
        ratio: Option<Interval>,
        /// Whether that is beyond doubt.
        certain: bool,
    },
    /// How many bytes of memory each further connection costs.
    Growth {
        /// From so many connections.
        from: usize,
        /// To so many.
        to: usize,
        /// Each server's, the cheapest first.
        each: Vec<Of>,
    },
    /// A server that does not keep its best rate.
    Keeps {
        /// The server, and its best rate.
        best: Of,
        /// Where that was.
        best_at: At,
        /// What it has at most connections, as a share of its best rate.
        share: f64,
        /// Where that is.
        at: At,
    },
    /// What many silent clients would cost.
    Silent {
        /// How many.
        clients: f64,
        /// Bytes of memory of the server and the kernel, the dearest first.
        costs: Vec<Of>,
    },
    /// The kernel's part of what a silent connection costs, as shares.
    KernelShares {
        /// Each server's.
        shares: Vec<Of>,
    },
    /// For whom the generator, and not the server, may have been the limit.
    GeneratorLimited {
        /// Where.
        at: At,
        /// For whom.
        servers: Vec<String>,
    },
}
