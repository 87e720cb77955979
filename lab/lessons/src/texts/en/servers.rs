//! Three clients and one server.

use harness::units::counted;

use crate::experiments::servers::{Fact, Serves};
use crate::texts::LessonTexts;
use crate::verdict::{Words, time};

pub(super) const SERVERS: LessonTexts<Serves, Fact> = LessonTexts {
    question: "Three clients and one server: who serves whom, and who waits for whom?",
    about: |serves| {
        match serves {
            Serves::InTurn => "one conversation at a time",
            Serves::ProcessPool => "two processes, made before anybody comes",
            Serves::ThreadPool => "two threads, made before anybody comes",
            Serves::Process => "a process for each client",
            Serves::Thread => "a thread for each client",
            Serves::Loops => "several event loops, which share the clients",
            Serves::Loop => "an event loop: all clients in one table",
            Serves::Tasks => "a task for each client, all on an event loop",
        }
        .to_owned()
    },
    claim: |&Fact { model, serves, waited_ns, served }| {
        let loop_why = "An event loop never waits for one client, but for whichever speaks next, and has answered before another notices.";
        let (noun, expected, why) = match serves {
            Serves::InTurn => (
                "thread",
                "a client that comes while another is served waits until that one has left",
                "A server of one conversation sleeps until the client whose turn it is says something: nobody is there to answer \
                 the others, although the processor has nothing to do.",
            ),
            Serves::ProcessPool | Serves::ThreadPool => (
                if serves == Serves::ProcessPool { "process" } else { "thread" },
                "two workers serve two, and the third client waits until one of them has left",
                "A worker of a pool belongs to its client from the first word to the last, also while that one is silent.",
            ),
            Serves::Process => (
                "process",
                "nobody waits, for each client has a process of its own",
                "While one process sleeps through its client's silence, the kernel lets another run.",
            ),
            Serves::Thread => (
                "thread",
                "nobody waits, for each client has a thread of its own",
                "While one thread sleeps, the kernel lets another run; they share one memory.",
            ),
            Serves::Loops => ("event loop", "nobody waits, and event loops share them", loop_why),
            Serves::Loop | Serves::Tasks => {
                ("event loop", "nobody waits, and one thread serves all of them", loop_why)
            }
        };
        let who = match served {
            None => "what served them could not be seen".to_owned(),
            Some(count) => format!("{} served", counted(count as u64, noun)),
        };
        let [second, third] = waited_ns.map(time);
        Words::new(
            format!("{model}: {expected}"),
            format!("client 2 waited {second}, client 3 {third}, and {who}"),
            why,
        )
    },
};
