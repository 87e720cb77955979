//! The lab as a server: what it starts itself again with, so that it always measures the code that
//! it was built with.

use anyhow::Result;
use clap::{Args, Subcommand};
use nix::sys::prctl;

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
    server: Server,
}

#[derive(Debug, Subcommand)]
enum Server {
    /// One conversation at a time
    Iterative(server_iterative::Options),
    /// One process per conversation
    Fork(server_fork::Options),
    /// A fixed pool of processes that accept by themselves
    Prefork(server_prefork::Options),
    /// One thread per conversation
    Thread(server_thread::Options),
    /// A fixed pool of threads
    Pool(server_pool::Options),
    /// All conversations on one event loop
    Mio(server_mio::Options),
    /// One task per conversation
    Tokio(server_tokio::Options),
    /// All conversations on one loop of completions
    Uring(server_uring::Options),
    /// Event loops in threads of several processes
    Hybrid(server_hybrid::Options),
}

/// Serves until a signal stops it. No thread may exist yet: `server-fork` forks.
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
    // The name by which `top` and `ps` show the process; otherwise that of the path it was started
    // by, `exe`.
    let name = match options.server {
        Server::Iterative(_) => c"lab-iterative",
        Server::Fork(_) => c"lab-fork",
        Server::Prefork(_) => c"lab-prefork",
        Server::Thread(_) => c"lab-thread",
        Server::Pool(_) => c"lab-pool",
        Server::Mio(_) => c"lab-mio",
        Server::Tokio(_) => c"lab-tokio",
        Server::Uring(_) => c"lab-uring",
        Server::Hybrid(_) => c"lab-hybrid",
    };
    prctl::set_name(name)?;
    match &options.server {
        Server::Iterative(options) => server_iterative::run(options),
        Server::Fork(options) => server_fork::run(options),
        Server::Prefork(options) => server_prefork::run(options),
        Server::Thread(options) => server_thread::run(options),
        Server::Pool(options) => server_pool::run(options),
        Server::Mio(options) => server_mio::run(options),
        Server::Tokio(options) => server_tokio::run(options),
        Server::Uring(options) => server_uring::run(options),
        Server::Hybrid(options) => server_hybrid::run(options),
    }
}
