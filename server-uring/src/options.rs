//! What the server can be told.

use clap::Parser;
use serving::ServerOptions;

/// Serves all clients in one loop of completions: what they send comes back upper-cased.
#[derive(Debug, Parser)]
#[command(name = "server-uring", version, about, after_long_help = serving::examples!("server-uring"))]
pub struct Options {
    /// What every server can be told.
    #[command(flatten)]
    pub server: ServerOptions,
}
