//! What polls the tasks.

use std::{panic, process};

use anyhow::{Context, Result, anyhow};
use tokio::runtime::{Builder, Runtime};

use crate::task;

/// The most tasks polled between two looks at the sockets. tokio looks after 61 if it is not told:
/// with a thousand busy clients that is sixteen system calls a round instead of one.
const POLLS_PER_LOOK: u32 = 1024;

/// What an error of the system means here.
const WHY: &str = "cannot make the event queue: raise the limit on descriptors (ulimit -n, LimitNOFILE=)";

/// Exit code of a program that panicked.
const PANICKED: i32 = 101;

/// Starts the threads that poll tasks; without `workers` the caller's own thread does, while it
/// blocks on the main task.
///
/// # Errors
/// If there is no descriptor for the event queue: a line that says what to raise. Where the system
/// has no thread to give, this says so and ends the process.
pub(crate) fn start(workers: Option<usize>) -> Result<Runtime> {
    let mut builder = match workers {
        None => Builder::new_current_thread(),
        Some(_) => Builder::new_multi_thread(),
    };
    builder.enable_io().event_interval(POLLS_PER_LOOK);
    let Some(workers) = workers else { return builder.build().context(WHY) };
    builder.worker_threads(workers);
    // Without a thread tokio panics, and would then wait for ever for those that it has.
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |_| {
        serving::exit_code(Err(anyhow!("cannot start {workers} threads: ask for fewer --workers")));
        process::exit(1);
    }));
    let started = builder.build();
    // A thread that loses the event queue panics too, and the others would wait for it for ever.
    panic::set_hook(Box::new(move |panic| {
        usual(panic);
        if !task::is_in_turn() {
            process::exit(PANICKED);
        }
    }));
    started.context(WHY)
}
