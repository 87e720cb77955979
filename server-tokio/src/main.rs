//! Starts the server; all of it is in the library, where the lab finds it too.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    serving::exit_code(server_tokio::run(&serving::parse()))
}
