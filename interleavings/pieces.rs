/// What stands for the standard library.
const SYNC: (&str, &str) = ("use std::sync::", "use crate::sync::");
const THREAD: (&str, &str) = ("use std::thread::", "use crate::sync::thread::");

/// A wake-up is missing: somebody sleeps for ever.
const ASLEEP: &str = "deadlock";

const PIECES: &[Piece] = &[
    Piece {
        name: "semaphore",
        file: "lab/lessons/src/semaphore.rs",
        from: None,
        to: None,
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
        file: "lab/lessons/src/ticket_lock.rs",
        from: None,
        to: None,
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
        file: "lab/lessons/src/watched.rs",
        from: None,
        to: None,
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
        file: "lab/lessons/src/experiments/queue/bounded.rs",
        from: None,
        to: None,
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
        file: "lab/lessons/src/experiments/gil/lock.rs",
        from: None,
        to: None,
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
        file: "lab/lessons/src/experiments/pool/threads.rs",
        from: None,
        to: None,
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
        file: "lab/lessons/src/executor.rs",
        from: None,
        to: None,
        swaps: &[
            SYNC,
            THREAD,
            ("std::sync::MutexGuard", "crate::sync::MutexGuard"),
            ("Arc::strong_count", "crate::sync::strong_count"),
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
                name: "a_task_that_was_woken_and_left_is_taken_to_be_stuck",
                edits: &[("} else if ready.lock().is_empty() {", "} else {")],
                found: "Stuck",
            },
        ],
    },
];
