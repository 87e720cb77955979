//! The traffic light.

use crate::experiments::event::{Fact, Way};
use crate::experiments::name;
use crate::texts::LessonTexts;
use crate::verdict::{Words, time};

pub(super) const EVENT: LessonTexts<Way, Fact> = LessonTexts {
    question: "One traffic light, twenty cars: does each hear that it turns green?",
    about: |way| {
        match way {
            Way::LookThenWait => "look at the light, then wait for the notification",
            Way::Event => "look at it under its lock, and wait while it is red",
        }
        .to_owned()
    },
    claim: |&Fact { way, cars, missed, drove, slept_ns }| {
        let observed = format!("{missed} of {cars} missed it, {drove} drove ({})", name(way));
        match way {
            Way::LookThenWait => Words::new(
                format!("a car that looks and then waits misses the notification, all {cars}"),
                observed,
                format!(
                    "The notification came when all had seen red and none waited yet, and it is not kept: they slept at green, and only \
                     a second look after {} helped.",
                    time(slept_ns),
                ),
            ),
            Way::Event => Words::new(
                "a car that looks under the lock and waits while it is red misses nothing",
                observed,
                "Even the last car, which had just seen red when the light was to turn: the light needs the lock to turn, and the car \
                 gives it back by falling asleep, so the notification comes only after that.",
            ),
        }
    },
};
