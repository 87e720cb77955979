//! Submitting to a pool.

use crate::experiments::name;
use crate::experiments::submit::{Fact, Way};
use crate::texts::LessonTexts;
use crate::verdict::{Words, time};

pub(super) const SUBMIT: LessonTexts<Way, Fact> = LessonTexts {
    question: "A pool does the tasks: does the caller wait, ask, or is it called back?",
    about: |way| {
        match way {
            Way::EachResult => "submit one, wait for its result, submit the next",
            Way::AllResults => "submit all, then wait for the results",
            Way::Ask => "submit all, do something else, and ask now and then",
            Way::Callback => "submit all, do something else, and be called back",
        }
        .to_owned()
    },
    claim: |&Fact { way, together, most, length_ns, asked }| {
        let observed = format!("{} in {}, at most {most} at once", name(way), time(length_ns));
        match way {
            Way::EachResult => Words::new(
                "waiting for each result before the next is submitted, the pool does one task at a time",
                observed,
                "`submit(...).result()` in a loop is synchronous and blocks: the other workers have nothing to do.",
            ),
            Way::AllResults => Words::new(
                format!(
                    "submitting all and then waiting, {together} tasks run at once, and the caller does nothing else"
                ),
                observed,
                "It still fetches the results itself, and sleeps until they are there.",
            ),
            Way::Ask => Words::new(
                "a caller that only asks is not blocked, but asks in vain again and again",
                format!("{observed}, {asked} questions in vain"),
                "A question that does not wait returns at once, with a result or without: non-blocking, and still synchronous.",
            ),
            Way::Callback => Words::new(
                "a caller that is called back asks nobody and can do something else all the time",
                observed,
                "The result is brought to a function that was named before: asynchronous.",
            ),
        }
    },
};
