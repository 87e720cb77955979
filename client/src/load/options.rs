//! What the load generator can be told.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser};
use serving::UsageError;
use serving::options::{parse_count, parse_duration};

use super::quantity::{MOST_BYTES, parse_number, parse_rate, parse_stage, parse_think};
pub use super::quantity::{Stage, Think, parse_size, parse_threads};
use super::schedule::Schedule;
use crate::connect::parse_server;

/// The most connections that can be asked for; the descriptor limit usually allows fewer.
const MOST_CONNECTIONS: usize = 1_000_000;

/// The most requests in flight on one connection.
const MOST_PIPELINED: usize = 65_536;

/// The shortest interval of a time series.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// The load: who is asked, what, how often and for how long.
#[derive(Debug, Clone, Args)]
pub struct LoadOptions {
    /// The server, as IP:PORT or NAME:PORT
    #[arg(value_name = "ADDR", env = "SHOUT_CONNECT", default_value = "127.0.0.1:8080", value_parser = parse_server)]
    pub address: SocketAddr,

    /// Connections that are open at once
    #[arg(short, long, value_name = "N", default_value = "50", value_parser = parse_count::<MOST_CONNECTIONS>)]
    #[arg(help_heading = "Connections")]
    pub connections: usize,

    /// Threads that drive the connections, each its share of them; auto is one for each core
    #[arg(short, long, value_name = "N", default_value = "1", value_parser = parse_threads::<1>)]
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

    /// Close each connection in order after this many requests, and open a new one
    #[arg(long, value_name = "N", value_parser = parse_nonzero, help_heading = "Connections")]
    #[arg(conflicts_with = "new_connection_each")]
    pub requests_per_connection: Option<NonZeroU64>,

    /// Local address to connect from; give several for more local ports (28,000 for each, usually)
    #[arg(long, value_name = "IP", help_heading = "Connections")]
    pub source: Vec<IpAddr>,

    /// Bytes in each request, from 1 to 64MiB, such as 64, 16KiB or 1MiB
    #[arg(short, long, value_name = "SIZE", default_value = "64", value_parser = parse_size)]
    #[arg(help_heading = "Requests")]
    pub size: usize,

    /// Send this text as every request, instead of different bytes in each
    #[arg(short, long, value_name = "TEXT", conflicts_with = "size", help_heading = "Requests")]
    #[arg(allow_hyphen_values = true)]
    pub message: Option<OsString>,

    /// Send the contents of this file as every request
    #[arg(long, value_name = "FILE", conflicts_with_all = ["size", "message"], help_heading = "Requests")]
    #[arg(value_parser = read_payload)]
    pub payload: Option<Arc<[u8]>>,

    /// Send one line of --payload in each request, newline included; connections start at
    /// different lines
    #[arg(long, requires = "payload", help_heading = "Requests")]
    pub payload_lines: bool,

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

    /// Open loop in stages, such as 30s:1000,1m:1000..5000,10s:0: a rate that stays, or one that
    /// changes steadily
    #[arg(long, value_name = "TIME:RATE,...", value_parser = parse_stage, value_delimiter = ',')]
    #[arg(conflicts_with_all = ["rate", "duration"], help_heading = "Requests")]
    pub stages: Vec<Stage>,

    /// Closed loop: each connection waits for this long between an answer and its next request,
    /// such as 10ms or 5ms..20ms
    #[arg(long, value_name = "TIME[..TIME]", value_parser = parse_think, help_heading = "Requests")]
    #[arg(conflicts_with_all = ["rate", "stages", "pipeline", "new_connection_each"])]
    pub think_time: Option<Think>,

    /// Expect the bytes back unchanged, for echo servers
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
    #[arg(short = 'n', long, value_name = "N", value_parser = parse_number, help_heading = "Time")]
    pub requests: Option<u64>,

    /// Send requests for this long before the measurement begins
    #[arg(short, long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    #[arg(help_heading = "Time")]
    pub warm_up: Duration,

    /// Wait this long after the measurement for the last answers
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration, help_heading = "Time")]
    pub timeout: Duration,

    /// Length of an interval of the time series and of the interval log, from 10ms
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration, help_heading = "Output")]
    pub interval: Duration,

    /// Keep a histogram of each interval, for the interval log or the time series.
    #[arg(skip)]
    pub intervals: bool,

    /// Keep no histogram of an interval that has been told: a load that goes on for days would be
    /// gigabytes.
    #[arg(skip)]
    pub forgets: bool,
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

    /// The bytes that every request has, or among which the lines are; `None` if each request has
    /// bytes of its own.
    pub(super) fn given_bytes(&self) -> Option<&[u8]> {
        self.payload.as_deref().or(self.message.as_ref().map(|message| message.as_bytes()))
    }

    /// Bytes in each request; in the longest where they differ.
    pub fn request_bytes(&self) -> usize {
        match self.given_bytes() {
            Some(bytes) if self.payload_lines => lines(bytes).map(<[u8]>::len).max().unwrap_or_default(),
            Some(bytes) => bytes.len(),
            None => self.size,
        }
    }

    /// How long the measurement takes, unless it ends earlier.
    pub fn length(&self) -> Duration {
        if self.stages.is_empty() {
            self.duration
        } else {
            self.stages.iter().map(|stage| stage.length).sum()
        }
    }

    /// Whether each request is due at a moment of its own.
    pub fn is_open_loop(&self) -> bool {
        self.rate.is_some() || !self.stages.is_empty()
    }

    /// When requests are due, in an open loop, from `start` on, in nanoseconds of the clock. The
    /// stages are of the measurement; before it, their first rate goes on.
    pub(super) fn schedule(&self, start: u64, measuring: bool, requests: Option<u64>) -> Option<Schedule> {
        match (&self.stages[..], self.rate) {
            ([], rate) => Some(Schedule::constant(start, rate?, self.connections, requests)),
            (stages, _) if measuring => Some(Schedule::staged(start, stages, self.connections, requests)),
            ([first, ..], _) => {
                let steady =
                    Stage { length: self.warm_up.max(Duration::from_nanos(1)), to: first.from, ..*first };
                Some(Schedule::staged(start, &[steady], self.connections, requests))
            }
        }
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
            return refuse(
                "a request has from 1 byte to 64MiB: change --size, --message or --payload".to_owned(),
            );
        }
        if self.interval < SHORTEST_INTERVAL {
            return refuse("--interval takes a time from 10ms".to_owned());
        }
        if self.is_open_loop()
            && self.schedule(0, true, None).is_none_or(|schedule| schedule.count_by(f64::INFINITY) < 1.0)
        {
            return refuse("--stages that ask for nothing measure nothing: give a rate above 0".to_owned());
        }
        if self.length().is_zero() {
            return refuse("--duration 0s measures nothing: give a time such as 10s".to_owned());
        }
        if let Some(source) = self.source.iter().find(|source| source.is_ipv4() != self.address.is_ipv4()) {
            return refuse(format!("--source {source} cannot reach {}: give one of its kind", self.address));
        }
        Ok(())
    }
}

/// The lines of a payload, each with its end.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

fn parse_nonzero(text: &str) -> Result<NonZeroU64, String> {
    parse_number(text).map(|number| NonZeroU64::new(number).expect("numbers are from 1"))
}

/// Reads a file of at most 64 MiB that is to be sent.
fn read_payload(path: &str) -> Result<Arc<[u8]>, String> {
    let path = Path::new(path);
    let length = path.metadata().map_err(|error| error.to_string())?.len();
    match length {
        0 => Err("it is empty, and a request has from 1 byte to 64MiB".to_owned()),
        1..=MOST_BYTES => Ok(std::fs::read(path).map_err(|error| error.to_string())?.into()),
        _ => Err(format!("it has {length} bytes, and at most 64MiB are sent")),
    }
}
