//! Starts the server; all of it is in the library, where the lab finds it too.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    common::exit_code(server_uring::run(&server_uring::Options::parse()))
}
