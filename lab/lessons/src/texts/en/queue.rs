//! Producers and consumers.

use crate::experiments::name;
use crate::experiments::queue::{Fact, Way};
use crate::texts::LessonTexts;
use crate::verdict::{Words, time};

pub(super) const QUEUE: LessonTexts<(Way, usize), Fact> = LessonTexts {
    question: "Producers are faster than consumers: what does a bounded queue do?",
    about: |(way, capacity)| match way {
        Way::Unbounded => "threads, and a queue without a bound".to_owned(),
        Way::Threads => format!("threads, and a queue with {capacity} places"),
        Way::Processes => format!("processes, and {capacity} places in pipes"),
    },
    claim: |fact| match *fact {
        Fact::Most { way, due, most } => {
            let (observed, bounded) = (
                format!("at most {most} ({})", name(way)),
                format!("with {due} places {due} are queued, and never more ({})", name(way)),
            );
            match way {
                Way::Unbounded => Words::new(
                    format!("without a bound all {due} items are queued"),
                    observed,
                    "Nothing held the producers back.",
                ),
                Way::Threads => Words::new(
                    bounded,
                    observed,
                    "A producer that found no place slept until a consumer had made one.",
                ),
                Way::Processes => Words::new(
                    bounded,
                    observed,
                    "Between processes a pipe carries the items, and another the free places.",
                ),
            }
        }
        Fact::Order { items, right, ways } => Words::new(
            format!("each of {items} items is taken once, and those of a producer in its order"),
            format!("true of {right} of {ways} variants"),
            "Taking the oldest item is one step, so no two consumers get it.",
        ),
        Fact::Pressure { with_ns, without_ns } => Words::new(
            "a full queue makes the producers wait",
            format!("they waited for {} with the bound, {} without", time(with_ns), time(without_ns)),
            "So they became as fast as the consumers, and the memory that is needed stayed the same.",
        ),
    },
};
