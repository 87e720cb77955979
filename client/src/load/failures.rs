//! What went wrong for one worker: how often, and what first.

use super::results::{ErrorKind, Errors};

/// Errors by kind, and the first of them.
#[derive(Debug, Default)]
pub(super) struct Failures {
    counts: Errors,
    first: Option<(u64, String)>,
}

impl Failures {
    /// Counts one more, at `now`.
    pub(super) fn add(&mut self, kind: ErrorKind, now: u64, line: String) {
        self.counts.count(kind);
        self.first.get_or_insert((now, line));
    }

    /// How many there were, by kind.
    #[inline]
    pub(super) fn counts(&self) -> &Errors {
        &self.counts
    }

    /// When the first was, and a line that says what.
    pub(super) fn into_first(self) -> Option<(u64, String)> {
        self.first
    }
}
