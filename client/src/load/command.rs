//! `client load`: a load from the command line, with a live line, Ctrl-C, and files for the result.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::facts::Facts;
use super::limit::{Limit, parse_limit};
use super::moment::Start;
use super::rank::{Rank, RankOptions, file_of};
use super::series::{Form, Series};
use super::{Interval, Load, LoadOptions, Monitor, Results, StopHandle, find, report, series};
use crate::hlog;
use crate::latency::write_distribution;
use crate::output::{self, Output};

/// How often the live line changes.
const LIVE: Duration = Duration::from_millis(200);

/// `client load`: the load, and where its result goes.
#[derive(Debug, Clone, Args)]
pub struct LoadCommand {
    /// The load.
    #[command(flatten)]
    pub load: LoadOptions,

    /// When it begins.
    #[command(flatten)]
    pub start: Start,

    /// Which of several clients this is.
    #[command(flatten)]
    pub rank: RankOptions,

    /// Write the result as JSON; - is standard output, and the text then goes to standard error
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub json: Option<PathBuf>,

    /// Write an HdrHistogram interval log, a line for each interval, for client merge
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub hdr: Option<PathBuf>,

    /// Write the percentile distribution for the HdrHistogram plotter, in milliseconds
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub hgrm: Option<PathBuf>,

    /// Write a row for each interval, while the load goes on, as CSV
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub csv: Option<PathBuf>,

    /// Write a row for each interval, while the load goes on, as a line of JSON
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub ndjson: Option<PathBuf>,

    /// Say on standard error how each interval went
    #[arg(long, help_heading = "Output")]
    pub progress: bool,

    /// Exit with 1 if this holds, such as 'p99>5ms', 'errors>0' or 'rate<1000'; may be given again
    #[arg(long, value_name = "CONDITION", value_parser = parse_limit, help_heading = "Output")]
    pub fail_if: Vec<Limit>,

    /// Find the highest rate that keeps this, such as 'p99<5ms': a dozen loads, each for --duration;
    /// may be given again
    #[arg(long, value_name = "CONDITION", value_parser = parse_limit, help_heading = "Requests")]
    #[arg(conflicts_with_all = ["rate", "stages", "think_time", "requests", "hdr", "hgrm", "csv", "ndjson"])]
    #[arg(conflicts_with_all = ["progress", "fail_if", "start_at", "start_in", "start_when"])]
    pub find_rate: Vec<Limit>,
}

/// The files of one run, which could be written before it began.
struct Outputs {
    json: Option<Output>,
    hdr: Option<Output>,
    hgrm: Option<Output>,
}

/// Loads the server, and shows what came of it.
///
/// # Errors
/// One line: if the load could not begin, a file could not be written, a reply was wrong or a
/// connection was lost, or a condition of `--fail-if` holds.
pub fn run(command: &LoadCommand) -> Result<ExitCode> {
    let called = Instant::now();
    let rank = command.rank.find()?;
    let place = |file: &Option<PathBuf>| file.as_ref().map(|file| file_of(rank.map(|(rank, _)| rank), file));
    let files = [&command.json, &command.hdr, &command.hgrm, &command.csv, &command.ndjson].map(place);
    let [json, hdr, hgrm, csv, ndjson] = &files;
    let [json, hdr, hgrm, csv, ndjson] = Output::open_all([
        ("--json", json.as_deref()),
        ("--hdr", hdr.as_deref()),
        ("--hgrm", hgrm.as_deref()),
        ("--csv", csv.as_deref()),
        ("--ndjson", ndjson.as_deref()),
    ])?;
    let stdout_is_taken = [&json, &hdr, &hgrm, &csv, &ndjson].into_iter().flatten().any(Output::is_stdout);
    let outputs = Outputs { json, hdr, hgrm };
    let mut options = command.load.clone();
    if let Some((rank, _)) = rank {
        options = rank.share(options)?;
    }
    options.forgets = outputs.hdr.is_none();
    options.intervals = command.progress || outputs.hdr.is_some() || csv.is_some() || ndjson.is_some();
    let stop = StopHandle::default();
    stop_on_signals(stop.clone())?;
    if !command.find_rate.is_empty() {
        return find::run(&options, &command.find_rate, outputs.json, &stop);
    }
    let load = Load::connect_until(&options, stop.clone())?;
    let mut series = Vec::new();
    for (form, output) in [(Form::Csv, csv), (Form::Ndjson, ndjson)] {
        if let Some(output) = output {
            series.push(Series::new(form, output.stream()?));
        }
    }
    let delay = command.start.wait(called, &stop);
    let mut results = drive(load, &options, Live { series, says: command.progress })?;
    results.start_delay = delay;
    let broken: Vec<String> = command
        .fail_if
        .iter()
        .filter(|limit| limit.holds(&results))
        .map(|limit| format!("{limit} (--fail-if): it is {}", limit.value(&results)))
        .collect();
    let mut facts = Facts::new(&options, rank.map(|(rank, _)| rank), &results);
    facts.ok &= broken.is_empty();
    facts.first_error = facts.first_error.or_else(|| broken.first().cloned());
    output::show(stdout_is_taken, |out| {
        if let Some((Rank { rank, ranks }, from)) = rank {
            writeln!(out, "rank {rank} of {ranks} ({from})")?;
        }
        report::write_text(out, &options, &results)
    })?;
    outputs.write(&facts, &results)?;
    for line in &broken {
        // Nobody may read it any more; the exit code tells.
        let _ = writeln!(io::stderr(), "error: {line}");
    }
    judge(&results)?;
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The first Ctrl-C ends what goes on, the second one the program.
pub(crate) fn stop_on_signals(stop: StopHandle) -> Result<()> {
    ctrlc::set_handler(move || {
        if stop.is_stopped() {
            std::process::exit(1);
        }
        stop.stop();
    })
    .context("cannot handle Ctrl-C")
}

/// What is told of each interval while the load goes on.
struct Live {
    series: Vec<Series>,
    says: bool,
}

impl Live {
    /// Tells of one interval.
    ///
    /// # Errors
    /// If a file cannot be written; not if whoever read it has gone.
    fn tell(&mut self, started: SystemTime, interval: &Interval) -> Result<()> {
        if self.says {
            series::say(interval);
        }
        let mut result = Ok(());
        self.series.retain_mut(|series| match series.write(started, interval) {
            Ok(()) => true,
            Err(error) => {
                if !output::is_closed_pipe(&error) {
                    result = Err(error.context("cannot write the time series"));
                }
                false
            }
        });
        result
    }
}

fn drive(mut load: Load, options: &LoadOptions, mut live: Live) -> Result<Results> {
    let (monitor, ended) = (load.monitor(), AtomicBool::new(false));
    let stop = load.stop_handle();
    let (mut told, mut failed) = (0, None);
    thread::scope(|scope| {
        let line = (io::stderr().is_terminal() && !live.says)
            .then(|| thread::Builder::new().spawn_scoped(scope, || show_live(&monitor, options, &ended)));
        load.warm_up();
        if !stop.is_stopped() {
            load.measure_and_tell(&mut |started, interval| {
                told += 1;
                if let Err(error) = live.tell(started, interval) {
                    failed.get_or_insert(error);
                    stop.stop();
                }
            });
        }
        ended.store(true, Ordering::Release);
        // Without a thread for it there is no live line, and no harm.
        if let Some(Ok(line)) = line {
            line.thread().unpark();
        }
    });
    let results = load.finish();
    if results.elapsed.is_zero() {
        bail!("stopped before the measurement began");
    }
    for interval in results.intervals.iter().skip(told) {
        live.tell(results.started, interval)?;
    }
    failed.map_or(Ok(results), Err)
}

/// Shows how the load goes on, in one line of the terminal that is gone afterwards.
fn show_live(monitor: &Monitor, options: &LoadOptions, ended: &AtomicBool) {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        bar.set_style(style);
    }
    let mut last = (0, Duration::ZERO);
    while !ended.load(Ordering::Acquire) {
        let now = monitor.progress();
        if now.elapsed < last.1 {
            last = (0, Duration::ZERO);
        }
        let seconds = now.elapsed.saturating_sub(last.1).as_secs_f64();
        let rate = now.answered.saturating_sub(last.0) as f64 / seconds.max(1e-3);
        let (what, duration) =
            if now.measuring { ("measuring", options.length()) } else { ("warming up", options.warm_up) };
        bar.set_message(format!(
            "{what} {:.1} of {:.1} s: {rate:.0} requests/s, {} open, {} errors",
            now.elapsed.as_secs_f64(),
            duration.as_secs_f64(),
            now.open,
            now.errors
        ));
        last = (now.answered, now.elapsed);
        thread::park_timeout(LIVE);
    }
    bar.finish_and_clear();
}

impl Outputs {
    fn write(self, facts: &Facts, results: &Results) -> Result<()> {
        if let Some(json) = self.json {
            json.write(|out| report::write_json(out, facts, results))?;
        }
        if let Some(hdr) = self.hdr {
            hdr.write(|mut out| hlog::write(&mut out, facts, results))?;
        }
        if let Some(hgrm) = self.hgrm {
            hgrm.write(|out| write_distribution(out, &results.response))?;
        }
        Ok(())
    }
}

/// Whether the load went as it should: every byte right, no connection lost, and something
/// answered.
fn judge(results: &Results) -> Result<()> {
    if results.ok() {
        return Ok(());
    }
    match &results.first_error {
        Some(first) => {
            bail!("not everything was answered correctly ({}); the first error: {first}", results.errors)
        }
        None => bail!("the server answered nothing within {:.2?}; look at its log", results.elapsed),
    }
}
