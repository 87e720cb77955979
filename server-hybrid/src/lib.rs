//! Processes, threads in them, and an event loop in each thread: what uses all cores, composed of what is known.
//!
//! - Where does a conversation's state live? In an entry of a table of one event loop, as in `server-mio`.
//! - Who sleeps, and on what? Each loop in `epoll_wait` on its own sockets, its own listener, and its inbox; each worker process's
//!   main thread, and the parent, in `poll` on signals.
//! - What does one more client cost? What it costs `server-mio`.
//! - What happens at the limit? No loop looks at its listener; a place that is freed goes to a loop that wants one, wherever it is.
//! - How does it stop? The parent sends each worker process a SIGTERM; each rings its loops, which stop as `server-mio` does. At the
//!   drain deadline workers are killed.
//!
//! Every loop has a listener of its own on the one address (SO_REUSEPORT), made by the parent before the first fork and kept by it: a
//! worker that dies leaves its clients in the queue to its successor.
#![deny(unsafe_op_in_unsafe_fn)]

mod ledger;
mod post;
mod shared;
mod worker;

use std::net::TcpListener;
use std::ops::Range;
use std::os::fd::AsFd;
use std::thread;
use std::time::Instant;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use common::process::{self, Places};
use common::{ServerOptions, Signals, Tally, stop};
use nix::sys::signal::Signal;

use crate::ledger::Ledger;
use crate::post::{Inbox, Post};
use crate::worker::{Desk, House};

/// Serves all clients in the event loops of several threads in several processes: what they send comes back upper-cased.
#[derive(Debug, Parser)]
#[command(name = "server-hybrid", version, about)]
pub struct Options {
    /// What every server can be told.
    #[command(flatten)]
    pub server: ServerOptions,

    /// Worker processes [default: as many as this process may use cores]
    #[arg(long, env = "SHOUT_PROCESSES", value_name = "P", help_heading = "Workers")]
    #[arg(value_parser = common::options::parse_count::<1_000>)]
    pub processes: Option<usize>,

    /// Threads in each worker process, each with an event loop
    #[arg(long, env = "SHOUT_THREADS", value_name = "T", default_value = "1", help_heading = "Workers")]
    #[arg(value_parser = common::options::parse_count::<1_000>)]
    pub threads: usize,

    /// How clients are spread over the event loops
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Balance::HandOver, help_heading = "Workers")]
    pub balance: Balance,
}

/// How clients are spread over the event loops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Balance {
    /// By the kernel's hash of their addresses, which is uneven by chance
    Hash,
    /// The same, and who gets a client while another clearly has fewer hands it over
    HandOver,
}

/// Serves until a signal stops it.
///
/// # Errors
/// If the server cannot start, or the system takes its signals away.
pub fn run(options: &Options) -> Result<()> {
    // Prepare.
    common::start_logging(&options.server.log);
    process::require_one_thread()?;
    let processes =
        options.processes.unwrap_or_else(|| thread::available_parallelism().map_or(1, Into::into));
    let loops = processes * options.threads;
    // A worker keeps everybody's post, and of its own loops the listener, the inbox, the event queue and the alarm.
    let own = loops + 4 * options.threads;
    let (limit, share) = common::shared_connection_limit(&options.server, processes, own)?;
    let mut signals = Signals::new()?;
    let mut pool = Pool::new(options, processes, limit, share)?;
    let mut gone = Tally::default();
    common::announce(&pool.listeners[0])?;

    loop {
        // Admit.
        if let Some(place) = pool.places.start_missing(process::fork) {
            pool.work(place, &mut signals);
        }

        // Wait.
        let [signal] = common::wait([Some(signals.as_fd())], pool.places.next_start())?;
        let arrived = if signal { signals.arrived(&pool.tally(gone)) } else { Default::default() };
        if arrived.stop {
            break;
        }

        // Retire.
        if arrived.child {
            pool.retire(&mut gone);
        }
    }

    // Drain.
    pool.listeners.clear();
    common::announce_stopping();
    stop::begin();
    let deadline = Instant::now() + options.server.drain_timeout;
    pool.retire(&mut gone);
    while pool.places.living() > 0 && Instant::now() < deadline && !signals.stop_at_once() {
        process::signal_children(Signal::SIGTERM)?;
        common::wait([Some(signals.as_fd())], Some(deadline))?;
        // Before the look at the workers: whose end comes after that look must be heard of again.
        signals.arrived(&pool.tally(gone));
        pool.retire(&mut gone);
    }
    process::kill_children()?;
    let mut tally = pool.tally(gone);
    tally.cut_open();
    tally.log();
    Ok(())
}

/// The worker processes, and what they and their successors inherit, a piece for each event loop.
#[derive(Debug)]
struct Pool<'a> {
    options: &'a Options,
    places: Places,
    listeners: Vec<TcpListener>,
    inboxes: Vec<Inbox>,
    post: Post,
    ledger: Ledger,
    /// The most conversations of one loop.
    share: usize,
}

impl<'a> Pool<'a> {
    fn new(options: &'a Options, processes: usize, limit: usize, share: usize) -> Result<Self> {
        let loops = processes * options.threads;
        let (post, inboxes) = post::open(loops)?;
        Ok(Self {
            options,
            places: Places::new(processes),
            listeners: common::listen_many(&options.server, loops)?,
            inboxes,
            post,
            ledger: Ledger::new(loops, limit)?,
            share: (share / options.threads).max(1),
        })
    }

    /// The loops of the process in a place.
    fn loops(&self, index: usize) -> Range<usize> {
        let threads = self.options.threads;
        index * threads..(index + 1) * threads
    }

    /// A worker's life, in the child: it keeps its own listeners and inboxes, and closes the others'.
    fn work(&mut self, index: usize, signals: &mut Signals) -> ! {
        let loops = self.loops(index);
        let listeners: Vec<_> = self.listeners.drain(..).skip(loops.start).take(loops.len()).collect();
        let inboxes: Vec<_> = self.inboxes.drain(..).skip(loops.start).take(loops.len()).collect();
        let desks = loops.zip(listeners.into_iter().zip(inboxes));
        let desks = desks.map(|(index, (listener, inbox))| Desk { index, listener, inbox }).collect();
        let house = House { options: self.options, ledger: self.ledger, post: &self.post, share: self.share };
        worker::work(index, house, desks, signals)
    }

    /// Empties the places of workers that have ended, and counts the conversations that ended with them as failed.
    fn retire(&mut self, gone: &mut Tally) {
        while let Some((pid, _)) = process::reap() {
            let Some(index) = self.places.ended(pid) else { continue };
            for index in self.loops(index) {
                let (mut tally, lucky) = self.ledger.bury(index);
                tally.cut_open();
                *gone = sum([*gone, tally]);
                lucky.into_iter().for_each(|index| self.post.ring(index));
            }
        }
    }

    /// What all have counted, those that are `gone` and those that live.
    fn tally(&self, gone: Tally) -> Tally {
        let loops = self.places.count() * self.options.threads;
        sum((0..loops).map(|index| self.ledger.tally(index)).chain([gone]))
    }
}

fn sum(tallies: impl IntoIterator<Item = Tally>) -> Tally {
    let mut sum = [0; 4];
    for tally in tallies {
        sum.iter_mut().zip(tally.counts()).for_each(|(sum, count)| *sum += count);
    }
    Tally::from_counts(sum)
}
