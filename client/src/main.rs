//! Starts the client; all of it is in the library, where the lab finds it too.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    client::cli::run(&client::cli::Cli::parse())
}
