//! Where results go: a file that is opened before anything is measured, so that a wrong path is told at once, and written when all is
//! done, so that old results stay until there are new ones.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};

use anyhow::{Context, Result};

/// One output.
#[derive(Debug)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// A file, and the option and the path that it was opened for.
    File(File, String),
}

impl Output {
    /// Opens the file that was given to `option`; `-` is stdout.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn open(option: &str, path: &str) -> Result<Self> {
        if path == "-" {
            return Ok(Self::Stdout);
        }
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(path);
        let name = format!("{option} {path}");
        Ok(Self::File(file.with_context(|| format!("cannot write {name}"))?, name))
    }

    /// Writes `text`, instead of what the file held.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(self, text: &str) -> Result<()> {
        match self {
            Self::Stdout => io::stdout().write_all(text.as_bytes()).context("cannot write to stdout"),
            Self::File(file, name) => replace(file, text).with_context(|| format!("cannot write {name}")),
        }
    }
}

fn replace(mut file: File, text: &str) -> io::Result<()> {
    // A pipe or a device has nothing to forget and no beginning to return to.
    if file.metadata()?.is_file() {
        file.set_len(0)?;
        file.rewind()?;
    }
    file.write_all(text.as_bytes())
}
