//! What the server can be told.

use clap::Parser;
use serving::ServerOptions;

/// Serves each client in one of a fixed pool of processes: what it sends comes back upper-cased.
#[derive(Debug, Parser)]
#[command(name = "server-prefork", version, about, after_long_help = serving::examples!("server-prefork"))]
pub struct Options {
    /// What every server can be told.
    #[command(flatten)]
    pub server: ServerOptions,

    /// Processes, each of which serves one client at a time
    #[arg(long, env = "SHOUT_WORKERS", value_name = "N", default_value = "16", help_heading = "Workers")]
    #[arg(value_parser = serving::options::parse_count::<10_000>)]
    pub workers: usize,
}
