//! The files that a comparison writes.

use std::path::Path;

use anyhow::{Context, Result};
use client::output::Output;

use crate::document::Document;
use crate::{export, html};

/// The files that were asked for: results, report, Markdown, CSV.
#[derive(Debug)]
pub struct Outputs([Option<Output>; 4]);

impl Outputs {
    /// Makes sure that they can be written.
    ///
    /// # Errors
    /// If one cannot, or two are the same.
    pub fn open([json, report, markdown, csv]: [Option<&Path>; 4]) -> Result<Self> {
        let wishes = [("--json", json), ("--report", report), ("--markdown", markdown), ("--csv", csv)];
        Ok(Self(Output::open_all(wishes)?))
    }

    /// Whether one of them goes to stdout, instead of the answer.
    pub fn uses_stdout(&self) -> bool {
        self.0.iter().flatten().any(Output::is_stdout)
    }

    /// Writes them.
    ///
    /// # Errors
    /// If one cannot be written.
    pub fn write(self, document: &Document) -> Result<()> {
        let write = |output: Option<Output>, content: &dyn Fn() -> Result<String>| {
            let Some(output) = output else { return Ok(()) };
            let content = content()?;
            output.write(|out| out.write_all(content.as_bytes()))
        };
        let [json, report, markdown, csv] = self.0;
        write(json, &|| {
            Ok(serde_json::to_string_pretty(document).context("cannot turn the results into JSON")? + "\n")
        })?;
        write(report, &|| Ok(html::html(document)))?;
        write(markdown, &|| Ok(export::markdown(document)))?;
        write(csv, &|| export::csv(document))
    }
}
