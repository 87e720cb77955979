//! The laboratory: what was measured and what was learned, side by side.
//!
//! This is its command line and nothing else: [`compare`] compares the servers, [`lessons`] is the
//! course, [`million`] holds a million conversations, and [`harness`] is what they share.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use compare::again::{self, ReportOptions};
use compare::choose::{self, ChooseOptions};
use compare::options::CompareOptions;
use compare::series::{self, SeriesOptions};
use harness::lang::Lang;
use harness::{leash, serve};

/// Commands that a shell takes as they are.
const EXAMPLES: &str = "\
Examples:
  lab compare --models mio,thread --scenarios churn --time 5s --json churn.json
  lab report churn.json --report churn.html  # kept results, with charts
  lab list  # the experiments of the course
  lab run deadlock --report deadlock.html  # a page that replays what happened
  lab million --plan  # what a million conversations would take here";

/// Runs every server under the same load and shows what each model costs.
///
/// Without a command: `lab compare`, with its defaults.
#[derive(Debug, Parser)]
#[command(name = "lab", version, about, after_long_help = EXAMPLES)]
pub struct Cli {
    /// The language of the lessons and of `choose` [default: that of LC_ALL, LC_MESSAGES or LANG]
    #[arg(long, value_name = "LANGUAGE", value_enum, global = true)]
    lang: Option<Lang>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare the servers: requests per second, response times, CPU and memory, side by side
    Compare(CompareOptions),
    /// Recommend a model: four questions, less than a minute of measuring, one page
    Choose(ChooseOptions),
    /// Show the course's experiments, one line each
    List,
    /// Run an experiment of the course: a picture of who did what when, a table, and a verdict
    Run(lessons::RunOptions),
    /// Be a process of an experiment; the lab starts itself so
    #[command(hide = true)]
    Act(lessons::part::ActOptions),
    /// Hold a million conversations on this machine: a plan, then memory, times and evenness
    Million(million::MillionOptions),
    /// Be a client process of `million`; the lab starts itself so
    #[command(hide = true)]
    Hold(million::crowd::LeashedOptions),
    /// Show kept results once more, as tables or as a report
    Report(ReportOptions),
    /// Draw the time series of `client load` over one time axis, as a page
    Series(SeriesOptions),
    /// Be a server; the lab starts itself so
    #[command(hide = true)]
    Serve(serve::ServeOptions),
    /// Be a command that dies with the lab; the lab starts itself so
    #[command(hide = true)]
    Leash(leash::LeashOptions),
}

/// `lab compare` as a command line of its own, which is where its defaults are written.
#[derive(Debug, Parser)]
struct CompareAlone {
    #[command(flatten)]
    options: CompareOptions,
}

/// Does what the command line asks for.
///
/// # Errors
/// What the command failed with.
pub fn run(cli: &Cli) -> Result<ExitCode> {
    let lang = cli.lang.unwrap_or_else(Lang::of_environment);
    let done = match &cli.command {
        None => compare::run(&CompareAlone::parse_from(["lab"]).options),
        Some(Command::Compare(options)) => compare::run(options),
        Some(Command::Choose(options)) => choose::run(options, lang),
        Some(Command::List) => lessons::list(lang),
        Some(Command::Run(options)) => lessons::run(options, lang),
        Some(Command::Act(options)) => lessons::act(options),
        Some(Command::Million(options)) => million::run(options),
        Some(Command::Hold(options)) => million::crowd::run(options),
        Some(Command::Report(options)) => again::run(options),
        Some(Command::Series(options)) => series::run(options),
        Some(Command::Serve(options)) => serve::run(options),
        Some(Command::Leash(options)) => return leash::run(options),
    };
    done.map(|()| ExitCode::SUCCESS)
}
