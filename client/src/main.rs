//! Starts the client; all of it is in the library, where the lab finds it too.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before the command line is read, so that help is not lost either.
    if let Err(error) = client::output::require_stdout() {
        return serving::exit_code(Err(error));
    }
    client::cli::run(&serving::parse())
}
