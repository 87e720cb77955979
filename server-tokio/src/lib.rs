//! One task per conversation: coroutines that the language itself writes.
//!
//! - Where does a conversation's state live? In its task, of some hundred bytes; a buffer is lent
//!   to it while it is polled.
//! - Who sleeps, and on what? Each task in `await` on its own socket; the one thread below them in
//!   `epoll_wait`, on all sockets, the listener and signals at once.
//! - What does one more client cost? Its task and tokio's record of its socket, some nine hundred
//!   bytes together, and what the kernel keeps for that.
//! - What happens at the limit? The listener is not looked at; clients wait in the kernel's queue.
//! - How does it stop? The main task wakes every task now and then; each ends its own input, by
//!   `shutdown`, when its client pauses, and goes on until it has ended. What is open at the end
//!   goes with the runtime.
//!
//! With `--workers N` the tasks are shared among N threads, and a task may wake on another than it
//! slept on. Not a line of what a task does is different. Where there is no memory for a task,
//! tokio aborts the process.
#![forbid(unsafe_code)]

mod conversations;
mod listener;
mod options;
mod runtime;
mod sleep;
mod task;

use anyhow::Result;
use serving::{Admission, Drain, Signals, Tally};

use crate::conversations::Conversations;
use crate::listener::Listener;
pub use crate::options::Options;
use crate::sleep::Sleep;

/// Serves until a signal stops it.
///
/// # Errors
/// If the server cannot start, or the system takes its listener away.
pub fn run(options: &Options) -> Result<()> {
    let runtime = runtime::start(options.workers)?;
    let tally = runtime.block_on(serve(options))?;
    // What is still open ends with the runtime.
    drop(runtime);
    tally.log();
    Ok(())
}

/// The main task: the same paragraphs as in every server, with tasks below it.
async fn serve(options: &Options) -> Result<Tally> {
    // Prepare.
    serving::start_logging(&options.server.log);
    let limit = serving::connection_limit(&options.server, 1)?;
    let mut signals = Signals::new()?;
    let mut sleep = Sleep::new(&signals)?;
    let mut open = Conversations::new(&options.server);
    let mut tally = Tally::default();
    let mut admission = Admission::new(limit);
    let mut listener = Listener::new(serving::listen(&options.server)?)?;
    serving::announce(&listener)?;

    while !admission.is_over(tally.open()) {
        // Wait.
        let watched = admission.has_room(tally.open()).then_some(&mut listener);
        let [arrival, signal] = sleep.until(admission.until(), watched, &mut open).await?;
        if signal && signals.ask_to_stop(&tally) {
            admission.end(&listener);
        }

        // Admit.
        if arrival && let Some((stream, peer)) = admission.accept(|| listener.accept())? {
            log::debug!("serving {peer}");
            tally.accept();
            let mut conversation = open.begin(stream);
            tokio::spawn(async move { conversation.serve().await });
        }

        // Retire.
        open.retire(&mut tally);
    }

    // Drain.
    drop(listener);
    serving::announce_stopping();
    let mut drain = Drain::begin(options.server.drain_timeout);
    while tally.open() > 0 && !drain.is_over() && !signals.stop_at_once() {
        if drain.looks_again() {
            open.end_input(drain);
        }
        sleep.until(Some(drain.next_look()), None, &mut open).await?;
        signals.ask_to_stop(&tally);
        open.retire(&mut tally);
    }
    tally.cut_open();
    Ok(tally)
}
