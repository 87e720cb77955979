//! Starts the lab; all of it is in the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before the command line is read, so that help is not lost either.
    if let Err(error) = client::output::require_stdout() {
        return serving::exit_code(Err(error));
    }
    lab::run(&serving::parse()).unwrap_or_else(|error| serving::exit_code(Err(error)))
}
