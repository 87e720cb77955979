//! Text for people: on stdout, in paragraphs and tables as wide as the terminal.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use terminal_size::Width;
use unicode_linebreak::linebreaks;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::lang::Lang;

/// The first and the last line of a debug build.
fn debug_build(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "*** DEBUG BUILD: these figures mean nothing. Use `cargo run --release`. ***",
        Lang::Zh => "*** 这是调试版，数字不作数，请用 `cargo run --release`。***",
    }
}

/// A line below the header, and nothing else: the columns are told apart by the space between them.
pub const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));

/// Columns of space between two columns.
pub const GAP: u16 = 2;

/// Writes a line to stdout that warns of a debug build, or to stderr where stdout is for a program;
/// in a release build nothing.
///
/// # Errors
/// If stdout cannot be written; a reader that has gone is none.
pub fn warn_of_debug_build(lang: Lang, to_stdout: bool) -> Result<()> {
    if !cfg!(debug_assertions) {
        return Ok(());
    }
    if to_stdout {
        return say(&format!("{}\n", debug_build(lang)));
    }
    // Nobody reads stderr any more: no reason to end.
    let _ = writeln!(io::stderr(), "{}", debug_build(lang));
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
/// indented. English is broken at spaces only, Chinese between two characters, but so that no line
/// begins with a full stop (UAX 14). A space stands after the title, unless it ends with the wide
/// colon of Chinese.
pub fn paragraph(text: &mut String, title: &str, words: &str, columns: usize) {
    let mut line = title.trim_end().to_owned();
    let mut gap = if line.ends_with('：') { "" } else { " " };
    for part in parts(words) {
        if width(&line) + gap.len() + width(part.trim_end()) > columns {
            let _ = writeln!(text, "{line}");
            (line, gap) = (String::new(), "  ");
        }
        line.push_str(gap);
        line.push_str(part.trim_end());
        gap = if part.ends_with(char::is_whitespace) { " " } else { "" };
    }
    let _ = writeln!(text, "{line}");
}

/// What must stay together in a line, with the space after it.
fn parts(words: &str) -> impl Iterator<Item = &str> {
    let mut begin = 0;
    let is_wide = |character: Option<char>| character.is_some_and(|it| it.width() == Some(2));
    let ends = linebreaks(words).map(|(end, _)| end).filter(move |end| {
        let (before, after) = words.split_at(*end);
        let (last, next) = (before.chars().next_back(), after.chars().next());
        last.is_none_or(char::is_whitespace) || next.is_none() || is_wide(last) || is_wide(next)
    });
    ends.map(move |end| &words[std::mem::replace(&mut begin, end)..end])
}

/// The columns that a text takes: a Chinese character takes two.
pub fn width(text: &str) -> usize {
    text.width()
}

/// As much of a text as fits into so many columns, filled up with spaces.
pub fn fitted(text: &str, columns: usize) -> String {
    let (mut fitted, mut used) = (String::new(), 0);
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used > columns {
            break;
        }
        fitted.push(character);
    }
    let rest = columns.saturating_sub(width(&fitted));
    fitted + &" ".repeat(rest)
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

    #[test]
    fn chinese_is_broken_between_characters_by_columns_and_no_line_begins_with_a_stop() {
        let mut text = String::new();
        paragraph(&mut text, "原因：", "两个线程都在等，lock 一直没有人放。", 14);
        assert!(text.starts_with("原因：两个线程\n"), "{text}");
        for line in text.lines() {
            assert!(width(line) <= 14 && !line.trim_start().starts_with(['，', '。']), "{text}");
        }
        let all: String = text.split_whitespace().collect();
        assert_eq!(all, "原因：两个线程都在等，lock一直没有人放。");
    }

    #[test]
    fn what_is_fitted_has_the_columns_that_were_asked_for() {
        for (said, fits) in [("线程 1", "线程 1 "), ("工作线程 12", "工作线 "), ("worker 123", "worker ")]
        {
            assert_eq!(fitted(said, 7), fits);
        }
    }
}
