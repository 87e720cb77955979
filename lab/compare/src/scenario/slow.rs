//! Half of the clients send much and read slowly: what happens to the others?

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use client::load::LoadOptions;

use super::run::Run;
use super::{requests, window};
use crate::document::AloneRecord;
use crate::driven::Driven;
use crate::metric::Metric;
use crate::profile::{OneAtATime, Profile};

pub(super) const PROFILE: Profile = Profile {
    title: "Slow readers",
    about: "Half of the clients send as much as the server takes, and read 1 KiB of its answers every 10 ms. The other half ask \
            as in `requests`, and only they are measured: first without the slow ones, then with them, once the server takes no \
            more than they read. A server that waits for one reader makes all others wait.",
    connections: [&[], &[20], &[20, 100]],
    least_connections: 2,
    one_at_a_time: OneAtATime::Not,
    metrics: &[Metric::Disturbed, Metric::P99, Metric::Rate, Metric::Memory],
    ..requests::PROFILE
};

/// How often a slow client reads, and how many bytes at most.
const PAUSE: Duration = Duration::from_millis(10);
const READ_BYTES: usize = 1024;

/// What a slow client sends at a time, as often as the socket takes it.
const CHUNK: [u8; 16 * 1024] = [b's'; 16 * 1024];

/// Bytes that a slow client sends in a turn at most, so that all get theirs: a server with a bound
/// stops taking far earlier.
const TURN_BYTES: usize = 4 << 20;

/// They are held back when they can send no more than this in a turn, on average. Until then they
/// are bulk talkers, which `mixed` is about.
const HELD_BACK_BYTES: usize = 4 * READ_BYTES;

/// A server that holds nobody back by then is measured as it is.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn drive(run: &Run<'_>) -> Result<Driven> {
    let slow = run.load.connections / 2;
    let mut load = run.load.clone();
    load.connections -= slow;
    load.duration /= 2;
    let alone = window::measure(run, &load)?;
    if run.interrupt.raised() || alone.fault.is_some() {
        return Ok(alone);
    }
    let clients = connect(&load, slow)?;
    let (held_back, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let answer = if load.echo { b's' } else { b'S' };
    let mut driven = thread::scope(|scope| {
        let readers = thread::Builder::new()
            .name("slow".to_owned())
            .spawn_scoped(scope, || read_slowly(clients, answer, &held_back, &over))
            .context("cannot start a thread")?;
        let deadline = Instant::now() + PATIENCE;
        while !held_back.load(Ordering::Acquire)
            && Instant::now() < deadline
            && !readers.is_finished()
            && !run.interrupt.raised()
        {
            thread::sleep(PAUSE);
        }
        let measured = window::measure(run, &load);
        over.store(true, Ordering::Release);
        let disturbed = readers.join().map_err(|_| anyhow!("the slow readers have panicked"))?;
        let mut driven = measured?;
        if let Err(error) = disturbed {
            driven.fault.get_or_insert_with(|| format!("a slow reader: {error:#}"));
        }
        anyhow::Ok(driven)
    })?;
    driven.round.alone = Some(AloneRecord::of(&alone.round));
    Ok(driven)
}

fn connect(load: &LoadOptions, count: usize) -> Result<Vec<TcpStream>> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let client = TcpStream::connect(load.address).context("cannot connect a slow reader")?;
        client.set_nonblocking(true)?;
        clients.push(client);
    }
    Ok(clients)
}

/// Until it is over; says when all are held back. Every byte that comes back is looked at.
fn read_slowly(
    mut clients: Vec<TcpStream>,
    answer: u8,
    held_back: &AtomicBool,
    over: &AtomicBool,
) -> Result<()> {
    let mut buffer = [0; READ_BYTES];
    while !over.load(Ordering::Acquire) {
        let mut sent = 0;
        for client in &mut clients {
            sent += send_all_it_takes(client)?;
            match client.read(&mut buffer) {
                Ok(0) => bail!("the server closed its connection"),
                Ok(count) if buffer[..count].iter().any(|byte| *byte != answer) => bail!("a byte is wrong"),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        if sent <= clients.len() * HELD_BACK_BYTES {
            held_back.store(true, Ordering::Release);
        }
        // No synchronisation: this is the pace of a slow reader.
        thread::sleep(PAUSE);
    }
    Ok(())
}

fn send_all_it_takes(client: &mut TcpStream) -> Result<usize> {
    let mut sent = 0;
    while sent < TURN_BYTES {
        match client.write(&CHUNK) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(sent)
}
