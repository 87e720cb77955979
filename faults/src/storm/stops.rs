//! The server is told to stop at random moments, amid conversations of every kind; nothing is lost
//! of what the stop promises.
//!
//! That is: whoever had connected before and has room is served; whoever has been answered once,
//! and does not pause, is served to the end; nobody receives a wrong byte; the exit code is 0, and
//! every conversation is counted. A client that this machine has let wait for long between two
//! questions has paused, and one that came after the signal may be turned away without a word.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use tests::Random;

use super::{DEADLINE, Length, Weather, check_stopped, start};
use crate::client::{Client, Said};
use crate::subject::Subject;

/// The latest moment of a stop, after the first clients have come.
const LATEST_MILLIS: usize = 250;

/// A client that has been silent for less has not paused: a stop takes 200 ms for a pause.
const NO_PAUSE: Duration = Duration::from_millis(150);

/// What one client does.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// Asks again and again, without a pause, and then ends.
    Chats,
    /// Sends very much, and receives it meanwhile.
    Pours,
    /// Asks once and leaves; then another comes.
    Passes,
    /// Has asked once, and stays silent.
    Rests,
}

/// What became of one conversation.
#[derive(Debug)]
struct Told {
    manner: Manner,
    said: Said,
    bytes: u64,
    connected: Instant,
    longest_pause: Duration,
}

pub(super) fn storm(subject: &Subject, length: Length<'_>, random: &mut Random) -> Result<Weather> {
    let is_over = length.begin();
    let mut weather =
        Weather { figure: "stops, nothing lost that was promised".to_owned(), ..Weather::default() };
    while !is_over() && weather.failures.len() < 5 {
        let failed = weather.failures.len();
        one(subject, random, &mut weather)?;
        weather.events += u64::from(weather.failures.len() == failed);
    }
    Ok(weather)
}

fn one(subject: &Subject, random: &mut Random, weather: &mut Weather) -> Result<()> {
    // Sometimes there are fewer places than clients, and some wait in the queue.
    let is_narrow = subject.places() == usize::MAX && random.draw().is_multiple_of(2);
    let limit = is_narrow.then_some("--max-connections=4");
    let options: Vec<_> = ["--idle-timeout=0s", "--drain-timeout=10s"].into_iter().chain(limit).collect();
    let mut server = start(subject, &options)?;
    let address = server.address().context("it listens nowhere")?;
    let manners =
        [Manner::Chats, Manner::Chats, Manner::Pours, Manner::Passes, Manner::Passes, Manner::Rests];
    let stopped = AtomicBool::new(false);
    let mut told_at = Instant::now();
    let mut all: Vec<Told> = Vec::new();
    thread::scope(|scope| {
        let talks: Vec<_> = manners
            .iter()
            .map(|&manner| {
                let (seed, stopped) = (random.draw(), &stopped);
                scope.spawn(move || talk(manner, address, seed, stopped))
            })
            .collect();
        thread::sleep(Duration::from_millis(random.up_to(LATEST_MILLIS) as u64));
        told_at = Instant::now();
        server.signal(Signal::SIGTERM);
        stopped.store(true, Ordering::Relaxed);
        all = talks.into_iter().flat_map(|talk| talk.join().unwrap_or_default()).collect();
    });
    for told in all {
        weather.bytes += told.bytes;
        let was_turned_away =
            told.bytes == 0 && (told.connected >= told_at || is_narrow || subject.places() < manners.len());
        let has_paused = matches!(told.manner, Manner::Rests) || told.longest_pause > NO_PAUSE;
        match &told.said {
            Said::Served => weather.served += 1,
            Said::Lost(_) if was_turned_away || has_paused => weather.lost += 1,
            said => {
                let moment = told.connected.saturating_duration_since(told_at);
                let words = format!(
                    "{:?}: {said} after {} bytes, longest pause {:?}, connected {moment:?} after the signal",
                    told.manner, told.bytes, told.longest_pause
                );
                weather.failures.push(words);
            }
        }
    }
    check_stopped(&mut server, weather);
    Ok(())
}

fn talk(manner: Manner, address: SocketAddr, seed: u64, stopped: &AtomicBool) -> Vec<Told> {
    let mut random = Random::new(seed);
    let mut told = Vec::new();
    loop {
        let Ok(mut client) = Client::connect(address, random.draw(), DEADLINE) else { return told };
        let connected = Instant::now();
        let said = match manner {
            Manner::Chats => chat(&mut client, &mut random),
            Manner::Pours => client.pour(random.up_to(4 << 20)),
            Manner::Passes => match client.ask(random.up_to(30_000)) {
                Said::Served => client.finish(),
                said => said,
            },
            Manner::Rests => match client.ask(100) {
                Said::Served => client.receive_to_end(),
                said => said,
            },
        };
        let is_lost = said != Said::Served;
        told.push(Told {
            manner,
            said,
            bytes: client.checked,
            connected,
            longest_pause: client.longest_pause(),
        });
        if is_lost || stopped.load(Ordering::Relaxed) {
            return told;
        }
    }
}

/// Some questions without a pause, for less than a drain lasts.
fn chat(client: &mut Client, random: &mut Random) -> Said {
    let end = Instant::now() + Duration::from_millis(random.up_to(800) as u64);
    loop {
        let said = client.ask(random.up_to(5_000));
        if said != Said::Served {
            return said;
        }
        thread::sleep(Duration::from_millis(random.up_to(20) as u64));
        if Instant::now() >= end {
            return client.finish();
        }
    }
}
