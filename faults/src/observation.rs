//! What was seen of a server in one experiment.

use std::time::Duration;

use crate::client::Said;
use crate::server::End;

/// What was seen. Nothing in it is judged.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// How many calls failed.
    pub injected: u64,
    /// Whether it said that it listens.
    pub listened: bool,
    /// How it ended before it was told to stop.
    pub ended_early: Option<End>,
    /// Lines of its log that begin with `error: `.
    pub error_lines: usize,
    /// Whether it said that it tries again after a while.
    pub paused: bool,
    /// What became of the conversations while calls failed.
    pub conversations: Vec<Said>,
    /// What became of those that came, or went on, when nothing failed any more; none where
    /// something failed to the end.
    pub afterwards: Vec<Said>,
    /// CPU time of all its processes in a quiet second.
    pub quiet_cpu: Duration,
    /// Calls that failed in that second.
    pub quiet_injected: u64,
    /// How it ended after SIGTERM; `None` if it had to be killed.
    pub stopped: Option<End>,
    /// Whether it was told to stop at all.
    pub told_to_stop: bool,
    /// How long it took to stop.
    pub stop_time: Duration,
    /// Processes that it left behind.
    pub left_behind: usize,
    /// Lines in its log, and how many there may be.
    pub log_lines: usize,
    /// See [`log_lines`](Self::log_lines).
    pub most_log_lines: usize,
    /// The end of its log, for people.
    pub last_words: String,
}
