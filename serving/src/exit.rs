//! Exit codes: 0 done, 1 a system error, 2 a usage error.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// A usage error that only shows when the program starts, such as a limit that
/// this system does not allow.
#[derive(Debug)]
pub struct UsageError(pub String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// What `main` returns: on an error one line on stderr, with its causes, and the exit code that
/// belongs to it.
pub fn exit_code(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    // A closed stderr is no reason to panic, which `eprintln` would.
    let _ = writeln!(io::stderr(), "error: {error:#}");
    if error.is::<UsageError>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}
