//! One row of the table: which call of which server fails, how, and when.

use clap::ValueEnum;
use serde::Serialize;

use crate::report::COMMAND;
use crate::table::{self, Call, Meaning};
use crate::tracer::Injection;

/// In which part of a server's life calls are counted and fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// From its first own call on, to its end.
    Start,
    /// While it serves; then nothing fails any more, and it must recover.
    Serve,
    /// From just before SIGTERM on.
    Stop,
}

/// One experiment.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Which server.
    pub server: String,
    /// Which system call.
    pub call: &'static str,
    /// Which error.
    pub errno: &'static str,
    /// The first call of each thread that fails, counted in the phase.
    pub nth: u32,
    /// Whether all later ones fail, too.
    pub ever: bool,
    /// When.
    pub phase: Phase,
}

impl Row {
    /// The command that repeats it.
    pub fn command(&self) -> String {
        let Self { server, call, errno, nth, .. } = self;
        let span = if self.ever { "--ever" } else { "--once" };
        let phase =
            self.phase.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        format!(
            "{COMMAND} calls --server {server} --call {call} --errno {errno} --nth {nth} {span} --phase {phase}"
        )
    }

    /// What strace is told, where `before` calls of the server's first thread do not count.
    pub fn injection(&self, before: u32) -> Injection {
        Injection { call: self.call, errno: self.errno, nth: self.nth + before, ever: self.ever }
    }

    /// The call.
    ///
    /// # Panics
    /// If it is not in the table, from which every row is made.
    pub fn of(&self) -> &'static Call {
        table::call(self.call).expect("rows are made from the table")
    }

    /// What its error means.
    pub fn meaning(&self) -> Meaning {
        self.of().meaning(self.errno).unwrap_or(Meaning::Lack)
    }
}
