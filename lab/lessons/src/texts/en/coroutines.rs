//! Coroutines.

use crate::experiments::coroutines::{Fact, Way};
use crate::experiments::name;
use crate::texts::LessonTexts;
use crate::verdict::Words;

pub(super) const COROUTINES: LessonTexts<Way, Fact> = LessonTexts {
    question: "Two tasks sleep 3 and 5 units on one thread: does that take 8, or 5?",
    about: |way| {
        match way {
            Way::InTurn => "func1 sleeps, then func2",
            Way::Together => "func1 and func2 at once",
            Way::Greedy => "both, and func3, which computes in one piece",
            Way::Yielding => "both, and func3, which yields now and then",
        }
        .to_owned()
    },
    claim: |fact| {
        let Fact { way, both, longest, length, late, threads, pieces } = fact;
        let observed = format!("{length} units on {threads} thread ({})", name(*way));
        match way {
            Way::InTurn => Words::new(
                format!("one after the other takes {both} units"),
                observed,
                "In turn nobody sleeps while another does.",
            ),
            Way::Together => Words::new(
                format!("together they take {longest}"),
                observed,
                "Together both sleep at once: a task that sleeps sets a timer and gives the thread back, so one thread is enough.",
            ),
            Way::Greedy => Words::new(
                "a task that computes without yielding holds the others up",
                format!("{observed}, with func1 {late} overdue"),
                "While func3 computes, the timers of the others expire unnoticed: a coroutine is not interrupted.",
            ),
            Way::Yielding => Words::new(
                "a task that yields now and then holds nobody up",
                format!("{observed}, with at most {late} overdue"),
                format!(
                    "func3 yields after each of {pieces} pieces, and those whose timers have expired go on."
                ),
            ),
        }
    },
};
