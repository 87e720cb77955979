//! The pool.

use crate::experiments::name;
use crate::experiments::pool::{Fact, Way};
use crate::texts::LessonTexts;
use crate::verdict::Words;

pub(super) const POOL: LessonTexts<Way, Fact> = LessonTexts {
    question: "Five workers, twenty tasks: in what order do results come, and what if one fails?",
    about: |way| {
        match way {
            Way::Threads => "threads",
            Way::Uncaught => "threads; a task panics, and nobody catches it",
            Way::Panic => "threads; a task panics, and its worker catches it",
            Way::Processes => "processes",
            Way::Kill => "processes; a worker is killed in the middle of a task",
        }
        .to_owned()
    },
    claim: |fact| match *fact {
        Fact::All { way, tasks, called, overtaken } => Words::new(
            format!("all {tasks} callbacks come, not in the order of submission ({})", name(way)),
            format!("{called} callbacks, {overtaken} overtook an older task"),
            "The task that ends first is called back first, and the second task was shorter than the first.",
        ),
        Fact::Uncaught { tasks, called, failed } => Words::new(
            format!("a panic that nobody catches leaves {} callbacks of {tasks}", tasks - 1),
            format!("{called} callbacks, {failed} failures reported"),
            "The worker was gone with its task, and nobody told the owner.",
        ),
        Fact::Failed { way, task, called, failed } => Words::new(
            format!("task {task} fails, and no other ({})", name(way)),
            format!("{failed} of {called} failed"),
            if way == Way::Kill {
                "The owner saw its pipe end, reported that worker's task as failed, and started another worker."
            } else {
                "The panic was caught where the task was called, and the worker took the next."
            },
        ),
        Fact::AtOnce { workers, most } => Words::new(
            format!("never more than {workers} tasks run at once"),
            format!("at most {most} did"),
            "A task waits in the queue until one of a fixed number of workers takes it.",
        ),
    },
};
