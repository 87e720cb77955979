//! The lab as a server: what it starts itself again with, so that it always measures the code that
//! it was built with.

use anyhow::Result;
use clap::Args;

use crate::models::ServeCommand;
use crate::{leash, pin};

/// `lab serve MODEL [that server's options]`
#[derive(Debug, Args)]
pub struct ServeOptions {
    /// Die with this process, which must be the parent
    #[arg(long, value_name = "PID")]
    dies_with: Option<i32>,
    /// Run on these cores only
    #[arg(long, value_name = "CORES", value_parser = pin::parse_cores)]
    cores: Option<leash::Cores>,
    #[command(subcommand)]
    server: ServeCommand,
}

/// Serves until a signal stops it. No thread may exist yet: some servers fork.
///
/// # Errors
/// What the server failed with.
pub fn run(options: &ServeOptions) -> Result<()> {
    if let Some(parent) = options.dies_with {
        leash::attach(parent)?;
    }
    if let Some(cores) = &options.cores {
        pin::run_on(cores)?;
    }
    options.server.run()
}
