//! How far a pipe is, for a person who waits.

use std::fs::File;
use std::io::{self, IsTerminal, Seek, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the line is drawn anew when nothing moves.
const TICK: Duration = Duration::from_millis(200);

/// The line while the size of the input is known, and while it is not, or no longer matters.
const KNOWN_SIZE: &str = "{bytes} of {total_bytes} {wide_bar} {binary_bytes_per_sec}, {eta} left";
const UNKNOWN_SIZE: &str = "{bytes} in {elapsed}, {binary_bytes_per_sec}";

/// A line on stderr with the bytes that came back and their rate; with a bar where the input is a
/// file, whose size is known.
///
/// Shown only where stderr is a terminal and nobody types or reads there: neither stdin nor stdout
/// is one.
#[derive(Debug, Clone)]
pub(super) struct Meter(ProgressBar);

impl Meter {
    pub(super) fn new(input: &File) -> Self {
        let hidden = !io::stderr().is_terminal() || io::stdout().is_terminal() || input.is_terminal();
        if hidden {
            return Self(ProgressBar::hidden());
        }
        let total = bytes_left(input);
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        set_template(&bar, if total.is_some() { KNOWN_SIZE } else { UNKNOWN_SIZE });
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// Counts `bytes` more that were delivered.
    pub(super) fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// Leaves a last line with the final figures.
    pub(super) fn finish(&self) {
        if self.0.is_hidden() {
            return;
        }
        set_template(&self.0, UNKNOWN_SIZE);
        self.0.abandon();
        // The line has no end yet, and an error may follow. A terminal that is gone needs none.
        let _ = io::stderr().write_all(b"\n");
    }
}

fn set_template(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

/// How much there is from the input's position to its end, if it is a file that is not empty: those
/// in /proc have no size.
fn bytes_left(mut input: &File) -> Option<u64> {
    let metadata = input.metadata().ok().filter(|metadata| metadata.is_file() && metadata.len() > 0)?;
    let position = input.stream_position().ok()?;
    Some(metadata.len().saturating_sub(position))
}
