//! What the server can be told.

use clap::Parser;
use serving::ServerOptions;

/// Serves every client in a task of its own: what it sends comes back upper-cased.
#[derive(Debug, Parser)]
#[command(name = "server-tokio", version, about, after_long_help = serving::examples!("server-tokio"))]
pub struct Options {
    /// What every server can be told.
    #[command(flatten)]
    pub server: ServerOptions,

    /// Share the tasks among N threads instead of running them all on one
    #[arg(long, env = "SHOUT_WORKERS", value_name = "N", help_heading = "Workers")]
    #[arg(value_parser = serving::options::parse_count::<1_000>)]
    pub workers: Option<usize>,
}
