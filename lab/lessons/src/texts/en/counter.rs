//! The shared counter.

use crate::experiments::counter::{Fact, Way};
use crate::experiments::name;
use crate::texts::LessonTexts;
use crate::verdict::{Words, time};

pub(super) const COUNTER: LessonTexts<Way, Fact> = LessonTexts {
    question: "A hundred workers decrement 100: is 0 left?",
    about: |way| {
        match way {
            Way::NoPause => "read and write, with nothing in between",
            Way::Race => "read, sleep, write",
            Way::Barrier => "read, wait until all have read, sleep, write",
            Way::Gil => "the same, each step under an interpreter's lock, which sleepers give away",
            Way::Mutex => "read, sleep and write under one mutex",
            Way::Atomic => "sleep, then decrement in one step",
        }
        .to_owned()
    },
    claim: |&Fact { way, all, left, length_ns }| {
        let (lost, length) = (all - 1, time(length_ns));
        let observed = format!("{left} left after {all} decrements ({})", name(way));
        match way {
            Way::NoPause => Words::new(
                "without a pause the race is hard to see: anything is possible, and often few or none are lost",
                observed,
                "Between reading and writing there is little time for another to come, but there is some, and a worker that is interrupted \
                 there writes an old number over all that the others have done: right by luck is wrong.",
            ),
            Way::Race => Words::new(
                format!(
                    "with a sleep between reading and writing nearly all are lost: about {lost} are left"
                ),
                observed,
                "While one slept, the others read the same number, and each wrote one less than that.",
            ),
            Way::Barrier => Words::new(
                format!("where all read before any writes, {lost} are left, and never less"),
                observed,
                format!("All {all} had read {all} before the first wrote, so each wrote {lost}."),
            ),
            Way::Gil => Words::new(
                format!("with a lock around each step only, {lost} are left too"),
                observed,
                "The lock was never held by two, but between reading and writing it was given away.",
            ),
            Way::Mutex => Words::new(
                "a mutex around all of it leaves 0",
                observed,
                format!("Under the mutex one waited for the other, which took {length}."),
            ),
            Way::Atomic => Words::new(
                "an atomic decrement leaves 0",
                observed,
                format!(
                    "The atomic reads and writes in one step that nothing comes between, so all could sleep at once: {length}."
                ),
            ),
        }
    },
};
