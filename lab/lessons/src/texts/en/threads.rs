//! Threads and processes.

use crate::experiments::threads::{Fact, Way, Writer};
use crate::texts::{Alive, LessonTexts};
use crate::verdict::{Words, time};

pub(super) const THREADS: LessonTexts<Way, Fact> = LessonTexts {
    question: "What do threads share that processes do not, and what outlives its parent?",
    about: |way| {
        match way {
            Way::Shared => "threads; the first changes a global",
            Way::Isolated => "processes; the first changes a global",
            Way::NoJoin => "main goes on while its child works",
            Way::Join => "main waits for its child, then goes on",
            Way::Daemon => "the main thread of a process ends while another works",
            Way::NoDaemon => "the main thread of a process joins the other before it ends",
            Way::Zombie => "a process has ended, and its parent does not ask how",
            Way::Orphan => "a process is killed, and its child lives on",
            Way::Terminate => "a child that ends itself, and one that is terminated at its work",
            Way::DaemonChild => "a process ends, and its child with it",
            Way::RequestAlone => "the function that answers a request writes the log itself, before",
            Way::RequestThread => "the function that answers a request starts a thread that writes the log",
            Way::RequestProcess => "the function that answers a request starts a process that writes the log",
        }
        .to_owned()
    },
    claim: |fact| match fact {
        Fact::Shared { children, pids, names, active, money } => Words::new(
            format!("{children} threads have one pid and names of their own, and all see what one changes"),
            format!("{pids} pids, {names} names, {active} threads with main; money is {money} in main"),
            "Threads share one memory, and so one `money`.",
        ),
        Fact::Isolated { children, pids, parent, first, money } => Words::new(
            format!("{children} processes have pids of their own, and none sees what one changes"),
            format!("{pids} pids, all children of {parent}; {first} in the first, {money} in main"),
            "A process has a memory of its own, and so a `money` of its own.",
        ),
        Fact::Join { joins, main_was_first } => {
            let order = if *main_was_first {
                "main went on before the child was over"
            } else {
                "the child was over first"
            };
            if *joins {
                Words::new(
                    "with a join main goes on after its child",
                    order,
                    "A join returns when the other has ended, and no earlier.",
                )
            } else {
                Words::new(
                    "without a join, main goes on before the work is done",
                    order,
                    "To start a child is not to wait for it.",
                )
            }
        }
        Fact::MainEnds { joins: true, is_over } => Words::new(
            "a thread that is joined finishes its work",
            format!("its work is {}", if *is_over { "done" } else { "lost" }),
            "Main joined it, as Python does at its end with threads that are no daemons.",
        ),
        Fact::MainEnds { joins: false, is_over } => Words::new(
            "a thread that is not joined dies with main",
            format!("its work is {}, and it is gone", if *is_over { "done" } else { "lost" }),
            "When main ends, the process does, and a process ends with all its threads.",
        ),
        Fact::Zombie { was_zombie, left_ns, is_left } => Words::new(
            "a process that has ended is a zombie until its parent asks how",
            format!(
                "state {} for {}, then {}",
                if *was_zombie { "Z" } else { "unknown" },
                time(*left_ns),
                gone(*is_left)
            ),
            "The kernel keeps its number and its status for the parent, and nothing else; wait(2) takes them.",
        ),
        Fact::Orphan { parent, after, is_lab, is_left } => Words::new(
            "a child process outlives its parent, is adopted, and is reaped by the process that has adopted it",
            format!(
                "its parent was {parent}, then {after}, which is {}; {}",
                if *is_lab { "the lab" } else { "not the lab" },
                gone(*is_left)
            ),
            "An orphan is given to the nearest ancestor that reaps for others (PR_SET_CHILD_SUBREAPER), here the lab, else process 1.",
        ),
        Fact::Terminated { left, signal } => {
            let [one, other] = left.map(|left| if left { "a file is left" } else { "no file is left" });
            let signal = signal.map_or_else(|| "no signal".to_owned(), |signal| format!("signal {signal}"));
            Words::new(
                "a child that is terminated has no time to clean up, and one that ends itself has",
                format!(
                    "{one} of the one that ended, {other} of the one that was terminated, which ended by {signal}"
                ),
                "SIGTERM ends a process between any two of its instructions, unless it has asked for the signal: no finally and no Drop is run, and what it has written so far stays.",
            )
        }
        Fact::Daemon { how, is_left } => Words::new(
            "a child that is a daemon is ended when its parent ends",
            format!("the parent ended by itself, the child by {how}; {}", gone(*is_left)),
            "The child has asked the kernel for SIGTERM when its parent ends (PR_SET_PDEATHSIG); Python's parent sends it itself, when it ends as usual.",
        ),
        Fact::Request { writer, took_ns, is_written_before } => {
            let observed = format!(
                "the page came after {}, the log was written {}",
                time(*took_ns),
                if *is_written_before { "before" } else { "after it" }
            );
            let going_on =
                |noun| format!("a {noun} goes on when the function that has started it has returned");
            let expected = match writer {
                Writer::Itself => {
                    return Words::new(
                        "a function that does the slow work itself answers when it is done",
                        observed,
                        "A function does one thing after the other.",
                    );
                }
                Writer::Thread => going_on("thread"),
                Writer::Process => going_on("process"),
            };
            Words::new(
                expected,
                observed,
                "A thread belongs to its process, not to the function that started it; a child process belongs to itself.",
            )
        }
    },
};

fn gone(is_left: bool) -> &'static str {
    if is_left { "something is left of it" } else { "nothing is left of it" }
}

pub(super) const ALIVE: Alive = Alive {
    title: "Whether a child is alive, and how it is ended",
    child: "a child",
    observed: "observed",
    moments: ["before it starts", "at work", "has ended", "is ended", "after that", "how it ended"],
    no_child: "there is no Child",
    yes: "yes",
    no: "no",
    none: "none",
};
