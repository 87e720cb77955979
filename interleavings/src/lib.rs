//! Model checks of all that two threads or processes share and that is made by hand: each piece's
//! own source, in every order that its threads can take, and with every value that a weakly ordered
//! load can see (by `loom`).
//!
//! `build.rs` takes the sources as they are, and puts the `sync` and the `kernel` of the model
//! where they name the standard library and the system. So nothing in them is there for this, and
//! what is checked is what runs. It also writes variants with a mistake each, which are listed
//! beside the pieces in `pieces.rs`: a check that finds none of them would prove nothing.
//!
//! At most `PREEMPTIONS` times per order a thread is interrupted where it could go on; blocking
//! is not counted. `LOOM_MAX_PREEMPTIONS=3 cargo test -p interleavings` looks further.
#![cfg(test)]

mod kernel;
mod sync;

// Only so that they are formatted: they belong to each variant.
#[cfg(any())]
mod checks;

use std::process::{self, Command};
use std::{env, panic};

include!(concat!(env!("OUT_DIR"), "/pieces.rs"));

/// Nearly all mistakes ever found in such code take two (Musuvathi and Qadeer, "Iterative Context
/// Bounding for Systematic Testing of Multithreaded Programs", 2007).
const PREEMPTIONS: usize = 2;

/// Runs `check` in every order.
fn holds(check: fn()) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound.get_or_insert(PREEMPTIONS);
    model.check(check);
}

/// Names the test that is to run in a process of its own.
const ALONE: &str = "INTERLEAVINGS_ALONE";

/// Runs `check` in every order until it fails, as it must, with a message that contains `found`.
///
/// It does so in a process of its own, which ends with the message: what a model of threads has left
/// behind in the middle cannot be dropped in order.
fn is_found(test: &str, check: fn(), found: &str) {
    if env::var(ALONE).is_ok_and(|alone| alone == test) {
        panic::set_hook(Box::new(|panic| {
            eprintln!("{panic}");
            process::exit(1);
        }));
        return holds(check);
    }
    let mut alone = Command::new(env::current_exe().unwrap());
    let ended = alone.args(["--exact", test, "--nocapture"]).env(ALONE, test).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success(), "nothing was found: {}", String::from_utf8_lossy(&ended.stdout));
    assert!(said.contains(found), "it was something else: {said}");
}
