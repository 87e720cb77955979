//! What goes wrong around a server, made to go wrong on purpose.
//!
//! [`calls`] makes each system call of each server fail with each error that its manual page names,
//! while clients with known answers talk; [`short`] sends and receives a byte at a time; [`storm`]
//! kills workers, freezes and stops servers, and takes their descriptors away. [`subject`] says
//! which servers there are, [`server`] starts one, [`client`] talks to it and checks every byte.
//!
//! Deliberately absent: anything that knows how a server works. What is expected of it is the
//! contract in the book, and the meaning of an error in [`table`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use harness::serve::{self, ServeOptions};

pub mod calls;
pub mod client;
pub mod misbehave;
pub mod observation;
pub mod plan;
pub mod profile;
pub mod report;
pub mod row;
pub mod scene;
pub mod server;
pub mod short;
pub mod storm;
pub mod subject;
pub mod table;
pub mod tracer;
pub mod verdict;

/// Makes the system calls of every server fail, and puts every server through storms.
///
/// Without a command: `faults calls`, with its defaults.
#[derive(Debug, Parser)]
#[command(name = "faults", version, about, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    calls: calls::CallsOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make every system call of every server fail; needs strace
    Calls(calls::CallsOptions),
    /// Send and receive in tiny pieces, and check every byte
    Short(short::ShortOptions),
    /// Kill workers, stop and freeze servers, take descriptors away, be slow; under load
    Storm(storm::StormOptions),
    /// Be a server; the program starts itself so
    #[command(hide = true)]
    Serve(ServeOptions),
    /// Be a server that misbehaves; the tests start it so
    #[command(hide = true)]
    Misbehave(misbehave::MisbehaveOptions),
}

/// Does what the command line asks for. The exit code is 1 where a server did wrong.
///
/// # Errors
/// What the command failed with.
pub fn run(cli: &Cli) -> Result<ExitCode> {
    let is_good = match &cli.command {
        None => calls::run(&cli.calls)?,
        Some(Command::Calls(options)) => calls::run(options)?,
        Some(Command::Short(options)) => short::run(options)?,
        Some(Command::Storm(options)) => storm::run(options)?,
        Some(Command::Serve(options)) => serve::run(options).map(|()| true)?,
        Some(Command::Misbehave(options)) => misbehave::run(options)?,
    };
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
