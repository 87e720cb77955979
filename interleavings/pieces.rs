/// What stands for the standard library.
const SYNC: (&str, &str) = ("use std::sync::", "use crate::sync::");
const SEQ_CST: (&str, &str) = ("use std::sync::atomic::", "use crate::sync::seq_cst::");
const THREAD: (&str, &str) = ("use std::thread::", "use crate::sync::thread::");

/// What stands for the system.
const FD: (&str, &str) = ("use std::os::fd::", "use crate::kernel::");
const NET: (&str, &str) = ("use std::net::", "use crate::kernel::");

/// A wake-up is missing: somebody sleeps for ever.
const ASLEEP: &str = "deadlock";

/// How a thread reports the end of its conversation: the same in two servers.
const REPORTS: &[Mistake] = &[
    Mistake {
        name: "the_bell_rings_before_the_fact",
        edits: &[("let _ = self.reports.send((self.key, self.outcome));\n        self.bell.ring();", "self.bell.ring();\n        let _ = self.reports.send((self.key, self.outcome));")],
        found: ASLEEP,
    },
    Mistake {
        name: "the_bell_is_silenced_after_the_look",
        edits: &[
            ("        self.bell.silence();\n", ""),
            ("            tally.close(outcome);\n        }\n", "            tally.close(outcome);\n        }\n        self.bell.silence();\n"),
        ],
        found: ASLEEP,
    },
    Mistake {
        name: "a_conversation_is_counted_before_it_is_closed",
        edits: &[("        self.stream = None;\n", "")],
        found: "counted before it was closed",
    },
];

const PIECES: &[Piece] = &[
    Piece {
        name: "signals",
        parts: &[Part { file: "serving/src/signals.rs", from: None, to: Some("/// Sleeps until one of `sources`") }],
        swaps: &[
            SEQ_CST,
            SYNC,
            FD,
            ("use nix::errno::", "use crate::kernel::"),
            ("use nix::poll::{PollFd, PollFlags, PollTimeout, poll};", ""),
            ("use nix::sys::eventfd::", "use crate::kernel::"),
            ("use signal_hook::", "use crate::kernel::signal_hook::"),
            ("use crate::{Pause, Tally, manager, pause, process};", "use crate::kernel::{manager, process}; use check::Tally;"),
        ],
        mistakes: &[
            Mistake {
                name: "the_bell_rings_before_the_fact",
                edits: &[
                    ("        match signal {", "        self.bell.ring();\n        match signal {"),
                    ("        let errno = Errno::last_raw();\n        self.bell.ring();", "        let errno = 0;"),
                ],
                found: ASLEEP,
            },
            Mistake {
                name: "the_bell_is_silenced_after_the_look",
                edits: &[
                    ("        self.arrived.bell.silence();\n", ""),
                    ("        self.stops > 0\n", "        self.arrived.bell.silence();\n        self.stops > 0\n"),
                ],
                found: ASLEEP,
            },
            Mistake {
                name: "stops_are_read_and_then_cleared",
                edits: &[(
                    "self.arrived.stops.swap(0, Ordering::SeqCst)",
                    "{ let stops = self.arrived.stops.load(Ordering::SeqCst); self.arrived.stops.store(0, Ordering::SeqCst); stops }",
                )],
                found: ASLEEP,
            },
            Mistake {
                name: "a_question_is_forgotten_after_the_answer",
                edits: &[(
                    "if self.arrived.asked.swap(false, Ordering::SeqCst) {\n            tally.log();",
                    "if self.arrived.asked.load(Ordering::SeqCst) {\n            tally.log();\n            self.arrived.asked.store(false, Ordering::SeqCst);",
                )],
                found: ASLEEP,
            },
        ],
    },
    Piece {
        name: "current",
        parts: &[Part { file: "serving/src/stop.rs", from: Some("/// No conversation in [`CURRENT`]."), to: None }],
        swaps: &[
            (
                "/// No conversation in [`CURRENT`].",
                "use std::io;\nuse std::sync::atomic::Ordering;\nuse crate::kernel::one_thread::{AtomicBool, AtomicI32};\n\
                 use crate::kernel::{Errno, TcpStream};\nuse crate::kernel::signal_hook::{self, consts::{SIGALRM, SIGCHLD, SIGUSR1}};\n\
                 use crate::signals::as_it_is::STOP_SIGNALS;",
            ),
            (
                "static CURRENT: AtomicI32 = AtomicI32::new(NONE);",
                "loom::lazy_static! { static ref CURRENT: AtomicI32 = AtomicI32::new(NONE); }",
            ),
            (
                "static WOKEN: AtomicBool = AtomicBool::new(false);",
                "loom::lazy_static! { static ref WOKEN: AtomicBool = AtomicBool::new(false); }",
            ),
            ("let socket = ManuallyDrop::new(unsafe { TcpStream::from_raw_fd(socket) });", ""),
            ("let _ = socket.set_nonblocking(true);", "crate::kernel::unblock(socket);"),
        ],
        mistakes: &[
            Mistake {
                name: "who_marks_the_conversation_does_not_look_back",
                edits: &[("if WOKEN.load(Ordering::SeqCst) {", "if false {")],
                found: ASLEEP,
            },
            Mistake {
                name: "who_marks_the_conversation_has_looked_before",
                edits: &[
                    ("        CURRENT.store(stream.as_raw_fd(), Ordering::SeqCst);\n", ""),
                    ("        Self(stream)", "        CURRENT.store(stream.as_raw_fd(), Ordering::SeqCst);\n        Self(stream)"),
                ],
                found: ASLEEP,
            },
        ],
    },
    Piece {
        name: "thread_conversations",
        parts: &[Part { file: "server-thread/src/conversations.rs", from: None, to: Some("/// The limit on open conversations") }],
        swaps: &[
            SYNC,
            FD,
            NET,
            ("use anyhow::Result;", ""),
            ("use common::Buffer;", "use crate::kernel::Buffer;"),
            ("use serving::stop::Input;", "use crate::kernel::Input;"),
            (
                "use serving::{Bell, Drain, Outcome, ServerOptions, Talk, Tally, Transform, UsageError};",
                "use crate::kernel::{Bell, Drain, Outcome, ServerOptions, Talk, Tally, Transform};",
            ),
        ],
        mistakes: REPORTS,
    },
    Piece {
        name: "pool_conversations",
        parts: &[Part::whole("server-pool/src/conversations.rs")],
        swaps: &[
            SYNC,
            FD,
            NET,
            ("use common::Buffer;", "use crate::kernel::Buffer;"),
            ("use serving::stop::Input;", "use crate::kernel::Input;"),
            ("use serving::{", "use crate::kernel::{"),
        ],
        mistakes: REPORTS,
    },
    Piece {
        name: "task_conversations",
        parts: &[Part::whole("server-tokio/src/conversations.rs")],
        swaps: &[
            SYNC,
            ("use serving::{", "use crate::kernel::{"),
            ("use tokio::net::TcpStream;", "use crate::kernel::TcpStream;"),
            ("use crate::task::Task;", "type Task = crate::kernel::Task<Place>;"),
        ],
        mistakes: &[
            Mistake {
                name: "the_main_task_is_woken_before_the_fact",
                edits: &[
                    ("        list.ended.push(self.outcome);\n", ""),
                    ("            main.wake();\n        }", "            main.wake();\n        }\n        self.shared.list().ended.push(self.outcome);"),
                ],
                found: ASLEEP,
            },
            Mistake {
                name: "the_main_task_looks_and_then_waits",
                edits: &[(
                    "        let mut list = self.shared.list();\n        if list.ended.is_empty() {",
                    "        if self.shared.list().ended.is_empty() {\n            let mut list = self.shared.list();",
                )],
                found: ASLEEP,
            },
        ],
    },
    Piece {
        name: "prefork_conversations",
        parts: &[Part::whole("server-prefork/src/conversations.rs")],
        swaps: &[
            FD,
            ("use std::io::{self, PipeReader, PipeWriter, Write};", "use std::io::{self, Write};\nuse crate::kernel::{PipeReader, PipeWriter};"),
            ("use serving::", "use crate::kernel::"),
        ],
        mistakes: &[
            Mistake {
                name: "a_worker_that_has_ended_is_not_heard_out",
                edits: &[("            // What the worker told before its end is in the pipe by now.\n            self.count(tally)?;\n", "")],
                found: ASLEEP,
            },
            Mistake {
                name: "a_worker_is_heard_out_before_its_end",
                edits: &[
                    ("            // What the worker told before its end is in the pipe by now.\n            self.count(tally)?;\n", ""),
                    ("        while let Some((pid, _)) = process::reap() {", "        self.count(tally)?;\n        while let Some((pid, _)) = process::reap() {"),
                ],
                found: "more conversations ended than began",
            },
        ],
    },
    Piece {
        name: "hybrid_conversations",
        parts: &[
            Part { file: "server-hybrid/src/post.rs", from: Some("/// What an event loop tells its parent."), to: None },
            Part::whole("server-hybrid/src/conversations.rs"),
        ],
        swaps: &[
            FD,
            (
                "use std::io::{self, ErrorKind, PipeReader, PipeWriter};",
                "use std::io::{self, ErrorKind, Write};\nuse crate::kernel::{PipeReader, PipeWriter};",
            ),
            ("use mio::net::", "use crate::kernel::"),
            ("use serving::", "use crate::kernel::"),
            ("use crate::post::{self, Record};", "use crate::kernel::post;"),
        ],
        mistakes: &[
            Mistake {
                name: "a_worker_that_has_ended_is_not_heard_out",
                edits: &[("            // What the worker reported before its end is in the pipe by now.\n            self.count(tally)?;\n", "")],
                found: "more conversations ended than began",
            },
            Mistake {
                name: "a_worker_is_heard_out_before_its_end",
                edits: &[
                    ("            // What the worker reported before its end is in the pipe by now.\n            self.count(tally)?;\n", ""),
                    ("        while let Some((pid, _)) = process::reap() {", "        self.count(tally)?;\n        while let Some((pid, _)) = process::reap() {"),
                ],
                found: "more conversations ended than began",
            },
        ],
    },
    Piece {
        name: "flow",
        parts: &[Part::whole("client/src/pipe/flow.rs")],
        swaps: &[
            SEQ_CST,
            FD,
            ("use std::net::", "use check::"),
            ("use common::Buffer;", "use check::Buffer;"),
            ("use serving::Bell;", "use crate::kernel::Bell;"),
            ("use super::progress::Meter;", "use check::Meter;"),
            ("serving::try_wait(", "crate::kernel::try_wait("),
        ],
        mistakes: &[Mistake {
            name: "what_is_sent_is_counted_afterwards",
            edits: &[
                ("    flow.offered.fetch_add(bytes.len() as u64, Ordering::SeqCst);\n", ""),
                ("                flow.sent.fetch_add", "                flow.offered.fetch_add(count as u64, Ordering::SeqCst);\n                flow.sent.fetch_add"),
            ],
            found: "Surplus",
        }],
    },
    Piece {
        name: "load_phases",
        parts: &[
            Part::whole("client/src/load/steer.rs"),
            Part::whole("client/src/load/course.rs"),
            Part {
                file: "client/src/load/worker.rs",
                from: Some("    /// Does what a new phase asks for, if"),
                to: Some("    fn begin_asking(&mut self) {"),
            },
            Part {
                file: "client/src/load/worker.rs",
                from: Some("    /// Lets others see how far this worker has come;"),
                to: Some("    fn outcome(mut self)"),
            },
            Part {
                file: "client/src/load.rs",
                from: Some("    /// Sets the phase and waits until every worker follows it."),
                to: Some("    /// Whether a worker has ended, which"),
            },
        ],
        swaps: &[
            SYNC,
            ("use super::schedule::Clock;", "use crate::kernel::Clock;"),
            ("use std::time::Duration;\n\nuse nix::time::{ClockId, clock_gettime};", "mod course {\nuse std::time::Duration;"),
            ("use super::steer::Phase;", "use super::Phase;"),
            (
                "    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()\n}",
                "    Duration::ZERO\n}\n}",
            ),
            ("    /// Does what a new phase asks for, if", "use check::{LOOK, Load, Worker};\nimpl Worker {\n    /// Does what a new phase asks for, if"),
            ("    /// Sets the phase and waits", "}\nimpl Load {\n    /// Sets the phase and waits"),
            ("let _ = waker.wake();\n        }\n    }\n", "let _ = waker.wake();\n        }\n    }\n}\n"),
        ],
        mistakes: &[
            Mistake {
                name: "a_ring_does_not_wait_for_who_is_about_to_sleep",
                edits: &[("        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));\n", "")],
                found: ASLEEP,
            },
            Mistake {
                name: "who_sleeps_has_looked_before_the_lock",
                edits: &[(
                    "        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);\n        if done() {\n            return true;\n        }\n",
                    "        if done() {\n            return true;\n        }\n        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);\n",
                )],
                found: ASLEEP,
            },
            Mistake {
                name: "a_worker_follows_silently",
                edits: &[("        self.counters.enter(phase);\n        self.shared.stop.bell().ring();\n", "        self.counters.enter(phase);\n")],
                found: ASLEEP,
            },
            Mistake {
                name: "a_phase_is_seen_before_its_beginning",
                edits: &[("self.phase.store(phase as u8, Ordering::Release);", "self.phase.store(phase as u8, Ordering::Relaxed);")],
                found: "a phase that began before the last one",
            },
            Mistake {
                name: "an_entry_is_seen_before_what_was_forgotten_for_it",
                edits: &[("self.entered.store(phase as u8, Ordering::Release);", "self.entered.store(phase as u8, Ordering::Relaxed);")],
                found: "what it did is not seen",
            },
            Mistake {
                name: "a_worker_enters_and_then_forgets_that_it_was_done",
                edits: &[
                    ("        self.counters.done.store(false, Ordering::Relaxed);\n", ""),
                    ("        self.counters.enter(phase);\n", "        self.counters.enter(phase);\n        self.counters.done.store(false, Ordering::Relaxed);\n"),
                ],
                found: "what it did is not seen",
            },
            Mistake {
                name: "a_worker_is_seen_to_be_done_before_what_it_did",
                edits: &[("self.counters.done.store(true, Ordering::Release);", "self.counters.done.store(true, Ordering::Relaxed);")],
                found: "what it did is not seen",
            },
        ],
    },
    Piece {
        name: "semaphore",
        parts: &[Part::whole("lab/lessons/src/semaphore.rs")],
        swaps: &[SYNC],
        mistakes: &[
            Mistake {
                name: "a_place_is_given_back_silently",
                edits: &[("self.0.freed.notify_one();", "")],
                found: ASLEEP,
            },
            Mistake {
                name: "a_sleeper_looks_only_once",
                edits: &[(
                    "self.freed.wait_while(free, |free| *free == 0)",
                    "if *free > 0 { Ok(free) } else { self.freed.wait(free) }",
                )],
                found: "overflow",
            },
        ],
    },
    Piece {
        name: "ticket_lock",
        parts: &[Part::whole("lab/lessons/src/ticket_lock.rs")],
        swaps: &[SYNC],
        mistakes: &[
            Mistake {
                name: "only_one_is_woken_and_it_may_be_the_wrong_one",
                edits: &[("changed.notify_all()", "changed.notify_one()")],
                found: ASLEEP,
            },
            Mistake {
                name: "a_number_is_not_waited_for",
                edits: &[("numbers.served != number", "numbers.served + 1 < number")],
                found: "out of turn",
            },
        ],
    },
    Piece {
        name: "watched",
        parts: &[Part::whole("lab/lessons/src/watched.rs")],
        swaps: &[SYNC],
        mistakes: &[
            Mistake {
                name: "who_begins_to_wait_does_not_say_so",
                edits: &[("push_back(who);\n            self.changed.notify_all();", "push_back(who);")],
                found: ASLEEP,
            },
            Mistake {
                name: "a_lock_is_given_back_silently",
                edits: &[("self.locks.changed.notify_all();", "")],
                found: ASLEEP,
            },
            Mistake {
                name: "a_wait_is_called_off_silently",
                edits: &[("push(who);\n        drop(table);\n        self.changed.notify_all();", "push(who);")],
                found: ASLEEP,
            },
        ],
    },
    Piece {
        name: "bounded",
        parts: &[Part::whole("lab/lessons/src/experiments/queue/bounded.rs")],
        swaps: &[SYNC, ("crate::trace::now_ns", "crate::kernel::now_ns")],
        mistakes: &[
            Mistake {
                name: "an_item_wakes_only_one_who_may_not_want_it",
                edits: &[(
                    "state.changes.push((now_ns(), 1));\n        // All, since not only takers wait for it: see `wait_for`.\n        self.filled.notify_all();",
                    "self.filled.notify_one();",
                )],
                found: ASLEEP,
            },
            Mistake {
                name: "an_item_is_taken_silently",
                edits: &[("self.emptied.notify_one();", "")],
                found: ASLEEP,
            },
            Mistake {
                name: "it_is_closed_silently",
                edits: &[("is_closed = true;\n        self.filled.notify_all();", "is_closed = true;")],
                found: ASLEEP,
            },
        ],
    },
    Piece {
        name: "interpreter_lock",
        parts: &[Part::whole("lab/lessons/src/experiments/gil/lock.rs")],
        swaps: &[SYNC],
        mistakes: &[
            Mistake {
                name: "it_is_given_back_silently",
                edits: &[("self.given_back.notify_one();", "")],
                found: ASLEEP,
            },
            Mistake {
                name: "it_is_taken_silently",
                edits: &[("self.taken.notify_all();", "")],
                found: ASLEEP,
            },
            Mistake {
                name: "who_hands_over_does_not_wait",
                edits: &[("state.waiting > 0 && state.turns == turns", "false")],
                found: "who waited did not get it",
            },
            Mistake {
                name: "who_hands_over_waits_also_alone",
                edits: &[("state.waiting > 0 && state.turns == turns", "state.turns == turns")],
                found: ASLEEP,
            },
        ],
    },
    Piece {
        name: "thread_pool",
        parts: &[Part::whole("lab/lessons/src/experiments/pool/threads.rs")],
        swaps: &[SYNC, THREAD, ("crate::trace", "crate::kernel::trace"), ("pub(in crate::experiments)", "pub(crate)")],
        mistakes: &[
            Mistake {
                name: "a_job_is_queued_silently",
                edits: &[("self.jobs.changed.notify_one();", "")],
                found: ASLEEP,
            },
            Mistake {
                name: "closing_wakes_only_one",
                edits: &[("self.jobs.changed.notify_all();", "self.jobs.changed.notify_one();")],
                found: ASLEEP,
            },
        ],
    },
    Piece {
        name: "executor",
        parts: &[Part::whole("lab/lessons/src/executor.rs")],
        swaps: &[
            SYNC,
            THREAD,
            ("std::sync::MutexGuard", "crate::sync::MutexGuard"),
            ("Weak::strong_count", "crate::sync::strong_count"),
        ],
        mistakes: &[
            Mistake {
                name: "the_bell_rings_before_the_fact",
                edits: &[
                    ("        {\n            let mut queue", "        self.ready.thread.unpark();\n        {\n            let mut queue"),
                    ("        // (thread::park).\n        self.ready.thread.unpark();", ""),
                ],
                found: ASLEEP,
            },
            Mistake {
                name: "who_drops_a_waker_does_not_say_so",
                edits: &[("    fn drop(&mut self) {\n        self.ready.thread.unpark();", "    fn drop(&mut self) {")],
                found: ASLEEP,
            },
            Mistake {
                name: "a_task_that_was_woken_and_left_is_taken_to_be_stuck",
                edits: &[("} else if ready.lock().is_empty() {", "} else {")],
                found: "Stuck",
            },
        ],
    },
];
