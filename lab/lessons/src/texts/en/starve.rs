//! Starvation.

use harness::units::counted;

use crate::experiments::name;
use crate::experiments::starve::{Fact, Way};
use crate::texts::{LessonTexts, Waits};
use crate::verdict::{Words, time};

pub(super) const STARVE: LessonTexts<Way, Fact> = LessonTexts {
    question: "Eight threads want one lock all the time: who gets it, who waits?",
    about: |way| {
        match way {
            Way::MutexLong => "std's mutex, held for all of the work",
            Way::TicketLong => "a ticket lock, held for all of the work",
            Way::MutexShort => "std's mutex, held for a twentieth of the work",
            Way::TicketShort => "a ticket lock, held for a twentieth of the work",
        }
        .to_owned()
    },
    claim: |&Fact { way, overtaken, waited_ns, worked_ns, in_a_row, turns, fewest, most }| {
        let observed = format!(
            "somebody was overtaken {}, {} of waiting for {} of work ({})",
            counted(overtaken as u64, "time"),
            time(waited_ns),
            time(worked_ns),
            name(way)
        );
        match way {
            Way::MutexLong => Words::new(
                "with std's mutex, held for long, waiting threads are overtaken",
                observed,
                format!(
                    "Std's mutex is not handed over: {in_a_row} of {turns} turns went to the thread that had just given it back, which had it again \
                     before the one that was woken was running. One thread had {most} turns and another {fewest}."
                ),
            ),
            Way::TicketLong => Words::new(
                "with a ticket lock nobody is overtaken, but all wait",
                observed,
                format!(
                    "A ticket lock serves in the order of arrival, so all had their share ({fewest} to {most} turns) of a wait that \
                     is no shorter."
                ),
            ),
            Way::MutexShort | Way::TicketShort => Words::new(
                format!("held for a twentieth of the work ({}) they work more than they wait", name(way)),
                observed,
                "When it is held briefly, the lock is free more often than not, and which lock it is hardly matters.",
            ),
        }
    },
};

pub(super) const WAITS: Waits = Waits {
    title: "Distribution of waits",
    distribution: "distribution of waits",
    below: |limit| format!("below {limit}"),
    longer: "longer",
    waits: |variant, row, count| format!("{variant}, {row}: {count} waits"),
};
