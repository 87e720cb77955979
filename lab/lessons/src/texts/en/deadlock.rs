//! The deadlock.

use crate::experiments::deadlock::{Fact, Way};
use crate::experiments::name;
use crate::texts::{Circle, LessonTexts};
use crate::verdict::{Words, time};

pub(super) const DEADLOCK: LessonTexts<Way, Fact> = LessonTexts {
    question: "Two locks, ten threads: who waits for whom, and how does one get out?",
    about: |way| {
        match way {
            Way::Crosswise => "func1 takes mutexA then mutexB, func2 mutexB then mutexA",
            Way::Ordered => "both take mutexA then mutexB",
            Way::BackOff => "func2 tries mutexA, and gives mutexB back if it does not get it",
        }
        .to_owned()
    },
    claim: |fact| {
        let &Fact { way, all, done, deadlocks, circle, stuck, moved, standstill_ns, backed_off } = fact;
        let observed = format!("{deadlocks} deadlocks, {done} of {all} done ({})", name(way));
        match way {
            Way::Crosswise => Words::new(
                format!("taking two locks crosswise brings all {all} to a stand, and the lab gets them out"),
                format!("{observed}: all {stuck} waited, {circle} in a circle, and {moved} moved"),
                format!(
                    "In a circle each waits for what the next one holds and gives back nothing before, so time does not help: \
                     in {} no lock changed hands. Calling off one wait opens it, costs that thread its work, and cures nothing: {deadlocks} times in all a circle closed.",
                    time(standstill_ns),
                ),
            ),
            Way::Ordered => Words::new(
                "with one order for all there is no deadlock",
                observed,
                "Who holds mutexB never waits for mutexA where all take mutexA first, so no circle can close.",
            ),
            Way::BackOff => Words::new(
                "with try-lock and back-off there is none either, but work is done again",
                format!("{observed}, after {backed_off} back-offs"),
                "Who would close the circle gives back what it holds, lets the other pass, and begins again.",
            ),
        }
    },
};

pub(super) const CIRCLE: Circle = Circle {
    title: "Who waited for whom while nothing moved",
    graph: "wait-for graph",
    holder: |thread, locks| format!("{thread}, which holds {}", locks.join(" and ")),
    waits_for: "waits for",
    held_by: "is held by",
    behind: |lock| format!("Behind them, with nothing in hand, wait for {lock}: threads"),
    comma: ", ",
    more: |more| format!("and {more} more"),
};
