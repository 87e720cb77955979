//! Where the figures were measured: without it they mean nothing to anybody else.

use std::fs;
use std::thread;

use procfs::{CpuInfo, Current};
use serde::Serialize;

/// The machine, as far as it matters for the figures.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// The processor's name; empty if the kernel does not say.
    pub processor: String,
    /// The kernel's release; empty if unknown.
    pub kernel: String,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let processor = CpuInfo::current().ok().and_then(|info| info.model_name(0).map(str::to_owned));
        Self {
            cores: thread::available_parallelism().map_or(1, usize::from),
            processor: processor.unwrap_or_default(),
            kernel: kernel.trim().to_owned(),
        }
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plural = if self.cores == 1 { "" } else { "s" };
        write!(f, "{} core{plural}", self.cores)?;
        if !self.processor.is_empty() {
            write!(f, " ({})", self.processor)?;
        }
        if !self.kernel.is_empty() {
            write!(f, ", Linux {}", self.kernel)?;
        }
        Ok(())
    }
}
