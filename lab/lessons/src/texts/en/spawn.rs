//! What it costs to create.

use harness::units::counted;

use crate::experiments::name;
use crate::experiments::spawn::{Fact, Way};
use crate::texts::LessonTexts;
use crate::verdict::{Words, time};

pub(super) const SPAWN: LessonTexts<Way, Fact> = LessonTexts {
    question: "What does it cost to create a hundred processes, threads, tasks?",
    about: |way| {
        match way {
            Way::Processes => "create all, join all; each is a program of its own",
            Way::Threads => "create all, join all",
            Way::Tasks => "create all, then poll them on the thread that created them",
            Way::OneByOne => "create a thread, join it, create the next",
        }
        .to_owned()
    },
    claim: |fact| match *fact {
        Fact::Created { way, count, pids, threads, most, length_ns, delay } => {
            let observed = format!(
                "{} and {} ({})",
                counted(pids as u64, "pid"),
                counted(threads as u64, "thread"),
                name(way)
            );
            match way {
                Way::Processes => Words::new(
                    format!("{count} processes have {count} pids"),
                    observed,
                    "A process is a program with a memory of its own, which the kernel has to make.",
                ),
                Way::Threads => Words::new(
                    format!("{count} threads have one pid"),
                    observed,
                    "A thread is a stack and registers within a memory that is there.",
                ),
                Way::Tasks => Words::new(
                    format!("{count} tasks take no thread but the one that polls them"),
                    observed,
                    "A task is a value in a queue: the kernel does not know of it.",
                ),
                Way::OneByOne => Words::new(
                    "joining each before the next is created runs one at a time",
                    format!("at most {most} at once, {}", time(length_ns)),
                    format!("Every join waited for a sleep of {delay:?} before the next could begin."),
                ),
            }
        }
        Fact::Cheaper { cheap, dear, cheap_ns, dear_ns } => {
            let (cheap, dear) = (name(cheap), name(dear));
            Words::new(
                format!("{cheap} are created faster than {dear}"),
                format!("{cheap} in {}, {dear} in {}", time(cheap_ns), time(dear_ns)),
                format!("To create {dear} took {} times as long.", dear_ns / cheap_ns.max(1)),
            )
        }
    },
};
