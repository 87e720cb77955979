//! `client hold`: opens many connections, leaves them silent, asks each once, and closes them.
//!
//! What a program keeps for each connection is a socket and sixteen bytes, so that memory is the
//! server's question and not the client's. Several of these, on several machines, hold more than
//! one could: another program tells each what to do next (`--orders`), as `lab million` does.
//!
//! In reading order: [`Holder`], all connections of this process; `connection`, one of them;
//! [`Step`] and [`StepResult`], what is done with all of them, and how it went.

mod connection;
mod holder;
mod step;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, IsTerminal, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Args, ValueEnum};
use serde::Serialize;
use serving::limit::raise_descriptors;
use serving::options::{parse_count, parse_duration};

pub use holder::Holder;
pub use step::{Account, Said, Step, StepResult};

use crate::connect::parse_server;
use crate::load::{StopHandle, stop_on_signals};
use crate::output::{self, Output};
use crate::progress::Progress;
use crate::units::{grouped, time};

/// Version of the JSON form.
const VERSION: u32 = 1;

/// The most connections that can be asked for; the descriptor limit usually allows fewer.
const MOST_CONNECTIONS: usize = 10_000_000;

/// `client hold`: how many connections, for how long.
#[derive(Debug, Clone, Args)]
pub struct HoldOptions {
    /// The server, as IP:PORT or NAME:PORT
    #[arg(value_name = "ADDR", env = "SHOUT_CONNECT", default_value = "127.0.0.1:8080", value_parser = parse_server)]
    pub address: SocketAddr,

    /// Connections that are open at once
    #[arg(short, long, value_name = "N", default_value = "1000", value_parser = parse_count::<MOST_CONNECTIONS>)]
    #[arg(help_heading = "Connections")]
    pub connections: usize,

    /// Number of the first connection; where several clients hold one server's connections, give
    /// each client other numbers, and no two connections send the same bytes
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Connections")]
    pub first: u64,

    /// Local address to connect from; give several for more local ports (28,000 for each, usually)
    #[arg(long, value_name = "IP", help_heading = "Connections")]
    pub source: Vec<IpAddr>,

    /// Connections that are being opened, or closed, at the same time
    #[arg(long, value_name = "N", default_value = "128", value_parser = parse_count::<MOST_CONNECTIONS>)]
    #[arg(help_heading = "Connections")]
    pub opening: usize,

    /// Requests in flight at once when each connection is asked
    #[arg(long, value_name = "N", default_value = "128", value_parser = parse_count::<MOST_CONNECTIONS>)]
    #[arg(help_heading = "Requests")]
    pub in_flight: usize,

    /// Seed of the bytes that are sent, and of the order in which the connections are asked
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Requests")]
    pub seed: u64,

    /// Leave the connections silent for this long; Ctrl-C ends it earlier
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    #[arg(help_heading = "Time")]
    pub duration: Duration,

    /// Give up when the server has answered nobody for this long; 0s means never
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = parse_duration)]
    #[arg(help_heading = "Time")]
    pub timeout: Duration,

    /// Do what the lines of stdin say (open, ask, close) instead of all three, and say on stdout
    /// what came of it, in lines of JSON: for a program that drives several clients
    #[arg(long, conflicts_with_all = ["duration", "json"], help_heading = "Output")]
    pub orders: bool,

    /// Write the result as JSON; - is standard output, and the text then goes to standard error
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub json: Option<PathBuf>,
}

/// All that was found, as far as it came.
#[derive(Debug, Serialize)]
struct Document<'a> {
    version: u32,
    address: SocketAddr,
    connections: usize,
    first: u64,
    source: &'a [IpAddr],
    seed: u64,
    opened: Option<StepResult>,
    /// How long they were left silent, in seconds.
    silent_s: Option<f64>,
    asked: Option<StepResult>,
    closed: Option<StepResult>,
}

/// Holds the connections, and shows how it went.
///
/// # Errors
/// One line: if a connection could not be opened, was lost, or got a wrong answer, or if the user
/// ended it before its time. What was found until then has been shown.
pub fn run(options: &HoldOptions) -> Result<ExitCode> {
    let json = options.json.as_deref().map(|path| Output::open("--json", path)).transpose()?;
    raise_descriptors()?;
    let mut holder = Holder::new(options)?;
    if options.orders {
        obey(&mut holder)?;
        return Ok(ExitCode::SUCCESS);
    }
    let stop = StopHandle::default();
    stop_on_signals(stop.clone())?;
    let mut document = Document {
        version: VERSION,
        address: options.address,
        connections: options.connections,
        first: options.first,
        source: &options.source,
        seed: options.seed,
        opened: None,
        silent_s: None,
        asked: None,
        closed: None,
    };
    let held = hold(&mut holder, &stop, options.duration, &mut document);
    let is_taken = json.as_ref().is_some_and(Output::is_stdout);
    output::show(is_taken, |out| out.write_all(document.text().as_bytes()))?;
    if let Some(json) = json.filter(|_| document.opened.is_some()) {
        let text = serde_json::to_string_pretty(&document).context("cannot turn the result into JSON")?;
        json.write(|out| writeln!(out, "{text}"))?;
    }
    held.map(|()| ExitCode::SUCCESS)
}

/// All three steps, with a silence after the first.
fn hold(
    holder: &mut Holder,
    stop: &StopHandle,
    duration: Duration,
    document: &mut Document<'_>,
) -> Result<()> {
    document.opened = Some(step(holder, Step::Open, || !stop.is_stopped())?);
    if io::stderr().is_terminal() {
        // A closed stderr is no reason to end.
        let _ = writeln!(
            io::stderr(),
            "holding {} connections for {duration:?}; Ctrl-C goes on at once",
            grouped(holder.open())
        );
    }
    let began = Instant::now();
    stop.wait(duration);
    document.silent_s = Some(began.elapsed().as_secs_f64());
    // A Ctrl-C that has ended the silence does not end the rest; a second one ends the program.
    let was_stopped = stop.is_stopped();
    let goes_on = || was_stopped || !stop.is_stopped();
    document.asked = Some(step(holder, Step::Ask, goes_on)?);
    document.closed = Some(step(holder, Step::Close, goes_on)?);
    let steps = [&document.opened, &document.asked, &document.closed];
    match steps.into_iter().flatten().flat_map(|step| &step.failures).next() {
        None => Ok(()),
        Some(first) => bail!("not every connection was held and answered; the first error: {first}"),
    }
}

/// One step, for as long as `goes_on` says so.
fn step(holder: &mut Holder, step: Step, goes_on: impl Fn() -> bool) -> Result<StepResult> {
    let total = if step == Step::Open { holder.places() } else { holder.open() };
    let mut progress = Progress::begin(step.participle(), total);
    let account = holder.carry_out(step, &mut |done| {
        progress.show(done);
        ensure!(
            goes_on(),
            "stopped while {}: {} of {} done",
            step.participle(),
            grouped(done),
            grouped(total)
        );
        Ok(())
    })?;
    if account.done == 0 && step == Step::Open {
        let first = account.first_failure.unwrap_or_default();
        bail!("no connection is open: {first}");
    }
    Ok(StepResult::of(&[account]))
}

impl Document<'_> {
    fn text(&self) -> String {
        let silent = self.silent_s.map(|seconds| format!("silent   for {}\n", time(seconds * 1e9)));
        let of = |step: Step, result: &Option<StepResult>| result.as_ref().map(|result| result.text(step));
        [of(Step::Open, &self.opened), silent, of(Step::Ask, &self.asked), of(Step::Close, &self.closed)]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// Is told each step, and says what came of it, until stdin ends.
fn obey(holder: &mut Holder) -> Result<()> {
    let mut stdout = io::stdout().lock();
    say(&mut stdout, &Said::Ready)?;
    for line in io::stdin().lock().lines() {
        let line = line.context("cannot read an order")?;
        let step = Step::from_str(line.trim(), false)
            .map_err(|_| anyhow!("an order is open, ask or close, not {:?}", line.trim()))?;
        let account = holder.carry_out(step, &mut |done| say(&mut stdout, &Said::Progress(done)))?;
        say(&mut stdout, &Said::Done(account))?;
    }
    Ok(())
}

fn say(out: &mut impl Write, said: &Said) -> Result<()> {
    output::say_json(out, said).context("cannot write to stdout")
}
