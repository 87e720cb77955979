//! How many conversations there were, and how they ended.

use std::os::fd::AsFd;
use std::{fmt, io};

use crate::manager;
use crate::tcp::Info;

/// How one conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The peer ended its input (or the server's stop did), and everything received was answered;
    /// or it said nothing at all.
    Completed,
    /// The connection broke, or the server had to cut it.
    Failed,
    /// The peer neither sent nor took bytes for the idle timeout.
    TimedOut,
}

/// How a conversation ended whose socket failed with `error`. A peer that resets the connection
/// before it has said a word has asked for nothing, as health checks do: that is no failure.
pub fn outcome_of(error: &io::Error, socket: &impl AsFd) -> Outcome {
    if Info::of(socket).is_some_and(|info| info.is_broken() && info.is_wordless()) {
        return Outcome::Completed;
    }
    log::debug!("conversation failed: {error}");
    Outcome::Failed
}

/// Counts conversations. `accepted` is always the sum of the outcomes and of what is still open.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    accepted: u64,
    completed: u64,
    failed: u64,
    timed_out: u64,
}

impl Tally {
    /// Counts a new conversation.
    pub fn accept(&mut self) {
        self.accepted += 1;
        manager::changed();
    }

    /// Counts the end of a conversation; call it when its socket is closed, not before.
    ///
    /// # Panics
    /// If none is open.
    pub fn close(&mut self, outcome: Outcome) {
        assert!(self.open() > 0, "more conversations ended than began");
        match outcome {
            Outcome::Completed => self.completed += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::TimedOut => self.timed_out += 1,
        }
        manager::changed();
    }

    /// Counts all that is still open as failed: the drain timeout has passed, and they are cut.
    pub fn cut_open(&mut self) {
        let open = self.open();
        if open > 0 {
            log::warn!("cut {open} open conversation{}", if open == 1 { "" } else { "s" });
        }
        self.failed += open as u64;
    }

    /// How many conversations are open now.
    pub fn open(&self) -> usize {
        let open = self.accepted - self.completed - self.failed - self.timed_out;
        usize::try_from(open).expect("each open conversation takes memory")
    }

    /// The counts: accepted, completed, failed, timed out.
    pub fn counts(&self) -> [u64; 4] {
        [self.accepted, self.completed, self.failed, self.timed_out]
    }

    /// Logs the status line: on SIGUSR1, and as the last line at exit.
    pub fn log(&self) {
        log::info!("status: {self}");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "open={} accepted={} completed={} failed={} timed_out={}",
            self.open(),
            self.accepted,
            self.completed,
            self.failed,
            self.timed_out
        )
    }
}
