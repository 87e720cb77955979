//! One task per conversation: coroutines that the language itself writes.
//!
//! - Where does a conversation's state live? In its task, of some hundred bytes; a buffer is lent to it while it is polled.
//! - Who sleeps, and on what? Each task in `await` on its own socket; the one thread below them in `epoll_wait`, on all sockets,
//!   the listener and signals at once.
//! - What does one more client cost? Its task and tokio's record of its socket, some nine hundred bytes together, and what the
//!   kernel keeps for that.
//! - What happens at the limit? The listener is not looked at; clients wait in the kernel's queue.
//! - How does it stop? It wakes every task; each ends its own input, by `shutdown` on its socket, and goes on until it has ended.
//!   What is open at the drain deadline is closed.
//!
//! With `--workers N` the tasks are shared among N threads, and a task may wake on another than it slept on. Not a line of what a
//! task does is different.
#![forbid(unsafe_code)]

mod open;
mod silence;
mod sleep;
mod task;

use std::io;
use std::panic;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use anyhow::{Result, anyhow};
use clap::Parser;
use common::{AcceptPause, ServerOptions, Signals, Tally, stop};
use nix::errno::Errno;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use crate::open::Open;
use crate::silence::Ticks;
use crate::sleep::Sleep;
use crate::task::Task;

/// Serves every client in a task of its own: what it sends comes back upper-cased.
#[derive(Debug, Parser)]
#[command(name = "server-tokio", version, about)]
pub struct Options {
    /// What every server can be told.
    #[command(flatten)]
    pub server: ServerOptions,

    /// Share the tasks among N threads instead of running them all on one
    #[arg(long, env = "SHOUT_WORKERS", value_name = "N", help_heading = "Limits")]
    #[arg(value_parser = common::options::parse_count::<1_000>)]
    pub workers: Option<usize>,
}

/// The most tasks polled between two looks at the sockets. tokio looks after 61 if it is not told: with a thousand busy clients
/// that is sixteen system calls a round instead of one.
const POLLS_PER_LOOK: u32 = 1024;

/// Serves until a signal stops it.
///
/// # Errors
/// If the server cannot start, or the system takes its listener away.
pub fn run(options: &Options) -> Result<()> {
    common::start_logging(&options.server.log);
    let limit = common::connection_limit(&options.server, 1)?;
    let runtime = start_runtime(options.workers)?;
    let tally = runtime.block_on(serve(&options.server, limit))?;
    // What is still open ends with the runtime.
    drop(runtime);
    tally.log();
    Ok(())
}

/// Starts the threads that poll tasks; without `workers` the caller's own thread does, while it blocks on the main task.
fn start_runtime(workers: Option<usize>) -> Result<Runtime> {
    let mut builder = match workers {
        None => Builder::new_current_thread(),
        Some(_) => Builder::new_multi_thread(),
    };
    builder.enable_io().event_interval(POLLS_PER_LOOK);
    let Some(workers) = workers else { return Ok(builder.build()?) };
    builder.worker_threads(workers);
    // Where the system has no thread to give, tokio panics, and would then wait for ever for those that it has.
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |_| {
        common::exit_code(Err(anyhow!("cannot start {workers} threads: ask for fewer --workers")));
        std::process::exit(1);
    }));
    let started = builder.build();
    panic::set_hook(usual);
    Ok(started?)
}

/// The main task: the same paragraphs as in every server, with tasks below it.
async fn serve(options: &ServerOptions, limit: usize) -> Result<Tally> {
    // Prepare.
    let mut signals = Signals::new()?;
    let mut sleep = Sleep::new(&signals)?;
    let mut ticks = Ticks::new(options.idle_timeout);
    let open = Arc::new(Open::default());
    let mut pause = AcceptPause::default();
    let listener = common::listen(options)?;
    common::announce(&listener)?;
    let listener = TcpListener::from_std(listener)?;

    loop {
        // Wait.
        let paused = pause.until();
        let until = paused.into_iter().chain(ticks.next()).min();
        let woken = sleep
            .until(until, |cx| match paused {
                None if open.poll_fewer_than(limit, cx).is_ready() => {
                    let accept = || match listener.poll_accept(cx) {
                        Poll::Ready(accepted) => accepted,
                        Poll::Pending => Err(io::Error::from(Errno::EAGAIN)),
                    };
                    pause.accept(accept).transpose().map_or(Poll::Pending, Poll::Ready)
                }
                _ => Poll::Pending,
            })
            .await?;
        if woken.signal && signals.arrived(&open.tally()).stop {
            break;
        }

        // Admit.
        if let Some(arrival) = woken.arrival {
            let (stream, peer) = arrival?;
            log::debug!("serving {peer}");
            drop(tokio::spawn(Task::new(stream, open.begin()).run()));
        }

        // Retire.
        if ticks.passed() {
            open.tick();
        }
    }

    // Drain.
    drop(listener);
    common::announce_stopping();
    stop::begin();
    let deadline = Instant::now() + options.drain_timeout;
    while open.tally().open() > 0 && Instant::now() < deadline && !signals.stop_at_once() {
        open.wake_all();
        let look = deadline.min(Instant::now() + stop::DELIVERY_LOOK);
        let woken = sleep.until(Some(look), |cx| open.poll_fewer_than(1, cx)).await?;
        if woken.signal {
            signals.arrived(&open.tally());
        }
    }
    // A copy: what a task ends from now on has been cut.
    let mut tally = open.tally();
    tally.cut_open();
    Ok(tally)
}
