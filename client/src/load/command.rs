//! `client load`: a load from the command line, with a live line, Ctrl-C, and files for the result.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Load, LoadOptions, Monitor, Results, StopHandle, report};
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

    /// Write the result as JSON; - is standard output, and the text then goes to standard error
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub json: Option<PathBuf>,

    /// Write an HdrHistogram interval log, a line for each second, for client merge
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub hdr: Option<PathBuf>,

    /// Write the percentile distribution for the HdrHistogram plotter, in milliseconds
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub hgrm: Option<PathBuf>,
}

/// The files of one run, made before it begins.
struct Outputs {
    json: Option<Output>,
    hdr: Option<Output>,
    hgrm: Option<Output>,
}

/// Loads the server, and shows what came of it.
///
/// # Errors
/// One line: if the load could not begin, a file could not be written, a reply was wrong or a
/// connection was lost.
pub fn run(command: &LoadCommand) -> Result<ExitCode> {
    let [json, hdr, hgrm] = Output::open_all([
        ("--json", command.json.as_deref()),
        ("--hdr", command.hdr.as_deref()),
        ("--hgrm", command.hgrm.as_deref()),
    ])?;
    let outputs = Outputs { json, hdr, hgrm };
    let options = LoadOptions { intervals: command.hdr.is_some(), ..command.load.clone() };
    let stop = StopHandle::default();
    stop_on_signals(stop.clone())?;
    let load = Load::connect_until(&options, stop)?;
    let results = drive(load, &options)?;
    show(outputs, &options, &results)?;
    judge(&results)?;
    Ok(ExitCode::SUCCESS)
}

/// The first Ctrl-C ends what goes on, the second one the program.
pub(crate) fn stop_on_signals(stop: StopHandle) -> Result<()> {
    ctrlc::set_handler(move || {
        if stop.is_stopped() {
            std::process::exit(1);
        }
        stop.stop();
    })
    .context("cannot obey Ctrl-C")
}

fn drive(mut load: Load, options: &LoadOptions) -> Result<Results> {
    if let Some(moment) = options.start_at {
        load.wait_until(moment);
    }
    let (monitor, ended) = (load.monitor(), AtomicBool::new(false));
    let stop = load.stop_handle();
    thread::scope(|scope| {
        let live = io::stderr()
            .is_terminal()
            .then(|| thread::Builder::new().spawn_scoped(scope, || show_live(&monitor, options, &ended)));
        load.warm_up();
        if !stop.is_stopped() {
            load.measure();
        }
        ended.store(true, Ordering::Release);
        // Without a thread for it there is no live line, and no harm.
        if let Some(Ok(live)) = live {
            live.thread().unpark();
        }
    });
    let results = load.finish();
    if results.elapsed.is_zero() {
        bail!("stopped before the measurement began");
    }
    Ok(results)
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
            if now.measuring { ("measuring", options.duration) } else { ("warming up", options.warm_up) };
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

fn show(outputs: Outputs, options: &LoadOptions, results: &Results) -> Result<()> {
    let all = [&outputs.json, &outputs.hdr, &outputs.hgrm];
    let is_taken = all.into_iter().flatten().any(Output::is_stdout);
    output::show(is_taken, |out| report::write_text(out, options, results))?;
    if let Some(json) = outputs.json {
        json.write(|out| report::write_json(out, options, results))?;
    }
    if let Some(hdr) = outputs.hdr {
        hdr.write(|mut out| hlog::write(&mut out, results.started, &results.intervals))?;
    }
    if let Some(hgrm) = outputs.hgrm {
        hgrm.write(|out| write_distribution(out, &results.response))?;
    }
    Ok(())
}

/// Whether the load went as it should: every byte right, no connection lost, and something
/// answered.
fn judge(results: &Results) -> Result<()> {
    if results.ok() {
        return Ok(());
    }
    match &results.first_error {
        Some(first) => {
            bail!("not everything was answered rightly ({}); the first error: {first}", results.errors)
        }
        None => bail!("the server answered nothing within {:.2?}; look at its log", results.elapsed),
    }
}
