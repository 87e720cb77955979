//! What an experiment stands on: a place for its files, of which nothing is left, however the lab
//! is ended.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context, Result};
use harness::troupe;
use tempfile::TempDir;

/// How often it is tried to remove a folder in which a dying process may still make a file.
const REMOVALS: usize = 100;

/// The place of one run of the lab. Dropped, all files in it are removed.
#[derive(Debug)]
pub struct Stage {
    scratch: TempDir,
}

impl Stage {
    /// Makes room. From now on SIGINT, SIGTERM and SIGHUP kill its processes, remove the files, and
    /// end the lab with code 1. Against SIGKILL nothing helps the files, the processes die all the
    /// same.
    ///
    /// # Errors
    /// If there is no room for files, or the signals are watched already.
    pub fn open() -> Result<Self> {
        let scratch =
            tempfile::Builder::new().prefix("lab-").tempdir().context("cannot make a folder for files")?;
        let path = scratch.path().to_owned();
        ctrlc::set_handler(move || interrupted(&path)).context("cannot watch for Ctrl-C")?;
        Ok(Self { scratch })
    }

    /// An empty folder of this name, which nobody else has.
    ///
    /// # Errors
    /// If there is one already, or it cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.scratch.path().join(name);
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }
}

fn interrupted(scratch: &Path) -> ! {
    // First, so that nobody complains that his files are gone.
    let _none_is_started = troupe::kill_all();
    for _ in 0..REMOVALS {
        let _ = fs::remove_dir_all(scratch);
        if !scratch.exists() {
            break;
        }
    }
    let _ = writeln!(io::stderr(), "error: interrupted");
    process::exit(1)
}
