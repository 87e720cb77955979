//! What the server can be told.

use clap::Parser;
use serving::ServerOptions;

/// Serves every client in a thread of its own: what it sends comes back upper-cased.
#[derive(Debug, Parser)]
#[command(name = "server-thread", version, about, after_long_help = serving::examples!("server-thread"))]
pub struct Options {
    /// What every server can be told.
    #[command(flatten)]
    pub server: ServerOptions,
}
