//! What a recording of a lesson and its small program have in common: which variants do it, and after
//! which fact a lane is at which of its lines.

use super::super::{Code, Fact, Lines, Recorded, Rule};
use crate::trace::State::{self, Blocked, Holding, Running, Sleeping, Waiting};

/// From any line.
const ANY: Lines = (0, usize::MAX);

const fn mark(from: Lines, label: &'static str, to: Lines) -> Rule {
    Rule { from, fact: Fact::Mark(label), to }
}

const fn is(from: Lines, state: State, what: Option<&'static str>, to: Lines) -> Rule {
    Rule { from, fact: Fact::Is(state, what), to }
}

const fn wrong(variant: &'static str, codes: &'static [Code]) -> Recorded {
    Recorded { variant, is_right: false, codes }
}

const fn right(variant: &'static str, codes: &'static [Code]) -> Recorded {
    Recorded { variant, is_right: true, codes }
}

pub(super) fn counter() -> Vec<Recorded> {
    const RACING: &[Code] = &[Code {
        lanes: "worker",
        threads: &[0],
        rules: &[mark(ANY, "read", (1, 2)), is((1, 2), Sleeping, None, (1, 3)), mark(ANY, "write", (3, 3))],
    }];
    const LOCKING: &[Code] = &[Code {
        lanes: "worker",
        threads: &[0],
        rules: &[
            is(ANY, Waiting, None, (0, 1)),
            is(ANY, Holding, None, (1, 2)),
            mark(ANY, "read", (2, 4)),
            mark(ANY, "write", (4, 5)),
            is((1, 5), Running, None, (5, 5)),
        ],
    }];
    vec![
        wrong("no-pause", RACING),
        wrong("race", RACING),
        wrong("barrier", RACING),
        wrong("gil", RACING),
        right("mutex", LOCKING),
    ]
}

pub(super) fn tickets() -> Vec<Recorded> {
    const LOOKING: &[Code] = &[Code {
        lanes: "buyer",
        threads: &[0],
        rules: &[
            is(ANY, Blocked, Some("until all have read"), (1, 2)),
            is(ANY, Sleeping, Some("network"), (2, 4)),
            mark(ANY, "bought", (5, 5)),
            mark(ANY, "sold out", (5, 5)),
        ],
    }];
    // With the lock in hand it does what is not told apart; it says what came of it afterwards.
    const LOCKING: &[Code] = &[Code {
        lanes: "buyer",
        threads: &[0],
        rules: &[
            is(ANY, Waiting, None, (0, 1)),
            is(ANY, Holding, None, (1, 6)),
            is((1, 6), Running, None, (6, 7)),
            mark(ANY, "bought", (7, 7)),
            mark(ANY, "sold out", (7, 7)),
        ],
    }];
    vec![wrong("no-lock", LOOKING), right("lock", LOCKING), right("lock-look", LOCKING)]
}

pub(super) fn deadlock() -> Vec<Recorded> {
    // Every thread does the one and then the other.
    const CROSSWISE: &[Code] = &[Code {
        lanes: "thread",
        threads: &[0, 1],
        rules: &[
            is((0, 2), Waiting, Some("mutexB"), (1, 2)),
            is((0, 1), Holding, None, (1, 2)),
            is((1, 2), Holding, None, (2, 4)),
            is((2, 4), Running, None, (4, 5)),
            is((4, 5), Holding, None, (5, 6)),
            is((5, 6), Holding, Some(""), (6, 8)),
            // Its wait was called off, or it has given both back.
            is((1, 2), Running, None, (8, 8)),
            is((5, 8), Running, None, (8, 8)),
        ],
    }];
    const ORDERED: &[Code] = &[Code {
        lanes: "thread",
        threads: &[0, 1],
        rules: &[
            is((0, 2), Waiting, Some("mutexB"), (1, 2)),
            is((0, 1), Holding, None, (1, 2)),
            is((1, 2), Holding, None, (2, 4)),
            is((2, 4), Running, None, (4, 5)),
            is((4, 6), Waiting, Some("mutexB"), (5, 6)),
            is((4, 5), Holding, None, (5, 6)),
            is((5, 6), Holding, Some(""), (6, 8)),
            is((5, 8), Running, None, (8, 8)),
        ],
    }];
    vec![wrong("crosswise", CROSSWISE), right("ordered", ORDERED)]
}

pub(super) fn semaphore() -> Vec<Recorded> {
    const ASKING: &[Code] = &[Code {
        lanes: "thread",
        threads: &[0],
        rules: &[
            is(ANY, Waiting, None, (0, 1)),
            is(ANY, Holding, None, (1, 3)),
            is((1, 3), Running, None, (4, 4)),
        ],
    }];
    vec![right("semaphore", ASKING)]
}

pub(super) fn event() -> Vec<Recorded> {
    const LOOKING: &[Code] = &[
        Code {
            lanes: "car",
            threads: &[0],
            rules: &[
                mark(ANY, "looks", (1, 2)),
                is(ANY, Blocked, None, (1, 3)),
                is(ANY, Waiting, None, (2, 3)),
                is((1, 3), Running, None, (3, 4)),
                mark(ANY, "drives", (4, 4)),
            ],
        },
        Code { lanes: "light", threads: &[1], rules: &[mark(ANY, "turns green", (1, 2))] },
    ];
    const WAITING: &[Code] = &[
        Code {
            lanes: "car",
            threads: &[0],
            // The lock, the look and the wait are not told apart.
            rules: &[is(ANY, Waiting, None, (0, 4)), mark(ANY, "looks", (2, 4)), mark(ANY, "drives", (6, 6))],
        },
        Code {
            lanes: "light",
            threads: &[1],
            rules: &[is(ANY, Running, Some("green"), (1, 2)), mark(ANY, "turns green", (2, 4))],
        },
    ];
    vec![wrong("look-then-wait", LOOKING), right("event", WAITING)]
}

pub(super) fn queue() -> Vec<Recorded> {
    // Between two items each does what is not in the program.
    const CODES: &[Code] = &[
        Code {
            lanes: "producer",
            threads: &[0],
            rules: &[is(ANY, Blocked, Some("for a place"), (0, 1)), is(ANY, Sleeping, None, (0, 0))],
        },
        Code {
            lanes: "consumer",
            threads: &[1],
            rules: &[is(ANY, Blocked, Some("for an item"), (0, 1)), is(ANY, Sleeping, None, (0, 0))],
        },
    ];
    vec![right("unbounded", CODES), right("threads", CODES), right("processes", CODES)]
}
