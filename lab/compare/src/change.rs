//! What has changed between two runs, as values.

use serde::{Deserialize, Serialize};

/// Two runs side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The file of the earlier run.
    pub file: String,
    /// When the earlier run began, RFC 3339.
    pub started: String,
    /// The lab that made it.
    pub lab_version: String,
    /// What both have measured.
    pub changes: Vec<Change>,
    /// Why they cannot be compared as they are, if so.
    pub doubts: Vec<String>,
}

/// One quantity of one server at one point, then and now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Scenario and load, in words.
    pub point: String,
    /// The server.
    pub server: String,
    /// The quantity, in words.
    pub quantity: String,
    /// The earlier value, as people read it.
    pub before: String,
    /// The value of this run, as people read it.
    pub now: String,
    /// The change, as a fraction of the earlier value.
    pub change: f64,
    /// What to think of it.
    pub judgement: Judgement,
}

/// What to think of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// Better beyond doubt.
    Better,
    /// Worse beyond doubt.
    Worse,
    /// The rounds cannot tell whether anything has changed.
    WithinTheSpread,
    /// One of both was measured in one round only: nobody knows the spread.
    NoSpread,
}

impl Comparison {
    /// How many figures are worse.
    pub fn worse(&self) -> usize {
        self.changes.iter().filter(|change| change.judgement == Judgement::Worse).count()
    }
}

impl Judgement {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::WithinTheSpread => "cannot be told",
            Self::NoSpread => "one round only",
        }
    }
}
