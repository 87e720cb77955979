/// What stands for `std::sync` in a file that names it in one line.
const SYNC: (&str, &str) = ("use std::sync::", "use crate::sync::");

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
                found: "deadlock",
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
];
