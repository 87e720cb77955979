//! Where the lessons are shown: on the terminal one after the other, in files all together at the
//! end.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use client::output::Output;
use comfy_table::{ColumnConstraint, LineStyle, Table, TableStyle};
use harness::lang::Lang;
use harness::text::{GAP, STYLE, align, paragraph};

use super::key::Key;
use super::lanes::Look;
use super::texts::Texts;
use super::verdict::{Variant, rows};
use super::{Lesson, chrome, json, lanes, page, picture};

/// Columns where the terminal's are not known.
const COLUMNS: u16 = 100;

/// [`STYLE`], in letters.
const ASCII_STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('-'));

/// How every experiment is shown.
#[derive(Debug, Clone, Args)]
pub struct ShowOptions {
    /// Columns of the text [default: the terminal's, or 100 where there is none]
    #[arg(long, value_name = "COLUMNS", global = true, help_heading = "Output")]
    #[arg(value_parser = clap::value_parser!(u16).range(40..=1000))]
    width: Option<u16>,

    /// Draw with letters, without Unicode
    #[arg(long, global = true, help_heading = "Output")]
    ascii: bool,

    /// Write an HTML page with the pictures to this file
    #[arg(long, value_name = "FILE", global = true, help_heading = "Output")]
    report: Option<PathBuf>,

    /// Write the pictures as SVG to this file
    #[arg(long, value_name = "FILE", global = true, help_heading = "Output")]
    svg: Option<PathBuf>,

    /// Write what was recorded as Chrome trace events, for Perfetto or chrome://tracing, to this
    /// file
    #[arg(long, value_name = "FILE", global = true, help_heading = "Output")]
    trace: Option<PathBuf>,

    /// Write everything as JSON to this file, or with - to stdout instead of the text
    #[arg(long, value_name = "FILE", global = true, help_heading = "Output")]
    json: Option<PathBuf>,
}

/// Shows lessons as they come.
#[derive(Debug)]
pub struct Show {
    look: Look,
    /// Page, pictures, trace, JSON.
    outputs: [Option<Output>; 4],
    lessons: Vec<Lesson>,
}

impl Show {
    /// Gets ready, and makes sure that every file can be written before anything is run for it.
    ///
    /// # Errors
    /// If one cannot.
    pub fn open(options: &ShowOptions, lang: Lang) -> Result<Self> {
        let outputs = Output::open_all([
            ("--report", options.report.as_deref()),
            ("--svg", options.svg.as_deref()),
            ("--trace", options.trace.as_deref()),
            ("--json", options.json.as_deref()),
        ])?;
        let look = Look {
            lang,
            columns: options.width.or_else(harness::text::terminal_width).unwrap_or(COLUMNS).into(),
            ascii: options.ascii,
            colour: io::stdout().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && !serving::terminal::is_dumb(),
        };
        Ok(Self { look, outputs, lessons: Vec::new() })
    }

    /// Shows a lesson on the terminal, and keeps it for the files.
    ///
    /// # Errors
    /// If stdout cannot be written.
    pub fn add(&mut self, lesson: Lesson) -> Result<()> {
        if !self.outputs.iter().flatten().any(Output::is_stdout) {
            let gap = if self.lessons.is_empty() { "" } else { "\n\n" };
            harness::text::say(&format!("{gap}{}", text(&lesson, &self.look)))?;
        }
        self.lessons.push(lesson);
        Ok(())
    }

    /// Writes the files.
    ///
    /// # Errors
    /// If one cannot be written.
    pub fn finish(self) -> Result<()> {
        let (lessons, lang) = (&self.lessons, self.look.lang);
        let [report, svg, trace, json] = self.outputs;
        write(report, || Ok(page::html(lessons, lang)))?;
        write(svg, || Ok(picture::svg(lessons, lang)))?;
        write(trace, || chrome::trace(lessons))?;
        write(json, || json::document(lessons))?;
        Ok(())
    }
}

fn write(output: Option<Output>, content: impl FnOnce() -> Result<String>) -> Result<()> {
    let Some(output) = output else { return Ok(()) };
    let content = content()?;
    output.write(|out| out.write_all(content.as_bytes()))
}

/// The whole lesson for the terminal: the question, what came of each claim, a picture for each
/// variant, the table, and why.
pub fn text(lesson: &Lesson, look: &Look) -> String {
    let (mut text, texts) = (String::new(), Texts::of(look.lang));
    let frame = &texts.frame;
    let paragraph = |text: &mut String, title: &str, words: &str| {
        paragraph(text, title, words, look.columns);
    };
    paragraph(&mut text, &(frame.title)(lesson.entry.name), lesson.entry.question(look.lang));
    let verdict = lesson.verdict(look.lang);
    let said = match (lesson.outcome.claims.is_empty(), verdict.as_expected) {
        (true, _) => frame.no_claims,
        (false, true) => frame.as_expected,
        (false, false) => frame.not_as_expected,
    };
    paragraph(&mut text, &(frame.title)(frame.verdict), said);
    for claim in &lesson.outcome.claims {
        let sign = match (claim.holds, look.ascii) {
            (true, false) => "✓",
            (false, false) => "✗",
            (true, true) => "+",
            (false, true) => "NOT",
        };
        let words = claim.words.get(look.lang);
        paragraph(&mut text, sign, &(frame.claim)(&words.expected, &words.observed));
    }
    let key = Key::of(lesson.outcome.variants.iter().map(|variant| &variant.trace));
    for variant in &lesson.outcome.variants {
        text.push('\n');
        paragraph(&mut text, &(frame.title)(&variant.name), variant.about.get(look.lang));
        text.push_str(&lanes::draw(&variant.trace, &key, look));
    }
    for drawing in lesson.outcome.drawings.get(look.lang) {
        text.push_str(&format!("\n{}\n{}\n", drawing.title, drawing.text.trim_end()));
    }
    let table = table(&lesson.outcome.variants, texts, look);
    if !table.is_empty() {
        text.push_str(&format!("\n{table}\n"));
    }
    if !verdict.why.is_empty() {
        text.push('\n');
        paragraph(&mut text, &(frame.title)(frame.why), &verdict.why);
    }
    text
}

fn table(variants: &[Variant], texts: &Texts, look: &Look) -> String {
    let (names, rows) = rows(variants, texts);
    if names.is_empty() {
        return String::new();
    }
    let cells = || rows.iter().flatten();
    let are_sparse = cells().filter(|cell| *cell == "-").count() > cells().count() / 2;
    let text = if are_sparse {
        figures(variants, &names, &rows, texts, look)
    } else {
        columns(variants, names, rows, texts, look)
    };
    if look.ascii { text.replace('µ', "u") } else { text }
}

/// A line for each variant, where they have little in common: a table would be empty columns.
fn figures(
    variants: &[Variant],
    names: &[Cow<'static, str>],
    rows: &[Vec<String>],
    texts: &Texts,
    look: &Look,
) -> String {
    let mut text = String::new();
    for (variant, row) in variants.iter().zip(rows) {
        let known = names.iter().zip(row).filter(|(_, cell)| *cell != "-");
        let known: Vec<String> = known.map(|(name, cell)| (texts.frame.figure)(name, cell)).collect();
        paragraph(
            &mut text,
            &(texts.frame.title)(&variant.name),
            &known.join(texts.frame.comma),
            look.columns,
        );
    }
    text.trim_end().to_owned()
}

fn columns(
    variants: &[Variant],
    names: Vec<Cow<'static, str>>,
    rows: Vec<Vec<String>>,
    texts: &Texts,
    look: &Look,
) -> String {
    let mut table = Table::new();
    table.load_style(if look.ascii { ASCII_STYLE } else { STYLE });
    table.set_header(std::iter::once(texts.frame.variant.into()).chain(names));
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    table.set_width(u16::try_from(look.columns).unwrap_or(u16::MAX));
    for (variant, row) in variants.iter().zip(rows) {
        table.add_row(std::iter::once(variant.name.clone()).chain(row));
    }
    if let Some(names) = table.column_mut(0) {
        // A name that is broken is none.
        names.set_constraint(ColumnConstraint::ContentWidth);
    }
    align(&mut table, GAP);
    table.trim_fmt()
}

/// Says on stderr what does not belong to the text, such as that an optional part is left out.
pub fn note(words: &str) {
    // Nobody reads stderr any more: no reason to end.
    let _ = writeln!(io::stderr(), "note: {words}");
}
