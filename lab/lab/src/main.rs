//! Starts the lab; all of it is in the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    lab::run(&lab::Cli::parse()).unwrap_or_else(|error| serving::exit_code(Err(error)))
}
