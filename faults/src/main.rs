//! Starts the program; all of it is in the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    faults::run(&serving::parse()).unwrap_or_else(|error| serving::exit_code(Err(error)))
}
