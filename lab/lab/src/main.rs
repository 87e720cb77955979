//! Starts the lab; all of it is in the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    serving::exit_code(lab::run(&lab::Cli::parse()))
}
