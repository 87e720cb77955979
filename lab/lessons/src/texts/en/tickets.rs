//! The tickets.

use crate::experiments::name;
use crate::experiments::tickets::{Fact, Way};
use crate::texts::LessonTexts;
use crate::verdict::{Words, time};

pub(super) const TICKETS: LessonTexts<Way, Fact> = LessonTexts {
    question: "Ten processes, one ticket in a file: how often is it sold?",
    about: |way| {
        match way {
            Way::NoLock => "look and buy without a lock",
            Way::Lock => "look, then buy under the lock",
            Way::LockLook => "look and buy under the lock",
            Way::KillInPlace => "buy under the lock, overwriting the file; the first is killed midway",
            Way::KillRename => "buy under the lock, replacing the file; the first is killed midway",
        }
        .to_owned()
    },
    claim: |fact| match *fact {
        Fact::Sale { way, buyers, before, sold, after, torn, due, others } => {
            let left = after.map_or_else(|| "the file torn".to_owned(), |left| format!("{left} left"));
            let observed = format!("{sold} sold of {before}, {left} ({})", name(way));
            match way {
                Way::NoLock => Words::new(
                    format!("without a lock all {buyers} buyers are sold a ticket"),
                    observed,
                    format!(
                        "All {buyers} had read that {before} was left before the first wrote {}.",
                        before.saturating_sub(1)
                    ),
                ),
                Way::Lock | Way::LockLook => Words::new(
                    format!(
                        "with the lock {}{due} sold ({})",
                        if others { "at most " } else { "" },
                        name(way)
                    ),
                    observed,
                    "Only the holder of the lock reads and writes.",
                ),
                Way::KillInPlace => Words::new(
                    "killed while writing into the file, a buyer leaves it torn, and nobody can buy any more",
                    observed,
                    format!("The file was half written when the buyer died; {torn} could not read it."),
                ),
                Way::KillRename => Words::new(
                    format!(
                        "killed while writing the file that replaces it, a buyer loses no ticket: {before} sold to others"
                    ),
                    observed,
                    "What was half written had another name, so the old file was still whole, and the kernel gave the dead one's \
                     lock to the next.",
                ),
            }
        }
        Fact::Slower { knew_ns, knew_locked_ns, took_ns, took_locked_ns } => Words::new(
            "looking under the lock, too, is slower",
            format!(
                "a buyer knew after {} on average what was left, instead of {}",
                time(knew_locked_ns),
                time(knew_ns)
            ),
            format!(
                "A buyer that looks under the lock queues for it first: all together took {} instead of {}.",
                time(took_locked_ns),
                time(took_ns)
            ),
        ),
    },
};
