//! What the server can be told.

use clap::Parser;
use serving::ServerOptions;

/// Serves all clients in event loops of many processes: what they send comes back upper-cased.
#[derive(Debug, Parser)]
#[command(name = "server-hybrid", version, about, after_long_help = serving::examples!("server-hybrid"))]
pub struct Options {
    /// What every server can be told.
    #[command(flatten)]
    pub server: ServerOptions,

    /// Worker processes [default: one for each core]
    #[arg(long, env = "SHOUT_PROCESSES", value_name = "P", help_heading = "Workers")]
    #[arg(value_parser = serving::options::parse_count::<1_000>)]
    pub processes: Option<usize>,

    /// Threads in each worker process, each with an event loop
    #[arg(long, env = "SHOUT_THREADS", value_name = "T", default_value = "1", help_heading = "Workers")]
    #[arg(value_parser = serving::options::parse_count::<1_000>)]
    pub threads: usize,
}
