//! The semaphore.

use crate::experiments::semaphore::{Fact, Way};
use crate::texts::LessonTexts;
use crate::verdict::{Words, time};

pub(super) const SEMAPHORE: LessonTexts<(Way, usize), Fact> = LessonTexts {
    question: "Five places, twenty threads: how many are in at once?",
    about: |(way, places)| match way {
        Way::Open => "everybody walks in".to_owned(),
        Way::Semaphore => format!("a semaphore with {places} places"),
    },
    claim: |&Fact { way, threads, places, most, longest_ns }| match way {
        Way::Open => Words::new(
            format!("without a semaphore all {threads} are in at once"),
            format!("{most} were in at once"),
            "Nothing keeps anybody out.",
        ),
        Way::Semaphore => Words::new(
            format!("with {places} places at most {}, and that many are reached", places.min(threads)),
            format!("at most {most} of {threads} with the semaphore"),
            format!(
                "Each takes a place before it goes in, and while there is none it sleeps, here for up to {}.",
                time(longest_ns)
            ),
        ),
    },
};
