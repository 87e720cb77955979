//! Short reads and writes: everything in tiny pieces, through tiny buffers, and every byte checked.

use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::Args;
use client::output::Output;
use harness::interrupt::Interrupt;
use harness::text;
use nix::sys::signal::Signal;
use serde::Serialize;
use tests::Random;

use crate::client::Said;
use crate::report::{self, COMMAND};
use crate::server::{End, Server};
use crate::storm::{Length, connect_small};
use crate::subject::Subject;

/// Clients at the same time.
const CLIENTS: usize = 6;

/// The most bytes in a piece, for each of three kinds of clients; the third kind's do not fit into
/// its buffers.
const PIECES: [usize; 3] = [1, 7, 40_000];

/// `faults short`
#[derive(Debug, Clone, Args)]
pub struct ShortOptions {
    /// Only this server; may be repeated [default: all]
    #[arg(long, value_name = "NAME")]
    server: Vec<String>,
    /// How long, for all servers together
    #[arg(long, value_name = "M", default_value_t = 0.5)]
    #[arg(value_parser = parse_minutes)]
    minutes: f64,
    /// What sizes and bytes depend on [default: drawn, and told]
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Write what was found into this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Line {
    server: String,
    seed: u64,
    bytes: u64,
    failures: Vec<String>,
}

/// Lets clients in tiny pieces talk to each server. Whether every byte was right.
///
/// # Errors
/// If a server cannot be started, there is no such server, or the user interrupts: what was found
/// is told before.
pub fn run(options: &ShortOptions) -> Result<bool> {
    let interrupt = Interrupt::watch()?;
    let [json] = Output::open_all([("--json", options.json.as_deref())])?;
    let seed = options.seed.unwrap_or_else(drawn_seed);
    let subjects = Subject::of(&options.server)?;
    let time = Duration::from_secs_f64(options.minutes * 60.0) / u32::try_from(subjects.len())?;
    text::say(&format!("{:<15}{:>12}  seed {seed}\n", "server", "bytes"))?;
    let mut lines = Vec::new();
    for subject in &subjects {
        if interrupt.raised() {
            break;
        }
        let (bytes, failures) = pieces(subject, Length { time, interrupt: &interrupt }, seed)?;
        text::say(&format!("{:<15}{bytes:>12}\n", subject.name))?;
        for failure in &failures {
            text::say(&format!(
                "    !! {failure}\n    {COMMAND} short --server {} --seed {seed}\n",
                subject.name
            ))?;
        }
        lines.push(Line { server: subject.name.clone(), seed, bytes, failures });
    }
    report::write_json(json, &lines)?;
    ensure!(!interrupt.raised(), "interrupted");
    Ok(lines.iter().all(|line| line.failures.is_empty()))
}

fn pieces(subject: &Subject, length: Length<'_>, seed: u64) -> Result<(u64, Vec<String>)> {
    let mut server = Server::start(subject, &["--idle-timeout=0s".to_owned()], &[])?;
    let Some(address) = server.address() else {
        bail!("{} does not start: {}", subject.name, server.log().join("\n"));
    };
    let is_over = length.begin();
    let talk = |number: usize| -> Result<u64, Said> {
        let most = PIECES[number % PIECES.len()];
        let mut random = Random::new(seed.wrapping_add(number as u64));
        let mut bytes = 0;
        while !is_over() {
            let mut client = connect_small(address, random.draw())?;
            // Several pieces are on their way before the first answer is looked at.
            let end = Instant::now() + Duration::from_secs(1);
            while !is_over() && Instant::now() < end {
                let done = if most > 1000 {
                    client.pour(random.up_to(10 * most))
                } else {
                    (0..random.up_to(50))
                        .map(|_| client.send(random.up_to(most)))
                        .find(|said| *said != Said::Served)
                        .unwrap_or_else(|| client.receive())
                };
                if done != Said::Served {
                    return Err(done);
                }
                if most > 1000 {
                    break;
                }
            }
            let ended = if most > 1000 { Said::Served } else { client.finish() };
            if ended != Said::Served {
                return Err(ended);
            }
            bytes += client.checked;
        }
        Ok(bytes)
    };
    let talked: Vec<_> = thread::scope(|scope| {
        let talks: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || talk(number))).collect();
        talks
            .into_iter()
            .map(|talk| talk.join().unwrap_or_else(|_| Err(Said::Lost("a client has panicked".to_owned()))))
            .collect()
    });
    let bytes = talked.iter().flatten().sum();
    let mut failures: Vec<_> =
        talked.into_iter().filter_map(Result::err).map(|said| said.to_string()).collect();
    server.signal(Signal::SIGTERM);
    let end = server.wait_until(Instant::now() + Duration::from_secs(20));
    if end != Some(End::Code(0)) {
        failures.push(format!("the stop ended with {end:?}"));
    }
    Ok((bytes, failures))
}

/// A seed that is another one each time.
pub fn drawn_seed() -> u64 {
    RandomState::new().hash_one(std::process::id()) % 1_000_000
}

/// Reads minutes, such as 0.5.
///
/// # Errors
/// A line that says what the option takes.
pub fn parse_minutes(text: &str) -> Result<f64, String> {
    let minutes = text.parse::<f64>().ok().filter(|minutes| (0.01..=10_000.0).contains(minutes));
    minutes.ok_or_else(|| "takes minutes, such as 0.5 or 30".to_owned())
}
