//! Prefork: a fixed pool of processes that accept on the one listener themselves, each serving one conversation at a time.
//!
//! The kernel hands every new connection to the worker that has slept in `accept` for longest, so the parent touches no client
//! at all. It starts the workers, replaces those that die, and counts: each worker writes four bytes into a pipe when a
//! conversation begins and when it ends, so a worker that is killed takes one conversation's outcome with it and no more.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use common::process::{self, Name, Places};
use common::{AcceptPause, Buffer, Outcome, Signals, Tally, stop};
use nix::sys::signal::Signal;
use socket2::SockRef;

use crate::{Options, child};

/// Serves with `workers` processes until a signal stops it.
///
/// # Errors
/// If the server cannot start, or the system takes its signals away.
pub fn run(options: &Options, workers: usize) -> Result<()> {
    // Prepare.
    let mut signals = Signals::new()?;
    let mut buffer = Buffer::new();
    let mut tally = Tally::default();
    let mut pool = Pool::new(workers)?;
    let listener = common::listen(&options.server)?;
    listener.set_nonblocking(false)?;
    common::announce(&listener)?;

    loop {
        // Admit.
        if let Some(place) = pool.places.start_missing(child::fork) {
            work(place, &listener, &pool.report, &mut buffer);
        }

        // Wait.
        let [signal, event] =
            common::wait([Some(signals.as_fd()), Some(pool.events.as_fd())], pool.places.next_start())?;
        // Counted first, so that a status that is asked for is not older than the question.
        if event {
            pool.count(&mut tally)?;
        }
        let arrived = if signal { signals.arrived(&tally) } else { Default::default() };
        if arrived.stop {
            break;
        }

        // Retire.
        if arrived.child {
            pool.retire(&mut tally)?;
        }
    }

    // Drain.
    drop(listener);
    common::announce_stopping();
    stop::begin();
    let deadline = Instant::now() + options.server.drain_timeout;
    pool.retire(&mut tally)?;
    while pool.places.living() > 0 && Instant::now() < deadline && !signals.stop_at_once() {
        process::signal_children(Signal::SIGTERM)?;
        common::wait([Some(signals.as_fd()), Some(pool.events.as_fd())], Some(deadline))?;
        pool.count(&mut tally)?;
        // Before the look at the workers: whose end comes after that look must be heard of again.
        signals.arrived(&tally);
        pool.retire(&mut tally)?;
    }
    process::kill_children()?;
    pool.count(&mut tally)?;
    tally.cut_open();
    tally.log();
    Ok(())
}

#[derive(Debug)]
struct Pool {
    places: Places,
    /// Whether the process in a place has begun a conversation that it has not ended.
    busy: Vec<bool>,
    events: PipeReader,
    report: PipeWriter,
}

impl Pool {
    fn new(workers: usize) -> io::Result<Self> {
        let (events, report) = io::pipe()?;
        Ok(Self { places: Places::new(workers), busy: vec![false; workers], events, report })
    }

    /// Counts what the workers have written into the pipe so far; never waits.
    fn count(&mut self, tally: &mut Tally) -> io::Result<()> {
        // Records are written whole, so a buffer that holds a whole number of them never splits one (pipe(7)).
        let mut records = [0; Record::BYTES * 256];
        while common::wait([Some(self.events.as_fd())], Some(Instant::now()))? == [true] {
            let length = self.events.read(&mut records)?;
            for record in records[..length].chunks_exact(Record::BYTES).filter_map(Record::decode) {
                self.busy[record.place] = record.outcome.is_none();
                match record.outcome {
                    None => tally.accept(),
                    Some(outcome) => tally.close(outcome),
                }
            }
        }
        Ok(())
    }

    /// Empties the places of workers that have ended, and counts the conversations that ended with them as failed.
    fn retire(&mut self, tally: &mut Tally) -> io::Result<()> {
        while let Some((pid, _)) = process::reap() {
            // What the worker wrote before its end is in the pipe by now.
            self.count(tally)?;
            if let Some(index) = self.places.ended(pid)
                && std::mem::take(&mut self.busy[index])
            {
                tally.close(Outcome::Failed);
            }
        }
        Ok(())
    }
}

/// What a worker tells its parent: the conversation in `place` has begun, or has ended with `outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record {
    place: usize,
    outcome: Option<Outcome>,
}

impl Record {
    const BYTES: usize = 4;

    const OUTCOMES: [Option<Outcome>; 4] =
        [None, Some(Outcome::Completed), Some(Outcome::Failed), Some(Outcome::TimedOut)];

    fn encode(self) -> [u8; Self::BYTES] {
        let outcome = match self.outcome {
            None => 0,
            Some(Outcome::Completed) => 1,
            Some(Outcome::Failed) => 2,
            Some(Outcome::TimedOut) => 3,
        };
        let [low, high, ..] = self.place.to_le_bytes();
        [low, high, outcome, 0]
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let &[low, high, outcome, 0] = bytes else { return None };
        let outcome = *Self::OUTCOMES.get(usize::from(outcome))?;
        Some(Self { place: usize::from(u16::from_le_bytes([low, high])), outcome })
    }
}

/// A worker's life: one conversation after the other, until it is told to stop.
fn work(place: usize, listener: &TcpListener, report: &PipeWriter, buffer: &mut Buffer) -> ! {
    child::close_all_but([listener.as_raw_fd(), report.as_raw_fd()]);
    child::close_when_stopped(listener);
    let tell = |outcome| {
        let told = (&*report).write_all(&Record { place, outcome }.encode());
        // Without a parent nobody counts, and the kernel is about to kill this process anyway.
        if told.is_err() {
            child::exit(Outcome::Failed);
        }
    };
    let mut pause = AcceptPause::default();
    let idle = Name::of(&"idle");
    idle.show();
    while !stop::stopping() {
        match pause.accept(|| accept(listener)) {
            Ok(Some((stream, peer))) => {
                tell(None);
                log::debug!("serving {peer}");
                Name::of(&peer).show();
                let outcome = child::converse(&stream, buffer);
                drop(stream);
                tell(Some(outcome));
                idle.show();
            }
            Ok(None) => thread::sleep(pause.until().map_or(Duration::ZERO, |until| until - Instant::now())),
            // A stop closes the listener, so that it is not missed just before the sleep in `accept`.
            Err(_) if stop::stopping() => {}
            Err(error) => {
                log::error!("{error:#}");
                child::exit(Outcome::Failed);
            }
        }
    }
    child::exit(Outcome::Completed)
}

/// Sleeps until a connection arrives. Unlike std's `accept` it also comes back when a signal has been handled.
fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (socket, peer) = SockRef::from(listener).accept()?;
    let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    Ok((socket.into(), peer.as_socket().unwrap_or(unknown)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_the_pipe() {
        for outcome in Record::OUTCOMES {
            for place in [0, 1, 255, 256, 9_999] {
                let record = Record { place, outcome };
                assert_eq!(Record::decode(&record.encode()), Some(record));
            }
        }
    }
}
