//! `lab series`: time series of `client load` as a page, one time axis for all.
//!
//! In reading order: [`read`], a file; [`all`], several as one; `html::timeline` draws them.

pub mod all;
pub mod read;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use client::output::Output;
use serving::UsageError;

use crate::html::timeline::Timeline;
use read::Series;

/// `lab series`: which files, and what is written.
#[derive(Debug, Args)]
pub struct SeriesOptions {
    /// The series, as `client load --csv` or `--ndjson` wrote them; several are the ranks of one
    /// load
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Write the page to this file, or with - to stdout [default: stdout, unless --svg is given]
    #[arg(short, long, value_name = "PAGE.html")]
    output: Option<PathBuf>,

    /// Write the charts alone, as SVG, to this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Draws the series.
///
/// # Errors
/// A [`UsageError`] if a file is no series, is empty, or is named twice; an error if one cannot be
/// read or written.
pub fn run(options: &SeriesOptions) -> Result<()> {
    let outputs = [("--output", options.output.as_deref()), ("--svg", options.svg.as_deref())];
    let [page, svg] = Output::open_all(outputs)?;
    let mut each = Vec::new();
    for (index, path) in options.files.iter().enumerate() {
        if options.files[..index].contains(path) {
            return Err(UsageError(format!(
                "{:?} is named twice, and would count twice",
                path.display().to_string()
            ))
            .into());
        }
        each.push(Series::read(path)?);
    }
    let timeline = Timeline::new(&each);
    let page = page.or_else(|| svg.is_none().then(Output::stdout));
    for (output, content) in [(page, timeline.page()), (svg, timeline.picture())] {
        if let Some(output) = output {
            output.write(|out| out.write_all(content.as_bytes()))?;
        }
    }
    Ok(())
}
