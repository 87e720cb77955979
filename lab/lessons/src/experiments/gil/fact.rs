//! What there is to say of what was measured.

use std::time::Duration;

use super::way::Way;
use crate::verdict::Claim;

/// What there is to say.
#[derive(Debug)]
pub(crate) enum Fact {
    /// The most that computed at one time, and how often the lock was taken.
    OneAtATime { most: usize, turns: u64, interval: Duration },
    /// How many of Python's threads computed at one time.
    Python { at_once: usize },
    /// The same on one processor, and how long all were ready, if that is known.
    OnOne { way: Way, at_once: usize, ready_ns: Option<u64> },
    /// The times of two ways.
    Faster { fast: Way, slow: Way, fast_ns: u64, slow_ns: u64, why: Why },
    /// The times of two ways on one processor.
    NotFaster { processes: Way, threads: Way, processes_ns: u64, threads_ns: u64 },
}

/// Why one way is faster than another.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Why {
    WaitTogether,
    CreatedFaster,
    InPythonToo,
    OnOneToo,
    OneUsed,
    AllUsed,
    OneLockEach,
    NoLock,
}

/// A fact, and whether it is what was expected.
pub(super) type Judged = (Fact, bool);

impl Fact {
    pub(super) fn claim((fact, holds): &Judged) -> Claim {
        Claim::new(*holds, |texts| (texts.gil.claim)(fact))
    }

    /// Whether this way was looked at for it.
    pub(super) fn is_of(&self, it: Way) -> bool {
        match *self {
            Self::OneAtATime { .. } => it == Way::ComputeGil,
            Self::Python { .. } => it == Way::ComputePythonThreads,
            Self::OnOne { way, .. } => it == way,
            Self::Faster { fast: one, slow: other, .. }
            | Self::NotFaster { processes: one, threads: other, .. } => it == one || it == other,
        }
    }
}
