//! Processes, threads and coroutines on top of one another.

use crate::experiments::levels::{Fact, Way};
use crate::experiments::name;
use crate::texts::LessonTexts;
use crate::verdict::{Words, time};

pub(super) const LEVELS: LessonTexts<Way, Fact> = LessonTexts {
    question: "Processes, threads, coroutines: what does each level add to the one below?",
    about: |way| {
        match way {
            Way::Coroutines => "a coroutine for each client, all on one thread",
            Way::Threads => "a coroutine for each client, on several threads",
            Way::Processes => "a coroutine for each client, on several threads in each of several processes",
        }
        .to_owned()
    },
    claim: |&Fact { way, length_ns, asleep, computing, processes, seen }| {
        let observed = format!(
            "{} after {}: at most {asleep} waited at once, and {computing} computed",
            name(way),
            time(length_ns)
        );
        match way {
            Way::Coroutines => Words::new(
                "coroutines let all wait at once, and one compute at a time",
                observed,
                "A coroutine that waits gives its thread back; one that computes keeps it.",
            ),
            Way::Threads => Words::new(
                format!("on {processes} threads {processes} can compute at once, in one process"),
                observed,
                "Each thread runs its own coroutines, and the kernel gives the threads the cores that there are: a thread without a core is ready.",
            ),
            Way::Processes => Words::new(
                format!("{processes} processes share out the clients"),
                format!("{observed}, in {seen} processes"),
                "A crash ends one process only. In Python, where an interpreter runs one thread at a time, processes also use more cores.",
            ),
        }
    },
};
