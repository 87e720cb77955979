//! How far it has come, on stderr: a bar on a terminal, elsewhere a line now and then.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::units::grouped;

/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(5);

/// The progress of one step. Dropped, its bar disappears.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    total: u64,
    bar: Option<ProgressBar>,
    said: Instant,
}

impl Progress {
    /// Nothing done yet of what is called `what`. It has no colour, so that nobody needs to switch
    /// it off.
    pub fn begin(what: &'static str, total: u64) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let style =
                ProgressStyle::with_template("{msg:8} {bar:24} {human_pos} of {human_len}, {per_sec:0}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_message(what);
            bar
        });
        Self { what, total, bar, said: Instant::now() }
    }

    /// So many are done.
    pub fn show(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if self.said.elapsed() >= LINE {
            self.said = Instant::now();
            // Nobody reads stderr any more: no reason to end.
            let _ = writeln!(io::stderr(), "{}: {} of {}", self.what, grouped(done), grouped(self.total));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
