//! `client hold`: opens many connections, leaves them silent, asks each once, and closes them.
//!
//! What a program keeps for each connection is a socket and sixteen bytes, so that memory is the
//! server's question and not the client's. Several of these, on several machines, hold more than
//! one could: another program tells each what to do next (`--orders`), as `lab million` does.
//!
//! In reading order: [`Holder`], all connections of this process; `connection`, one of them;
//! [`StepResult`], how one step went.

mod connection;
mod holder;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, IsTerminal, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serving::limit::raise_descriptors;
use serving::options::{parse_address, parse_count, parse_duration};

pub use holder::Holder;

use crate::load::{StopHandle, histogram, stop_on_signals};
use crate::output::Output;
use crate::progress::Progress;
use crate::units::{grouped, rate, time};

/// Version of the JSON form.
const VERSION: u32 = 1;

/// The most connections that can be asked for; the descriptor limit usually allows fewer.
const MOST_CONNECTIONS: usize = 10_000_000;

/// `client hold`: how many connections, for how long.
#[derive(Debug, Clone, Args)]
pub struct HoldOptions {
    /// The server, as IP:PORT or NAME:PORT
    #[arg(value_name = "ADDR", env = "SHOUT_CONNECT", default_value = "127.0.0.1:8080", value_parser = parse_address)]
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

    /// Give up when the server has answered nobody for this long
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

/// A step, with all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Open them, and greet the server on each: a connection counts as open when its greeting is
    /// answered.
    Open,
    /// Ask once on each, in random order.
    Ask,
    /// End the output of each, and read to the end.
    Close,
}

impl Step {
    /// The line that orders it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ask => "ask",
            Self::Close => "close",
        }
    }

    /// What is being done: "opening".
    pub fn participle(self) -> &'static str {
        match self {
            Self::Open => "opening",
            Self::Ask => "asking",
            Self::Close => "closing",
        }
    }

    /// What has been done with each connection.
    fn done(self) -> &'static str {
        match self {
            Self::Open => "open and greeted",
            Self::Ask => "asked in random order, every byte of every reply checked",
            Self::Close => "ended by the client, and read to the end",
        }
    }
}

impl ValueEnum for Step {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Open, Self::Ask, Self::Close]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

/// A line of stdout where the client is told its orders.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// It has all it needs but the connections.
    Ready,
    /// With how many connections it has done the step that is under way; at most ten a second.
    Progress(u64),
    /// The step is over.
    Done(Account),
}

/// How a step went.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Account {
    /// With how many connections it went well.
    pub done: u64,
    /// With how many not.
    pub failed: u64,
    /// What happened to the first of them.
    pub first_failure: Option<String>,
    /// When it began, in nanoseconds of CLOCK_MONOTONIC, which all processes of a machine share.
    pub began_ns: u64,
    /// When it ended.
    pub ended_ns: u64,
    /// Pairs of a time in nanoseconds and how often it took that long: each from the first system
    /// call to the last byte.
    pub times: Vec<(u64, u64)>,
}

/// How a step went, over all clients of one machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepResult {
    /// With how many connections it went well.
    pub done: u64,
    /// With how many not.
    pub failed: u64,
    /// What happened to the first of one client, for each client to which anything did.
    pub failures: Vec<String>,
    /// From the first client's beginning to the last one's end, in seconds.
    pub took_s: f64,
    /// How often a second it went well.
    pub per_s: f64,
    /// How long each took, in nanoseconds: from merged histograms.
    pub p50_ns: u64,
    /// Of a hundred, the slowest took longer.
    pub p99_ns: u64,
    /// The slowest.
    pub max_ns: u64,
}

impl StepResult {
    /// From what each client said.
    pub fn of(accounts: &[Account]) -> Self {
        let accounts = accounts.iter();
        let mut times = histogram();
        for (value, count) in accounts.clone().flat_map(|account| &account.times) {
            times.saturating_record_n(*value, *count);
        }
        let began_ns = accounts.clone().map(|account| account.began_ns).min().unwrap_or(0);
        let ended_ns = accounts.clone().map(|account| account.ended_ns).max().unwrap_or(0);
        let took_s = Duration::from_nanos(ended_ns.saturating_sub(began_ns)).as_secs_f64();
        let done = accounts.clone().map(|account| account.done).sum();
        Self {
            done,
            failed: accounts.clone().map(|account| account.failed).sum(),
            failures: accounts.filter_map(|account| account.first_failure.clone()).collect(),
            took_s,
            per_s: if took_s > 0.0 { done as f64 / took_s } else { 0.0 },
            p50_ns: times.value_at_quantile(0.5),
            p99_ns: times.value_at_quantile(0.99),
            max_ns: times.max(),
        }
    }

    /// Two lines for people: how often, and how fast.
    pub fn text(&self, step: Step) -> String {
        let failed =
            if self.failed > 0 { format!(", {} failed", grouped(self.failed)) } else { String::new() };
        format!(
            "{:8} {} {}{failed}\n         in {}: {}/s; p50 {}, p99 {}, max {}\n",
            step.participle(),
            grouped(self.done),
            step.done(),
            time(self.took_s * 1e9),
            rate(self.per_s),
            time(self.p50_ns as f64),
            time(self.p99_ns as f64),
            time(self.max_ns as f64)
        )
    }
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
    let text = document.text();
    if json.as_ref().is_some_and(Output::is_stdout) {
        // A closed stderr takes nothing from the result.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    } else {
        Output::stdout().write(|out| out.write_all(text.as_bytes()))?;
    }
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
    let mut watch = || !stop.is_stopped();
    document.opened = Some(step(holder, Step::Open, &mut watch)?);
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
    let mut watch = || was_stopped || !stop.is_stopped();
    document.asked = Some(step(holder, Step::Ask, &mut watch)?);
    document.closed = Some(step(holder, Step::Close, &mut watch)?);
    let steps = [&document.opened, &document.asked, &document.closed];
    match steps.into_iter().flatten().flat_map(|step| &step.failures).next() {
        None => Ok(()),
        Some(first) => bail!("not every connection was held and answered; the first error: {first}"),
    }
}

/// One step, for as long as `goes_on` says so.
fn step(holder: &mut Holder, step: Step, goes_on: &mut dyn FnMut() -> bool) -> Result<StepResult> {
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
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    out.write_all(&line).and_then(|()| out.flush()).context("cannot write to stdout")
}
