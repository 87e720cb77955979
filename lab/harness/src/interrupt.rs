//! Ctrl-C: ends the load that runs, and with it the comparison; a second one ends the lab at once.

use std::process;
use std::sync::Arc;

use anyhow::{Context, Result};
use client::load::StopHandle;

/// Whether the user has interrupted the lab.
#[derive(Debug, Default)]
pub struct Interrupt {
    stop: StopHandle,
}

impl Interrupt {
    /// From now on SIGINT, SIGTERM and SIGHUP interrupt the lab instead of ending it.
    ///
    /// # Errors
    /// If the handler cannot be installed, or there is one already.
    pub fn watch() -> Result<Arc<Self>> {
        let interrupt = Arc::new(Self::default());
        let watched = Arc::clone(&interrupt);
        ctrlc::set_handler(move || watched.raise()).context("cannot watch for Ctrl-C")?;
        Ok(interrupt)
    }

    fn raise(&self) {
        if self.raised() {
            // The servers die with the lab, see `leash`.
            process::exit(1);
        }
        self.stop.stop();
    }

    /// Whether the user wants the lab to end.
    pub fn raised(&self) -> bool {
        self.stop.is_stopped()
    }

    /// What stops every load that is given it.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }
}
