//! Model checks of all that two threads or processes share and that is made by hand: each piece's
//! own source, in every order that its threads can take, and with every value that a weakly ordered
//! load can see (by `loom`).
//!
//! `build.rs` takes the sources as they are, and puts the [`sync`] and the [`kernel`] of the model
//! where they name the standard library and the system. So nothing in them is there for this, and
//! what is checked is what runs. It also writes variants with a mistake each, which are listed
//! beside the pieces in `pieces.rs`: a check that finds none of them would prove nothing.
//!
//! At most [`PREEMPTIONS`] times per order a thread is interrupted where it could go on; blocking
//! is not counted. `LOOM_MAX_PREEMPTIONS=5 cargo test --release -p interleavings` looks further.
#![cfg(test)]

mod kernel;
mod sync;

// Only so that they are formatted: they belong to each variant.
#[cfg(any())]
mod checks;

use std::panic::{self, AssertUnwindSafe};

include!(concat!(env!("OUT_DIR"), "/pieces.rs"));

/// Nearly all mistakes ever found in such code take two (Musuvathi and Qadeer, "Iterative Context
/// Bounding for Systematic Testing of Multithreaded Programs", 2007).
const PREEMPTIONS: usize = 3;

/// Runs `check` in every order.
fn holds(check: fn()) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound.get_or_insert(PREEMPTIONS);
    model.check(check);
}

/// Runs `check` in every order until it fails, as it must, with a message that contains `found`.
fn is_found(check: fn(), found: &str) {
    let failed = panic::catch_unwind(AssertUnwindSafe(|| holds(check))).expect_err("nothing was found");
    let message = failed.downcast_ref::<String>().map(String::as_str);
    let message = message.or(failed.downcast_ref::<&str>().copied()).unwrap_or_default();
    assert!(message.contains(found), "it was something else: {message}");
}
