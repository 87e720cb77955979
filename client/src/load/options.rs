//! What the load generator can be told.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use bytesize::ByteSize;
use clap::{Args, Parser};
use serving::UsageError;
use serving::options::{parse_address, parse_count, parse_duration};

/// The most bytes that one request may have.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// The most connections that can be asked for; the descriptor limit usually allows fewer.
const MOST_CONNECTIONS: usize = 1_000_000;

/// The most requests in flight on one connection.
const MOST_PIPELINED: usize = 65_536;

/// The highest rate that can be asked for, per second.
const MOST_PER_SECOND: f64 = 1e9;

/// The load: who is asked, what, how often and for how long.
#[derive(Debug, Clone, Args)]
pub struct LoadOptions {
    /// The server, as IP:PORT or NAME:PORT
    #[arg(value_name = "ADDR", env = "SHOUT_CONNECT", default_value = "127.0.0.1:8080", value_parser = parse_address)]
    pub address: SocketAddr,

    /// Connections that are open at once
    #[arg(short, long, value_name = "N", default_value = "50", value_parser = parse_count::<MOST_CONNECTIONS>)]
    #[arg(help_heading = "Connections")]
    pub connections: usize,

    /// Threads that drive the connections, each its share of them
    #[arg(short, long, value_name = "N", default_value = "1", value_parser = parse_count::<1024>)]
    #[arg(help_heading = "Connections")]
    pub threads: usize,

    /// Open this many connections per second [default: as fast as the server accepts]
    #[arg(long, value_name = "N", value_parser = parse_rate, allow_negative_numbers = true, help_heading = "Connections")]
    #[arg(conflicts_with = "new_connection_each")]
    pub connect_rate: Option<f64>,

    /// A new connection for each request: connect, one request, close; --connections of these at a
    /// time
    #[arg(long, help_heading = "Connections", conflicts_with = "pipeline")]
    pub new_connection_each: bool,

    /// Local address to connect from; give several for more local ports (28,000 for each, usually)
    #[arg(long, value_name = "IP", help_heading = "Connections")]
    pub source: Vec<IpAddr>,

    /// Bytes in each request, from 1 to 64MiB, such as 64, 16KiB or 1MiB
    #[arg(short, long, value_name = "SIZE", default_value = "64", value_parser = parse_size)]
    #[arg(help_heading = "Requests")]
    pub size: usize,

    /// Send this text as every request, instead of bytes that are each request's own
    #[arg(short, long, value_name = "TEXT", conflicts_with = "size", help_heading = "Requests")]
    pub message: Option<String>,

    /// Requests in flight on each connection
    #[arg(short, long, value_name = "N", default_value = "1", value_parser = parse_count::<MOST_PIPELINED>)]
    #[arg(help_heading = "Requests")]
    pub pipeline: usize,

    /// Open loop: this many requests per second in all, each due at its moment whether the server
    /// keeps up or not
    ///
    /// The response time counts from the moment at which a request was due, so a server that stalls
    /// cannot hide it. Without this option the loop is closed: each connection asks again as soon
    /// as it has its answer.
    #[arg(short, long, value_name = "N", value_parser = parse_rate, allow_negative_numbers = true, help_heading = "Requests")]
    pub rate: Option<f64>,

    /// The server sends the bytes back as they are; expect them so
    #[arg(long, help_heading = "Requests")]
    pub echo: bool,

    /// Seed of the bytes that are sent
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Requests")]
    pub seed: u64,

    /// Measure for this long, such as 500ms, 10s or 5m
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    #[arg(help_heading = "Time")]
    pub duration: Duration,

    /// End earlier, when this many requests have been answered
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Time")]
    pub requests: Option<u64>,

    /// Send requests for this long before the measurement begins
    #[arg(short, long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    #[arg(help_heading = "Time")]
    pub warm_up: Duration,

    /// Connect at once, then wait for this moment: RFC 3339 (2026-01-31T12:00:00Z) or Unix seconds
    #[arg(long, value_name = "MOMENT", value_parser = parse_moment, help_heading = "Time")]
    pub start_at: Option<SystemTime>,

    /// Keep a histogram of each second, for the interval log.
    #[arg(skip)]
    pub intervals: bool,
}

/// `LoadOptions` as a command line of their own, which is where their defaults are written.
#[derive(Debug, Parser)]
struct Alone {
    #[command(flatten)]
    options: LoadOptions,
}

impl LoadOptions {
    /// The defaults of the command line, for the server at `address`.
    pub fn new(address: SocketAddr) -> Self {
        Alone::parse_from(["load", &address.to_string()]).options
    }

    /// Bytes in each request.
    pub fn request_bytes(&self) -> usize {
        self.message.as_ref().map_or(self.size, String::len)
    }

    /// Threads that have at least one connection to drive.
    pub fn useful_threads(&self) -> usize {
        self.threads.clamp(1, self.connections.max(1))
    }

    /// What clap cannot see, since it looks at one option at a time.
    ///
    /// # Errors
    /// A [`UsageError`] that names the option and what it takes.
    pub(crate) fn check(&self) -> Result<(), UsageError> {
        let refuse = |why: String| Err(UsageError(why));
        if self.connections == 0 || self.pipeline == 0 {
            return refuse("--connections and --pipeline take whole numbers from 1".to_owned());
        }
        if self.new_connection_each && self.pipeline > 1 {
            return refuse(
                "--new-connection-each asks once on each connection: leave out --pipeline".to_owned(),
            );
        }
        let bytes = self.request_bytes() as u64;
        if !(1..=MOST_BYTES).contains(&bytes) {
            return refuse("a request has from 1 byte to 64MiB: change --size or --message".to_owned());
        }
        if self.duration.is_zero() {
            return refuse("--duration 0s measures nothing: give a time such as 10s".to_owned());
        }
        if let Some(source) = self.source.iter().find(|source| source.is_ipv4() != self.address.is_ipv4()) {
            return refuse(format!("--source {source} cannot reach {}: give one of its kind", self.address));
        }
        Ok(())
    }
}

/// Reads a size in bytes from 1 to 64 MiB, such as `64`, `64KiB` or `1MB`.
///
/// # Errors
/// A line that says what the option takes.
pub fn parse_size(text: &str) -> Result<usize, String> {
    match text.parse::<ByteSize>() {
        Ok(ByteSize(bytes @ 1..=MOST_BYTES)) => Ok(usize::try_from(bytes).expect("64 MiB fit")),
        _ => Err("takes a number of bytes from 1 to 64MiB, such as 64, 16KiB or 1MiB".to_owned()),
    }
}

/// Reads a number per second, above zero.
fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= MOST_PER_SECOND => Ok(rate),
        _ => Err("takes a number per second above 0, such as 5000 or 0.5".to_owned()),
    }
}

/// Reads a moment: RFC 3339, or seconds since 1970 began.
fn parse_moment(text: &str) -> Result<SystemTime, String> {
    let unix = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let moment = match unix {
        Some(since) => SystemTime::UNIX_EPOCH.checked_add(since),
        None => humantime::parse_rfc3339_weak(text).ok(),
    };
    moment.ok_or_else(|| "takes a moment, such as 2026-01-31T12:00:00Z or 1769860800".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_units_and_refuse_nonsense() {
        assert_eq!(parse_size("64"), Ok(64));
        assert_eq!(parse_size("64 KiB"), Ok(65_536));
        assert_eq!(parse_size("1MB"), Ok(1_000_000));
        for nonsense in ["", "0", "KiB", "-1", "64 gallons", "65MiB", "99999999999999999999"] {
            assert!(parse_size(nonsense).is_err(), "{nonsense:?} was taken");
        }
    }
}
