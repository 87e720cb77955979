//! The log: lines on stderr, as much as was asked for.

use std::io::Write;
use std::time::SystemTime;

use clap::{ArgAction, Args};
use env_logger::WriteStyle;
use log::LevelFilter;

use crate::terminal;

/// How much is logged; `RUST_LOG` wins over both.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Log")]
pub struct LogOptions {
    /// Log more: -v who is served and what breaks, -vv also what clients send (escaped and cut)
    #[arg(short, long, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Log less: -q only warnings and errors, -qq only errors
    #[arg(short, long, action = ArgAction::Count)]
    pub quiet: u8,
}

impl LogOptions {
    fn level(&self) -> LevelFilter {
        match (self.quiet, self.verbose) {
            (0, 0) => LevelFilter::Info,
            (0, 1) => LevelFilter::Debug,
            (0, _) => LevelFilter::Trace,
            (1, _) => LevelFilter::Warn,
            _ => LevelFilter::Error,
        }
    }
}

/// Starts logging to stderr. In colour only where stderr is a terminal that is not dumb (`TERM`),
/// and `NO_COLOR` is not set.
///
/// A line is written before the server goes on. Where stderr is a pipe that is full and that nobody
/// empties, the server waits for its reader, also with a signal: log less, or into something that
/// never blocks, such as a file or the journal.
pub fn start_logging(options: &LogOptions) {
    let mut builder = env_logger::Builder::new();
    builder.filter_level(options.level()).parse_default_env();
    builder.format(|out, record| {
        let (level, style) = (record.level(), out.default_level_style(record.level()));
        let now = humantime::format_rfc3339_seconds(SystemTime::now());
        writeln!(out, "[{now} {style}{level:<5}{style:#}] {}", record.args())
    });
    if terminal::is_dumb() {
        builder.write_style(WriteStyle::Never);
    }
    // Fails only where a log exists already, which then is what the caller wants.
    let _ = builder.try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_letter_is_a_level() {
        let level = |quiet, verbose| LogOptions { verbose, quiet }.level();
        assert_eq!(
            [0, 1, 2].map(|letters| level(0, letters)),
            [LevelFilter::Info, LevelFilter::Debug, LevelFilter::Trace]
        );
        assert_eq!([1, 2].map(|letters| level(letters, 0)), [LevelFilter::Warn, LevelFilter::Error]);
    }
}
