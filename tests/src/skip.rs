//! Skipping what this system cannot show, with a visible word.

use std::io::{self, Write};
use std::process::{Command, Stdio};

/// Says that a test is skipped, and why. Not by `eprintln`, whose words the test harness keeps to
/// itself when a test passes.
pub fn skip(why: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    // A test whose stderr is closed has nobody to tell.
    let _ = writeln!(io::stderr(), "skipped: {name}: {why}");
}

/// Says that a test is skipped where one of these commands does not succeed, and what is missing
/// then; and whether it is.
pub fn skip_without(needed: &[(&[&str], &str)]) -> bool {
    let succeeds = |command: &[&str]| {
        let status =
            Command::new(command[0]).args(&command[1..]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let missing = needed.iter().find(|(command, _)| !succeeds(command));
    if let Some((_, missing)) = missing {
        skip(missing);
    }
    missing.is_some()
}
