//! Skipping what this system cannot show, with a visible word.

use std::io::{self, Write};

/// Says that a test is skipped, and why. Not by `eprintln`, whose words the test harness keeps to
/// itself when a test passes.
pub fn skip(why: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    // A test whose stderr is closed has nobody to tell.
    let _ = writeln!(io::stderr(), "skipped: {name}: {why}");
}
