//! What `lab compare` can be told.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use client::load::LoadOptions;
use common::UsageError;
use common::options::{parse_count, parse_duration};

use crate::contender::{Contender, Foreign, Model};
use crate::units::parse_size;

/// Most connections, most requests in flight on each, most threads of the generator, and most rounds.
const MOST_CONNECTIONS: usize = 100_000;
const MOST_PIPELINED: usize = 65_536;
const MOST_THREADS: usize = 1024;
const MOST_ROUNDS: usize = 1000;

/// The most workers that a pool can have.
const MOST_WORKERS: usize = 10_000;

/// Which servers, which load, how long.
#[derive(Debug, Clone, Args)]
pub struct CompareOptions {
    /// Models to compare, separated by commas, or the option given several times [default: all]
    #[arg(short, long, value_name = "MODEL", value_enum, value_delimiter = ',', help_heading = "Servers")]
    models: Vec<Model>,

    /// Compare only the foreign servers, none of ours
    #[arg(long, conflicts_with = "models", help_heading = "Servers")]
    foreign_only: bool,

    /// Also a foreign server that answers in upper case: a shell command, with {port} where its port belongs
    ///
    /// For example --server 'mine=./mine --listen 127.0.0.1:{port}'. It must listen on 127.0.0.1 within ten seconds; SIGTERM stops
    /// it. May be given several times.
    #[arg(long, value_name = "NAME=COMMAND", value_parser = Foreign::parse, help_heading = "Servers")]
    server: Vec<Foreign>,

    /// The same for a server that sends the bytes back as they are
    #[arg(long, value_name = "NAME=COMMAND", value_parser = Foreign::parse, help_heading = "Servers")]
    echo_server: Vec<Foreign>,

    /// Connections to each server, all open at once; the iterative one can only hold one
    #[arg(short, long, value_name = "N", default_value = "50", help_heading = "Load")]
    #[arg(value_parser = parse_count::<MOST_CONNECTIONS>)]
    pub connections: usize,

    /// Bytes in each request, such as 64, 16KiB or 1MiB
    #[arg(short, long, value_name = "SIZE", default_value = "64", value_parser = parse_size, help_heading = "Load")]
    pub size: usize,

    /// Requests in flight on each connection
    #[arg(short, long, value_name = "N", default_value = "1", help_heading = "Load")]
    #[arg(value_parser = parse_count::<MOST_PIPELINED>)]
    pub pipeline: usize,

    /// Threads of the load generator
    #[arg(short, long, value_name = "N", default_value = "1", help_heading = "Load")]
    #[arg(value_parser = parse_count::<MOST_THREADS>)]
    pub threads: usize,

    /// Measure each server for this long in each round
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = parse_some_time, help_heading = "Time")]
    pub duration: Duration,

    /// Drive each server for this long before measuring it
    #[arg(short, long, value_name = "TIME", default_value = "200ms", value_parser = parse_duration, help_heading = "Time")]
    pub warm_up: Duration,

    /// Rounds; in each, every server is started afresh and measured once
    #[arg(short, long, value_name = "N", default_value = "3", help_heading = "Time")]
    #[arg(value_parser = parse_count::<MOST_ROUNDS>)]
    pub rounds: usize,

    /// Write the results as JSON to this file, or with - to stdout instead of the table
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub json: Option<String>,
}

impl CompareOptions {
    /// What is compared, in the order of the table: ours in the order of the lesson or as asked for, then the foreign ones.
    ///
    /// # Errors
    /// A [`UsageError`] if nothing is left to compare, two have one name, or a pool would be too large.
    pub fn contenders(&self) -> Result<Vec<Contender>, UsageError> {
        let mut models = match self.models.as_slice() {
            [] if self.foreign_only => Vec::new(),
            [] => Model::ALL.to_vec(),
            chosen => chosen.to_vec(),
        };
        if self.connections > MOST_WORKERS {
            if self.models.iter().any(|model| model.is_pool()) {
                return Err(UsageError(format!(
                    "a pool has at most {MOST_WORKERS} workers, too few for --connections {}: leave prefork and thread-pool \
                     out of --models, or ask for fewer connections",
                    self.connections
                )));
            }
            models.retain(|model| !model.is_pool());
        }
        let mut contenders: Vec<Contender> = Vec::new();
        for model in models {
            let contender = Contender::own(model, self.connections);
            if !contenders.contains(&contender) {
                contenders.push(contender);
            }
        }
        contenders
            .extend(self.server.iter().map(|server| Contender::foreign(server, false, self.connections)));
        contenders
            .extend(self.echo_server.iter().map(|server| Contender::foreign(server, true, self.connections)));
        if contenders.is_empty() {
            return Err(UsageError(
                "there is nothing to compare: --foreign-only needs --server or --echo-server".to_owned(),
            ));
        }
        for (index, contender) in contenders.iter().enumerate() {
            if contenders[..index].iter().any(|earlier| earlier.name == contender.name) {
                return Err(UsageError(format!(
                    "two servers are called {}: give one another name",
                    contender.name
                )));
            }
        }
        Ok(contenders)
    }

    /// The load for `contender`, which listens on `address`.
    pub fn load(&self, contender: &Contender, address: SocketAddr) -> LoadOptions {
        LoadOptions {
            connections: contender.connections,
            threads: self.threads,
            size: self.size,
            pipeline: self.pipeline,
            duration: self.duration,
            warm_up: self.warm_up,
            echo: contender.echo,
            ..LoadOptions::new(address)
        }
    }
}

/// Reads a time of more than nothing.
fn parse_some_time(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("takes a time of more than nothing, such as 500ms or 1s".to_owned()),
        duration => Ok(duration),
    }
}
