//! Text for people: on stdout, in paragraphs and tables as wide as the terminal.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use terminal_size::Width;

/// The first and the last line of a debug build.
const DEBUG_BUILD: &str = "*** DEBUG BUILD: these figures mean nothing. Use `cargo run --release`. ***";

/// A line below the header, and nothing else: the columns are told apart by the space between them.
pub const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));

/// Columns of space between two columns.
pub const GAP: u16 = 2;

/// Writes a line to stdout that warns of a debug build, or to stderr where stdout is for a program;
/// in a release build nothing.
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

/// Names to the left, figures to the right, with so many columns of space between two columns.
pub fn align(table: &mut Table, gap: u16) {
    for column in table.column_iter_mut() {
        let is_first = column.index == 0;
        column.set_padding((if is_first { 0 } else { gap }, 0));
        column.set_cell_alignment(if is_first { CellAlignment::Left } else { CellAlignment::Right });
    }
}

/// Appends `words` after `title`, broken before `columns` where it can be, with the further lines
/// indented.
pub fn paragraph(text: &mut String, title: &str, words: &str, columns: usize) {
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
