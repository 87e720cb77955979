//! Coroutines.

use crate::experiments::coroutines::{Fact, Way};
use crate::experiments::name;
use crate::texts::LessonTexts;
use crate::verdict::Words;

pub(super) const COROUTINES: LessonTexts<Way, Fact> = LessonTexts {
    question: "Two tasks sleep 3 and 5 units on one thread: does that take 8, or 5?",
    about: |way| {
        match way {
            Way::InTurn => "func1 sleeps, and when it is over func2",
            Way::Together => "func1 and func2 at once",
            Way::Greedy => "both, and func3, which computes in one piece",
            Way::Yielding => "both, and func3, which gives way now and then",
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
                "Together both sleep at once: who sleeps gives the thread back and leaves an alarm, so one thread is enough.",
            ),
            Way::Greedy => Words::new(
                "one that computes without giving way holds the others up",
                format!("{observed}, with func1 {late} overdue"),
                "While func3 computes, the alarms of the others ring and nobody hears them: a coroutine is not interrupted.",
            ),
            Way::Yielding => Words::new(
                "giving way now and then does not",
                format!("{observed}, with at most {late} overdue"),
                format!(
                    "Giving way after each of {pieces} pieces, func3 lets those go on whose alarm has rung."
                ),
            ),
        }
    },
};
