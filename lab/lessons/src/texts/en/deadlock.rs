//! The deadlock.

use crate::experiments::deadlock::{Fact, Way};
use crate::experiments::name;
use crate::texts::{Cycle, LessonTexts};
use crate::verdict::{Words, time};

pub(super) const DEADLOCK: LessonTexts<Way, Fact> = LessonTexts {
    question: "Two locks, ten threads: who waits for whom, and how do they get out?",
    about: |way| {
        match way {
            Way::Crosswise => "func1 takes mutexA then mutexB, func2 mutexB then mutexA",
            Way::Ordered => "both take mutexA then mutexB",
            Way::BackOff => "func2 tries mutexA, and gives mutexB back if it does not get it",
        }
        .to_owned()
    },
    claim: |fact| {
        let &Fact { way, all, done, deadlocks, cycle, stuck, moved, standstill_ns, backed_off } = fact;
        let observed = format!("{deadlocks} deadlocks, {done} of {all} done ({})", name(way));
        match way {
            Way::Crosswise => Words::new(
                format!("taking two locks crosswise blocks all {all} threads, and the lab gets them out"),
                format!(
                    "{observed}: all {stuck} waited, {cycle} in a cycle, and {moved} locks changed hands"
                ),
                format!(
                    "In a cycle each waits for what the next one holds and gives nothing back meanwhile, so time does not help: \
                     in {} no lock changed hands. To call off one wait breaks it, costs that thread its work, and cures nothing: a cycle closed {deadlocks} times in all.",
                    time(standstill_ns),
                ),
            ),
            Way::Ordered => Words::new(
                "with one order for all there is no deadlock",
                observed,
                "Where all take mutexA first, a thread that holds mutexB never waits for mutexA, so no cycle can close.",
            ),
            Way::BackOff => Words::new(
                "with try-lock and back-off there is no deadlock, but work is done again",
                format!("{observed}, after {backed_off} back-offs"),
                "A thread that would close the cycle gives back what it holds, lets the other pass, and begins again.",
            ),
        }
    },
};

pub(super) const CIRCLE: Cycle = Cycle {
    title: "Who waited for whom while nothing moved",
    graph: "wait-for graph",
    holder: |thread, locks| format!("{thread}, which holds {}", locks.join(" and ")),
    waits_for: "waits for",
    held_by: "is held by",
    behind: |lock| format!("Behind them, holding nothing, wait for {lock}: threads"),
    comma: ", ",
    more: |more| format!("and {more} more"),
};
