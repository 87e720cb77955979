//! `lab report`: kept results once more.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use harness::text;

use crate::document::Document;
use crate::outputs::Outputs;
use crate::report;

/// `lab report`: the report once more, from a file.
#[derive(Debug, Args)]
pub struct ReportOptions {
    /// The results, as `lab compare --json` wrote them
    #[arg(value_name = "FILE")]
    results: PathBuf,

    /// Print every table and every finding, not only the answer
    #[arg(long)]
    details: bool,

    /// Write the report, with charts, as one HTML file; without any file, the answer is shown
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Write the answer as Markdown, to be pasted
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,

    /// Write the figures as CSV, a line for each server at each point
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

/// Shows kept results once more.
///
/// # Errors
/// If the file is no results, or one cannot be written.
pub fn run(options: &ReportOptions) -> Result<()> {
    let document = Document::read(&options.results)?;
    let files = [None, options.report.as_deref(), options.markdown.as_deref(), options.csv.as_deref()];
    if files.iter().all(Option::is_none) || options.details {
        let show = if options.details { report::text } else { report::answer };
        text::say(&show(&document, text::terminal_width()))?;
    }
    Outputs::open(files)?.write(&document)
}
