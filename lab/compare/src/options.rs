//! What `lab compare` can be told.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};
use client::load::{parse_size, parse_threads};
use harness::contender::{Contender, Foreign};
use harness::models::{Model, Workers};
use harness::pin::Pins;
use serving::UsageError;
use serving::options::{parse_count, parse_duration};

use crate::profile::{OneAtATime, Profile, Scenario};
use crate::{peers, plain};

/// Most connections, most requests in flight on each, and most rounds.
const MOST_CONNECTIONS: usize = 100_000;
const MOST_PIPELINED: usize = 65_536;
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

    /// Also a foreign server that answers in upper case: a shell command, with {port} where its
    /// port belongs
    ///
    /// For example --server 'mine=./mine --listen 127.0.0.1:{port}'. It must listen on 127.0.0.1
    /// within ten seconds; SIGTERM stops it. May be given several times.
    #[arg(long, value_name = "NAME=COMMAND", value_parser = Foreign::parse, help_heading = "Servers")]
    server: Vec<Foreign>,

    /// The same for a server that sends the bytes back as they are
    #[arg(long, alias = "echo-server", value_name = "NAME=COMMAND", value_parser = Foreign::parse)]
    #[arg(help_heading = "Servers")]
    server_echoes: Vec<Foreign>,

    /// Also the Python servers of the folder peers/, those whose interpreter and modules are found
    #[arg(long, help_heading = "Servers")]
    peers: bool,

    /// Also the plain server of each model, beside the dependable one: what dependability costs
    #[arg(long, conflicts_with = "foreign_only", help_heading = "Servers")]
    plain: bool,

    /// Scenarios, separated by commas [default: all; with --connections, --size or --pipeline only
    /// requests]
    #[arg(long, value_name = "NAME", value_enum, value_delimiter = ',', help_heading = "Load")]
    scenarios: Vec<Scenario>,

    /// Connections to each server, all open at once; several numbers, separated by commas, make a
    /// sweep [default: each scenario's own]
    #[arg(short, long, value_name = "N", value_delimiter = ',', help_heading = "Load")]
    #[arg(value_parser = parse_count::<MOST_CONNECTIONS>)]
    connections: Vec<usize>,

    /// Bytes in each request, such as 64, 16KiB or 1MiB [default: 64; 64KiB in bulk]
    #[arg(short, long, value_name = "SIZE", value_parser = parse_size, help_heading = "Load")]
    pub size: Option<usize>,

    /// Requests in flight on each connection [default: 1; 16 in pipeline]
    #[arg(short, long, value_name = "N", help_heading = "Load")]
    #[arg(value_parser = parse_count::<MOST_PIPELINED>)]
    pub pipeline: Option<usize>,

    /// Threads of the load generator; auto is one for every second core
    #[arg(short, long, value_name = "N", default_value = "1", help_heading = "Load")]
    #[arg(value_parser = parse_threads::<2>)]
    pub threads: usize,

    /// Let server and generator run on the same cores [default: on different ones, where there are
    /// two or more]
    #[arg(long, help_heading = "Load")]
    pub no_pin: bool,

    /// Fewer scenarios, in about half a minute
    #[arg(long, conflicts_with = "thorough", help_heading = "Time")]
    quick: bool,

    /// More points and more rounds, in about twenty minutes
    #[arg(long, help_heading = "Time")]
    thorough: bool,

    /// How long all of it may take: rounds are added until it is clear who leads, or the time is up
    /// [default: 3m; quick 30s; thorough 20m]
    #[arg(long, value_name = "TIME", value_parser = parse_some_time, conflicts_with = "rounds", help_heading = "Time")]
    time: Option<Duration>,

    /// Measure each server for this long in each round [default: what the time allows, at most 1s]
    #[arg(short, long, value_name = "TIME", value_parser = parse_some_time, help_heading = "Time")]
    pub duration: Option<Duration>,

    /// Drive each server for this long before measuring it [default: a fifth of the duration]
    #[arg(short, long, value_name = "TIME", value_parser = parse_duration, help_heading = "Time")]
    pub warm_up: Option<Duration>,

    /// Exactly so many rounds; in each, every server is started afresh and measured once [default:
    /// at least 3; thorough 5]
    #[arg(short, long, value_name = "N", help_heading = "Time")]
    #[arg(value_parser = parse_count::<MOST_ROUNDS>)]
    pub rounds: Option<usize>,

    /// Print every table and every finding, not only the answer
    #[arg(long, help_heading = "Output")]
    pub details: bool,

    /// Write the results as JSON to this file, or with - to stdout instead of the table
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub json: Option<PathBuf>,

    /// Write the report, with charts, as one HTML file
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub report: Option<PathBuf>,

    /// Write the answer as Markdown, to be pasted
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub markdown: Option<PathBuf>,

    /// Write the figures as CSV, a line for each server at each point
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub csv: Option<PathBuf>,

    /// Show the change against an earlier run, from a file that --json wrote
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub baseline: Option<PathBuf>,

    /// Exit with 1 where something is worse than in that run, beyond doubt
    ///
    /// The test is that of all findings: 95 %. Of a hundred figures that have not changed, two or
    /// three are called worse by chance, so name the few --models and --scenarios that matter.
    #[arg(long, value_name = "WHAT", requires = "baseline", help_heading = "Output")]
    pub fail_if: Option<FailIf>,
}

/// What makes a comparison with an earlier run fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailIf {
    /// Something is worse beyond doubt
    Worse,
}

/// How much is measured; the number is the place in a scenario's sweeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// About half a minute.
    Quick = 0,
    /// About three minutes.
    Usual = 1,
    /// About twenty minutes.
    Thorough = 2,
}

impl Depth {
    /// How long the whole comparison may take.
    pub fn budget(self) -> Duration {
        Duration::from_secs(match self {
            Self::Quick => 30,
            Self::Usual => 180,
            Self::Thorough => 1200,
        })
    }

    /// How often everything is measured, at least.
    pub fn rounds(self) -> usize {
        match self {
            Self::Quick | Self::Usual => 3,
            Self::Thorough => 5,
        }
    }
}

/// Who could take part, before it is known with how many connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Candidate {
    /// One of ours.
    Own(Model),
    /// A foreign one, and whether it echoes.
    Foreign(Foreign, bool),
}

impl Candidate {
    /// As it takes part in a scenario, with that many connections; `None` if it does not. `first`:
    /// at the first point of the sweep.
    pub fn at(&self, profile: &Profile, connections: usize, cores: usize, first: bool) -> Option<Contender> {
        let mut contender = match self {
            Self::Own(model) if is_pool(*model) && connections > MOST_WORKERS => return None,
            Self::Own(model) => Contender::own(*model, connections, cores),
            Self::Foreign(..) if !profile.arguments.is_empty() => return None,
            Self::Foreign(foreign, echo) => Contender::foreign(foreign, *echo, connections),
        };
        if contender.holds_one() {
            match profile.one_at_a_time {
                OneAtATime::Fully => contender.connections = connections,
                OneAtATime::WithOneConnection if first => {}
                OneAtATime::WithOneConnection | OneAtATime::Not => return None,
            }
        }
        contender.start.add(profile.arguments);
        Some(contender)
    }
}

impl CompareOptions {
    /// Who could take part, in the order of the table: ours in the order of the lesson or as asked
    /// for, then the foreign ones. And who is left out, why, and how to get it.
    ///
    /// # Errors
    /// A [`UsageError`] if nothing is left to compare, two have one name, or a pool would be too
    /// large.
    pub fn candidates(&self) -> Result<(Vec<Candidate>, Vec<String>), UsageError> {
        let mut left_out = Vec::new();
        let models = match self.models.as_slice() {
            [] if self.foreign_only => Vec::new(),
            [] => {
                let mut models: Vec<Model> = Model::all().collect();
                // Many containers forbid io_uring. Whoever asks for it by name is told so by a
                // failure.
                models.retain(|model| match model.available() {
                    Ok(()) => true,
                    Err(error) => {
                        left_out.push(format!("{}: {error}", model.name()));
                        false
                    }
                });
                models
            }
            chosen => chosen.to_vec(),
        };
        let most = self.connections.iter().copied().max().unwrap_or(0);
        if most > MOST_WORKERS && self.models.iter().any(|model| is_pool(*model)) {
            return Err(UsageError(format!(
                "a pool has at most {MOST_WORKERS} workers, too few for --connections {most}: leave prefork and pool \
                 out of --models, or ask for fewer connections"
            )));
        }
        let mut found = if self.peers { peers::find() } else { peers::Found::default() };
        if self.plain {
            let plain = plain::find(&models);
            found.peers.extend(plain.peers);
            found.left_out.extend(plain.left_out);
        }
        let mut candidates: Vec<Candidate> = Vec::new();
        for model in models.into_iter().map(Candidate::Own) {
            if !candidates.contains(&model) {
                candidates.push(model);
            }
        }
        candidates.extend(self.server.iter().map(|server| Candidate::Foreign(server.clone(), false)));
        candidates.extend(self.server_echoes.iter().map(|server| Candidate::Foreign(server.clone(), true)));
        candidates.extend(found.peers.into_iter().map(|peer| Candidate::Foreign(peer, false)));
        if candidates.is_empty() {
            return Err(UsageError(
                "there is nothing to compare: --foreign-only needs --server, --server-echoes or --peers that are found"
                    .to_owned(),
            ));
        }
        left_out.extend(found.left_out);
        Ok((candidates, left_out))
    }

    /// The scenarios, each once, in the order in which they are documented.
    pub fn scenarios(&self) -> Vec<Scenario> {
        if !self.scenarios.is_empty() {
            return Scenario::value_variants()
                .iter()
                .copied()
                .filter(|scenario| self.scenarios.contains(scenario))
                .collect();
        }
        if self.names_a_load() {
            return vec![Scenario::Requests];
        }
        Scenario::value_variants().to_vec()
    }

    /// Whether somebody asks for one load of their own rather than for the sweep.
    fn names_a_load(&self) -> bool {
        !self.connections.is_empty() || self.size.is_some() || self.pipeline.is_some()
    }

    /// The connections of a scenario, rising, each once. Empty if it does not belong to this sweep.
    pub fn connections(&self, profile: &Profile) -> Vec<usize> {
        let default = profile.connections[self.depth() as usize];
        let mut connections = if self.connections.is_empty() {
            // Who names a scenario wants it, however short the sweep.
            let named = !self.scenarios.is_empty() || self.names_a_load();
            if default.is_empty() && named { profile.connections[Depth::Usual as usize] } else { default }
                .to_vec()
        } else {
            self.connections.clone()
        };
        connections.sort_unstable();
        connections.dedup();
        connections.retain(|count| *count >= profile.least_connections);
        connections
    }

    /// On how many cores a server runs.
    pub fn server_cores(&self, pinned: bool) -> usize {
        match Pins::divide(self.threads) {
            Some(pins) if !self.no_pin => pins.of_server(pinned).len(),
            _ => thread::available_parallelism().map_or(1, Into::into),
        }
    }

    /// How long all of it may take.
    pub fn time(&self) -> Duration {
        self.time.unwrap_or(self.depth().budget())
    }

    /// How much is measured.
    pub fn depth(&self) -> Depth {
        match self.time {
            _ if self.quick => Depth::Quick,
            _ if self.thorough => Depth::Thorough,
            Some(time) if time < Depth::Usual.budget() / 2 => Depth::Quick,
            Some(time) if time > Depth::Thorough.budget() / 2 => Depth::Thorough,
            _ => Depth::Usual,
        }
    }
}

fn is_pool(model: Model) -> bool {
    model.workers() == Workers::PerConnection
}

/// Reads a time of more than nothing.
fn parse_some_time(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("takes a time of more than nothing, such as 500ms or 1s".to_owned()),
        duration => Ok(duration),
    }
}
