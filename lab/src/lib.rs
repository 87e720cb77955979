//! Runs every server under the same load and shows what each model costs.
//!
//! In reading order: [`compare`] is the experiment; [`options`] what it can be told; [`contender`] who takes part; [`server`]
//! starts one, [`pin`] says where; [`round`] drives it, [`sample`] weighs it; [`summary`] makes figures of the rounds; [`table`] and
//! [`report`] show them, [`output`] keeps them. [`serve`] and [`leash`] are what the lab starts itself again as.
//! [`lesson`] is the course: its experiments, and how they are recorded and shown. [`million`] is how many one machine can hold.
//!
//! Deliberately absent: anything that knows how a server works. Its process tree is all that is looked at, so a foreign server is
//! measured like ours.
#![forbid(unsafe_code)]

pub mod compare;
pub mod contender;
pub mod interrupt;
pub mod leash;
pub mod lesson;
pub mod machine;
pub mod million;
pub mod notes;
pub mod options;
pub mod output;
pub mod page;
pub mod pin;
pub mod report;
pub mod round;
pub mod sample;
pub mod serve;
pub mod server;
pub mod summary;
pub mod table;
pub mod tail;
pub mod units;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::compare::html::{self, ReportOptions};
use crate::options::CompareOptions;

/// Runs every server under the same load and shows what each model costs.
///
/// Without a command: `lab compare`, with its defaults.
#[derive(Debug, Parser)]
#[command(name = "lab", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare the servers: requests per second, response times, CPU and memory, side by side
    Compare(CompareOptions),
    /// Show the course's experiments, one line each
    List,
    /// Run an experiment of the course: a picture of who did what when, a table, and a verdict
    Run(lesson::RunOptions),
    /// Be a process of an experiment; the lab starts itself so
    #[command(hide = true)]
    Act(lesson::part::ActOptions),
    /// Hold a million conversations on this machine: a plan, then memory, times and evenness
    Million(million::MillionOptions),
    /// Be a client process of `million`; the lab starts itself so
    #[command(hide = true)]
    Crowd(million::member::CrowdOptions),
    /// Show kept results once more, as tables or as a report
    Report(ReportOptions),
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
pub fn run(cli: &Cli) -> Result<()> {
    match &cli.command {
        None => compare::run(&CompareAlone::parse_from(["lab"]).options),
        Some(Command::Compare(options)) => compare::run(options),
        Some(Command::List) => lesson::list(),
        Some(Command::Run(options)) => lesson::run(options),
        Some(Command::Act(options)) => lesson::act(options),
        Some(Command::Million(options)) => million::run(options),
        Some(Command::Crowd(options)) => million::member::run(options),
        Some(Command::Report(options)) => html::run(options),
        Some(Command::Serve(options)) => serve::run(options),
        Some(Command::Leash(options)) => leash::run(options),
    }
}
