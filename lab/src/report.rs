//! The results for people: the table, what it was measured with, and what to think of it.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result};
use terminal_size::Width;

use crate::machine::Machine;
use crate::notes::Notes;
use crate::options::CompareOptions;
use crate::summary::{Entry, Figures};
use crate::{table, units};

/// The first and the last line of a debug build.
const DEBUG_BUILD: &str = "*** DEBUG BUILD: these figures mean nothing. Use `cargo run --release`. ***";

/// Columns of text below the table when the width of the terminal is not known.
const TEXT_COLUMNS: usize = 110;

/// Writes a line to stdout that warns of a debug build, or to stderr where stdout is for a program; in a release build nothing.
///
/// # Errors
/// If stdout cannot be written; a reader that has gone is none.
pub fn warn_of_debug_build(to_stdout: bool) -> Result<()> {
    if !cfg!(debug_assertions) {
        return Ok(());
    }
    if to_stdout {
        return say(&format!("{DEBUG_BUILD}\n"));
    }
    // Nobody reads stderr any more: no reason to end.
    let _ = writeln!(io::stderr(), "{DEBUG_BUILD}");
    Ok(())
}

/// Writes to stdout.
///
/// # Errors
/// If it cannot be written; a reader that has gone is none.
pub fn say(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to stdout"),
    }
}

/// The columns of the terminal on stdout; `None` if it is none.
pub fn terminal_width() -> Option<u16> {
    terminal_size::terminal_size_of(io::stdout()).map(|(Width(columns), _)| columns)
}

/// The whole report. `figures` has one element for each entry.
pub fn text(
    options: &CompareOptions,
    machine: &Machine,
    entries: &[Entry],
    figures: &[Option<Figures>],
    notes: &Notes,
    width: Option<u16>,
) -> String {
    let rows: Vec<_> =
        entries.iter().zip(figures).map(|(entry, row)| (entry.contender.name.clone(), row.clone())).collect();
    let mut text = table::render(&rows, width);
    let columns = width.map_or(TEXT_COLUMNS, usize::from);
    text.push('\n');
    paragraph(&mut text, "measured: ", &settings(options), columns);
    paragraph(&mut text, "machine: ", &machine.to_string(), columns);
    paragraph(&mut text, "columns: ", COLUMNS, columns);
    for (title, lines) in
        [("note: ", &notes.notes), ("doubt: ", &notes.doubts), ("FAILED: ", &notes.failures)]
    {
        for line in lines {
            paragraph(&mut text, title, line, columns);
        }
    }
    paragraph(&mut text, "checked: ", &checked(entries), columns);
    text
}

/// What the columns mean, as far as their names do not say it.
const COLUMNS: &str = "rates and CPU are medians of the rounds, spread is half the distance between the fastest and the slowest \
    round; response times are of all rounds together; CPU, memory, processes and threads are those of the server's whole process \
    tree, memory as its proportional set size with all connections open";

fn settings(options: &CompareOptions) -> String {
    format!(
        "{} of {}, {} in flight on each; {} of {:?} each, after a warm-up of {:?}, all servers in turn; generator: {}, closed loop; \
         lab {}",
        counted(options.connections as u64, "connection"),
        counted_bytes(options.size),
        counted(options.pipeline as u64, "request"),
        counted(options.rounds as u64, "round"),
        options.duration,
        options.warm_up,
        counted(options.threads as u64, "thread"),
        env!("CARGO_PKG_VERSION"),
    )
}

fn counted_bytes(size: usize) -> String {
    if size < 1024 {
        format!("{size}-byte requests")
    } else {
        format!("requests of {} bytes", units::grouped(size as u64))
    }
}

fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", units::grouped(count), if count == 1 { "" } else { "s" })
}

/// How many replies were compared with what was expected, and how that went.
fn checked(entries: &[Entry]) -> String {
    let rounds = entries.iter().flat_map(|entry| &entry.rounds);
    let requests = rounds.map(|round| round.requests).sum();
    let failures = || entries.iter().filter_map(|entry| entry.failure.as_ref());
    format!(
        "every byte of {}; wrong: {}, other errors: {}",
        counted(requests, "answer"),
        units::grouped(failures().map(|failure| failure.wrong_bytes).sum()),
        units::grouped(failures().map(|failure| failure.other_errors).sum()),
    )
}

/// Appends `words` after `title`, broken before `columns` where it can be, with the further lines indented.
fn paragraph(text: &mut String, title: &str, words: &str, columns: usize) {
    let mut line = title.trim_end().to_owned();
    for word in words.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > columns {
            let _ = writeln!(text, "{line}");
            " ".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_is_broken_between_words_and_a_long_word_stays_whole() {
        let mut text = String::new();
        paragraph(&mut text, "note: ", "aa bb cc ddddddddddddddd ee", 12);
        assert_eq!(text, "note: aa bb\n  cc\n  ddddddddddddddd\n  ee\n");
    }
}
