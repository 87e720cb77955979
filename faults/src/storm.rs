//! Storms: what happens to a server from outside while it is under load.

mod descriptors;
mod freezes;
mod kills;
mod load;
mod processes;
mod slow;
mod stops;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use client::output::Output;
use harness::interrupt::Interrupt;
use harness::text;
use nix::sys::signal::Signal;
use serde::Serialize;
use tests::Random;

use crate::client::{Client, Said};
use crate::report::{self, COMMAND};
use crate::server::{End, Server};
use crate::short;
use crate::subject::Subject;

pub(crate) use slow::connect_small;

/// How long anything may take that takes milliseconds on an idle machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// What happens to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Random worker processes are killed every 50 ms.
    Kills,
    /// It is told to stop at a random moment.
    Stops,
    /// Random processes stand still for a moment.
    Freezes,
    /// Its limit on descriptors sinks and rises.
    Descriptors,
    /// Its limit on processes and threads sinks and rises, and workers are killed; root only.
    Processes,
    /// Clients read and write slowly.
    Slow,
}

/// `faults storm`
#[derive(Debug, Clone, Args)]
pub struct StormOptions {
    /// Which storms [default: all in turn]
    #[arg(value_name = "KIND")]
    kinds: Vec<Kind>,
    /// Only this server; may be repeated [default: all]
    #[arg(long, value_name = "NAME")]
    server: Vec<String>,
    /// Another program instead of our servers, which takes their options
    #[arg(long, value_name = "PATH", hide = true, conflicts_with = "server")]
    program: Option<PathBuf>,
    /// How long, for all storms and servers together
    #[arg(long, value_name = "M", default_value_t = 5.0)]
    #[arg(value_parser = short::parse_minutes)]
    minutes: f64,
    /// What kills, sizes and moments depend on [default: drawn, and told]
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Write what was found into this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What one storm over one server did and found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Weather {
    /// Times that something was done to the server, and it went on.
    pub events: u64,
    /// Conversations that were served whole.
    pub served: u64,
    /// Conversations that ended early as they may.
    pub lost: u64,
    /// Bytes that came back and were right.
    pub bytes: u64,
    /// What may not be.
    pub failures: Vec<String>,
    /// A figure of this storm alone, in words.
    pub figure: String,
}

#[derive(Debug, Serialize)]
struct Line {
    storm: Kind,
    server: String,
    seed: u64,
    #[serde(flatten)]
    weather: Weather,
}

/// How long something lasts, unless the user interrupts it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Length<'a> {
    pub(crate) time: Duration,
    pub(crate) interrupt: &'a Interrupt,
}

impl<'a> Length<'a> {
    /// It begins now; what is returned tells whether it is over.
    pub(crate) fn begin(self) -> impl Fn() -> bool + Copy + use<'a> {
        let end = Instant::now() + self.time;
        move || self.interrupt.raised() || Instant::now() >= end
    }
}

/// Sends the storms that are asked for over the servers. Whether all went well.
///
/// # Errors
/// If a server cannot be started, there is no such server, or the user interrupts: what was found
/// is told before.
pub fn run(options: &StormOptions) -> Result<bool> {
    let interrupt = Interrupt::watch()?;
    let [json] = Output::open_all([("--json", options.json.as_deref())])?;
    let seed = options.seed.unwrap_or_else(short::drawn_seed);
    let mut kinds = options.kinds.clone();
    if kinds.is_empty() {
        kinds.extend(Kind::value_variants());
        if let Err(why) = processes::Group::new() {
            report::note(&format!("processes: {why}"));
            kinds.retain(|kind| *kind != Kind::Processes);
        }
    }
    let subjects = match &options.program {
        Some(path) => vec![Subject::program(path.clone())],
        None => Subject::of(&options.server)?,
    };
    let pairs: Vec<_> = kinds
        .iter()
        .flat_map(|&kind| subjects.iter().map(move |subject| (kind, subject)))
        .filter(|(kind, subject)| *kind != Kind::Kills || subject.has_workers())
        .collect();
    ensure!(!pairs.is_empty(), "none of these servers has worker processes to kill");
    let begun = Instant::now();
    let all = Duration::from_secs_f64(options.minutes * 60.0);
    text::say(&format!(
        "{:<13}{:<15}{:>8}{:>9}{:>7}{:>15}  seed {seed}\n",
        "storm", "server", "events", "served", "lost", "bytes"
    ))?;
    let mut lines = Vec::new();
    for (number, (kind, subject)) in pairs.iter().enumerate() {
        if interrupt.raised() {
            break;
        }
        let left = u32::try_from(pairs.len() - number)?;
        let time = all.saturating_sub(begun.elapsed()) / left;
        // The same one when this storm is repeated alone.
        let own = subject.name.bytes().fold(*kind as u64, |own, byte| own << 5 ^ u64::from(byte));
        let mut random = Random::new(seed ^ own);
        let length = Length { time, interrupt: &interrupt };
        let weather = match kind {
            Kind::Kills => kills::storm(subject, length, &mut random),
            Kind::Stops => stops::storm(subject, length, &mut random),
            Kind::Freezes => freezes::storm(subject, length, &mut random),
            Kind::Descriptors => descriptors::storm(subject, length, &mut random),
            Kind::Processes => processes::storm(subject, length, &mut random),
            Kind::Slow => slow::storm(subject, length, &mut random),
        };
        let name = kind.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        let weather = weather.with_context(|| format!("storm {name} over {}", subject.name))?;
        let minutes = (time.as_secs_f64() / 60.0).max(0.1);
        let again = format!("{name} --server {} --minutes {minutes:.1} --seed {seed}", subject.name);
        tell(&name, &subject.name, &weather, &again)?;
        lines.push(Line { storm: *kind, server: subject.name.clone(), seed, weather });
    }
    let sum = |of: fn(&Weather) -> u64| lines.iter().map(|line| of(&line.weather)).sum::<u64>();
    let failures: usize = lines.iter().map(|line| line.weather.failures.len()).sum();
    text::say(&format!(
        "\n{} events survived, {} conversations served, {} bytes checked, {failures} failures\n",
        sum(|w| w.events),
        sum(|w| w.served),
        sum(|w| w.bytes)
    ))?;
    report::write_json(json, &lines)?;
    ensure!(!interrupt.raised(), "interrupted");
    Ok(failures == 0)
}

/// A line for a storm; then what went wrong, and how to have it again.
fn tell(storm: &str, server: &str, weather: &Weather, again: &str) -> Result<()> {
    let Weather { events, served, lost, bytes, failures, figure } = weather;
    text::say(&format!("{storm:<13}{server:<15}{events:>8}{served:>9}{lost:>7}{bytes:>15}  {figure}\n"))?;
    for failure in failures {
        text::say(&format!("    !! {failure}\n"))?;
    }
    if !failures.is_empty() {
        text::say(&format!("    {COMMAND} storm {again}\n"))?;
    }
    Ok(())
}

/// A server with these options, which must listen.
fn start(subject: &Subject, options: &[&str]) -> Result<Server> {
    let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
    let server = Server::start(subject, &options, &[])?;
    let log = server.log().join("\n");
    ensure!(server.address().is_some(), "{} does not start: {log}", subject.name);
    Ok(server)
}

/// Notes a log that is longer than it may be.
fn check_log(server: &Server, weather: &mut Weather) {
    let (lines, most) = (server.log_lines(), server.most_log_lines());
    if lines > most {
        weather.failures.push(format!("{lines} lines in the log, and at most {most}"));
    }
}

/// Stops the server, and notes what is wrong about that.
fn stop(server: &mut Server, weather: &mut Weather) {
    if let Some(end) = server.ended() {
        weather.failures.push(format!("the server has died: {end:?}; {}", server.log().join(" | ")));
        return;
    }
    server.signal(Signal::SIGTERM);
    check_stopped(server, weather);
}

/// Waits for the end of a server that was told to stop, and notes what is wrong about it.
fn check_stopped(server: &mut Server, weather: &mut Weather) {
    let end = server.wait_until(Instant::now() + DEADLINE);
    if end != Some(End::Code(0)) {
        let last = server.log().last().cloned().unwrap_or_default();
        weather.failures.push(format!("the stop ended with {end:?}; last words: {last}"));
        return;
    }
    let deadline = Instant::now() + DEADLINE;
    server.wait_log();
    let of = |name| server.counted(name).unwrap_or(u64::MAX);
    let counted = [of("open"), of("completed"), of("failed"), of("timed_out")];
    if counted.iter().fold(0_u64, |sum, count| sum.saturating_add(*count)) != of("accepted")
        || counted[0] != 0
    {
        weather.failures.push(format!("{} accepted, and of these {counted:?}", of("accepted")));
    }
    while !server.left_behind().is_empty() && Instant::now() < deadline {
        std::thread::sleep(crate::server::LOOK);
    }
    if !server.left_behind().is_empty() {
        weather.failures.push(format!("processes are left behind: {:?}", server.left_behind()));
    }
}

/// Exactly `places` conversations can be served at once: so many are, and one more is when one of
/// them ends.
fn check_places(server: &Server, places: usize, weather: &mut Weather) -> Result<()> {
    const A_MOMENT: Duration = Duration::from_millis(300);
    let address = server.address().context("it listens nowhere")?;
    let mut open = Vec::new();
    for seed in 0..places {
        let client = Client::connect(address, seed as u64, DEADLINE);
        let asked = client.and_then(|mut client| match client.ask(100) {
            Said::Served => Ok(client),
            said => Err(said),
        });
        match asked {
            Ok(client) => open.push(client),
            Err(said) => {
                weather.failures.push(format!("of {places} places only {seed} serve: {said}"));
                return Ok(());
            }
        }
    }
    let mut surplus = match Client::connect(address, 999, A_MOMENT) {
        Ok(client) => client,
        Err(said) => {
            weather.failures.push(format!("one more than {places} cannot wait: {said}"));
            return Ok(());
        }
    };
    match surplus.ask(10) {
        Said::Stuck => {}
        said => weather.failures.push(format!("one more than {places} is not held back: {said}")),
    }
    surplus.have_patience(DEADLINE);
    if let Some(mut client) = open.pop() {
        let said = client.finish();
        if said != Said::Served {
            weather.failures.push(format!("one of {places} is not ended well: {said}"));
        }
    }
    match surplus.receive() {
        Said::Served => {}
        said => weather.failures.push(format!("a place that is free again serves nobody: {said}")),
    }
    for mut client in open.into_iter().chain([surplus]) {
        let said = match client.ask(100) {
            Said::Served => client.finish(),
            said => said,
        };
        if said != Said::Served {
            weather.failures.push(format!("one of {places} at once: {said}"));
        }
    }
    Ok(())
}
