//! Files that results go to, and standard output.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result};

/// What a file name means standard output.
const STDOUT: &str = "-";

/// Where one kind of result goes. Files are made before the work begins, so that a long run does not end in front of a folder that
/// does not exist.
#[derive(Debug)]
pub(crate) enum Output {
    Stdout,
    File(String, File),
}

impl Output {
    /// Makes the file, if one is asked for; `-` is standard output.
    ///
    /// # Errors
    /// One line that names the file.
    pub(crate) fn create(path: Option<&Path>) -> Result<Option<Self>> {
        match path {
            None => Ok(None),
            Some(path) if path == Path::new(STDOUT) => Ok(Some(Self::Stdout)),
            Some(path) => {
                let name = path.display().to_string();
                let file = File::create(path).with_context(|| format!("cannot write {name}"))?;
                Ok(Some(Self::File(name, file)))
            }
        }
    }

    /// Whether it is standard output.
    pub(crate) fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout)
    }

    /// Writes it all.
    ///
    /// # Errors
    /// One line that names the file; not if somebody has closed the pipe that standard output is.
    pub(crate) fn write<E: Into<anyhow::Error>>(
        self,
        content: impl FnOnce(&mut BufWriter<Box<dyn Write>>) -> Result<(), E>,
    ) -> Result<()> {
        let (name, target): (String, Box<dyn Write>) = match self {
            Self::Stdout => ("standard output".to_owned(), Box::new(io::stdout().lock())),
            Self::File(name, file) => (name, Box::new(file)),
        };
        let mut out = BufWriter::new(target);
        let written = content(&mut out).map_err(Into::into).and_then(|()| Ok(out.flush()?));
        match written {
            Err(error) if is_closed_pipe(&error) => Ok(()),
            written => written.with_context(|| format!("cannot write {name}")),
        }
    }
}

/// Whether whoever should have read has gone, which is their right.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
