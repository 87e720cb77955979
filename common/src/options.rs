//! The options that every server has.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use clap::Args;

use crate::logging::LogOptions;

/// The longest time that an option takes: a year. Longer ones are typing errors, and would overflow a clock.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What every server can be told, the same in each.
#[derive(Debug, Clone, Args)]
pub struct ServerOptions {
    /// Address to listen on, as IP:PORT with an IPv6 address in brackets; port 0 takes a free one
    ///
    /// `[::]:8080` serves IPv6 and IPv4. Ignored where a service manager hands over a socket (LISTEN_FDS).
    #[arg(long, env = "SHOUT_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8080")]
    #[arg(value_parser = parse_address, help_heading = "Listening")]
    pub listen: SocketAddr,

    /// Connections that may wait in the kernel's queue; net.core.somaxconn bounds it
    #[arg(long, env = "SHOUT_BACKLOG", value_name = "N", default_value_t = 4096)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65_535), help_heading = "Listening")]
    pub backlog: u32,

    /// Conversations open at once; surplus clients wait in the kernel's queue [default: what the descriptor limit allows]
    #[arg(long, env = "SHOUT_MAX_CONNECTIONS", value_name = "N")]
    #[arg(value_parser = parse_count::<10_000_000>, help_heading = "Limits")]
    pub max_connections: Option<usize>,

    /// Close a peer that neither sends nor takes bytes for this long, such as 90s or 5m; 0s means never
    #[arg(long, env = "SHOUT_IDLE_TIMEOUT", value_name = "TIME", default_value = "60s")]
    #[arg(value_parser = parse_duration, help_heading = "Limits")]
    pub idle_timeout: Duration,

    /// At a stop, finish open conversations for this long, then cut them
    #[arg(long, env = "SHOUT_DRAIN_TIMEOUT", value_name = "TIME", default_value = "10s")]
    #[arg(value_parser = parse_duration, help_heading = "Limits")]
    pub drain_timeout: Duration,

    /// CPU time that each read costs on top, such as 20us: for comparisons only
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration, hide = true)]
    pub burn: Duration,

    /// How much is logged.
    #[command(flatten)]
    pub log: LogOptions,
}

/// Reads an address: a socket address, or a name that resolves to one.
///
/// # Errors
/// A line that says what the option takes.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .ok_or_else(|| "takes IP:PORT, such as 127.0.0.1:8080 or [::1]:8080".to_owned())
}

/// Reads a time with its unit, such as `500ms` or `2m 30s`, of at most a year.
///
/// # Errors
/// A line that says what the option takes.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        _ => Err("takes a time with its unit, such as 500ms, 60s or 5m, of at most a year".to_owned()),
    }
}

/// Reads a count from 1 to `MOST`.
///
/// # Errors
/// A line that says what the option takes.
pub fn parse_count<const MOST: usize>(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=MOST).contains(&count) => Ok(count),
        _ => Err(format!("takes a whole number from 1 to {MOST}")),
    }
}
