//! What the server can be told.

use clap::Parser;
use serving::ServerOptions;

/// Serves one client after the other: what it sends comes back upper-cased.
#[derive(Debug, Parser)]
#[command(name = "server-iterative", version, about, after_long_help = serving::examples!("server-iterative"))]
pub struct Options {
    /// What every server can be told.
    #[command(flatten)]
    pub server: ServerOptions,
}
