//! Ctrl-C: ends the load that runs, and with it the comparison; a second one ends the lab at once.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use anyhow::{Context, Result};
use client::load::StopHandle;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// No server runs.
const NONE: i32 = 0;

/// Whether the user has interrupted the lab, and what has to end then.
#[derive(Debug, Default)]
pub struct Interrupt {
    stop: StopHandle,
    group: AtomicI32,
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
            let group = self.group.load(Ordering::SeqCst);
            if group != NONE {
                let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
            }
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

    /// From now on a second interrupt kills this process group; `None`: there is none.
    pub fn kills(&self, group: Option<Pid>) {
        self.group.store(group.map_or(NONE, Pid::as_raw), Ordering::SeqCst);
    }
}
