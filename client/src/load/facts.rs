//! What is known of one load beside its times: a part of its JSON form, and the first line of its
//! interval log, so that logs can be merged with nothing lost.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::doubts::Doubt;
use super::options::LoadOptions;
use super::rank::Rank;
use super::results::{Errors, Results};
use crate::clock;
use crate::units::per_second;

/// Version of the JSON form. Fields may be added to it; whoever changes or removes one changes the
/// version.
const VERSION: u32 = 1;

/// What one load was, and what came of it. Units are the last part of each name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Version of this form: 1.
    pub version: u32,
    /// Every answer was right, no connection was lost, and no condition of `--fail-if` held.
    pub ok: bool,
    /// Which of several clients this was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rank: Option<Rank>,
    /// What was asked for.
    pub load: Asked,
    /// When the measurement began, since 1970.
    pub started_unix_seconds: f64,
    /// Which machine it was, for telling machines apart; `null` if unknown.
    pub machine: Option<String>,
    /// Whether this machine's clock followed another one then (adjtimex(2)); `null` if unknown.
    pub clock_is_synchronised: Option<bool>,
    /// How long it took.
    pub elapsed_seconds: f64,
    /// Requests answered within it.
    pub requests: u64,
    /// Bytes of these requests.
    pub bytes: u64,
    /// Counts by kind.
    pub errors: Errors,
    /// What the first error was.
    pub first_error: Option<String>,
    /// Requests answered after the measurement, while the last were waited for: in the times, not in the rate.
    pub late: u64,
    /// Requests not answered even then.
    pub unanswered: u64,
    /// Connections on which nothing was answered.
    pub unserved_connections: u64,
    /// CPU time of the generator's threads within the measurement.
    pub generator_cpu_seconds: f64,
    /// The same as a share of what its threads could have used, from 0 to 1.
    pub generator_cpu_share: f64,
    /// Reasons not to believe it.
    pub doubts: Vec<Said>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Of the server.
    pub address: String,
    /// Open at once.
    pub connections: usize,
    /// Of the generator.
    pub threads: usize,
    /// Of each request; of the longest where they differ.
    pub size_bytes: usize,
    /// In flight on each connection.
    pub pipeline: usize,
    /// `null` in a closed loop, and where there are stages.
    pub target_requests_per_second: Option<f64>,
    /// As on the command line.
    pub stages: Vec<String>,
    /// As on the command line.
    pub think_time: Option<String>,
    /// A connection for each request.
    pub new_connection_each: bool,
    /// `null` for any number.
    pub requests_per_connection: Option<u64>,
    /// The bytes were expected unchanged.
    pub echo: bool,
    /// The text of each request, if all have the same.
    pub message: Option<String>,
    /// Each request was a line of a file, or the whole file.
    pub payload: Option<String>,
    /// Of the bytes.
    pub seed: u64,
    /// Of the measurement, at most.
    pub duration_seconds: f64,
    /// Before it.
    pub warm_up_seconds: f64,
}

/// A doubt in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// A name for programs.
    pub kind: String,
    /// A sentence for people.
    pub text: String,
}

impl Facts {
    /// What `results` show of a load with these options.
    pub fn new(options: &LoadOptions, rank: Option<Rank>, results: &Results) -> Self {
        let since_1970 = results.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let said = |doubt: Doubt| Said { kind: doubt.kind().to_owned(), text: doubt.to_string() };
        Self {
            version: VERSION,
            ok: results.ok(),
            rank,
            load: Asked::new(options),
            started_unix_seconds: since_1970.as_secs_f64(),
            machine: clock::machine(),
            clock_is_synchronised: results.clock_is_synchronised,
            elapsed_seconds: results.elapsed.as_secs_f64(),
            requests: results.requests,
            bytes: results.bytes,
            errors: results.errors,
            first_error: results.first_error.clone(),
            late: results.late,
            unanswered: results.unanswered,
            unserved_connections: results.unserved,
            generator_cpu_seconds: results.cpu.as_secs_f64(),
            generator_cpu_share: results.cpu_share(),
            doubts: results.doubts(options).into_iter().map(said).collect(),
        }
    }

    /// Requests per second.
    pub fn rate(&self) -> f64 {
        per_second(self.requests as f64, self.elapsed_seconds)
    }

    /// When the measurement ended, in seconds since 1970.
    pub fn ended_unix_seconds(&self) -> f64 {
        self.started_unix_seconds + self.elapsed_seconds
    }
}

impl Asked {
    fn new(options: &LoadOptions) -> Self {
        let payload = options.payload.as_ref().map(|bytes| {
            let what = if options.payload_lines { "lines of" } else { "all of" };
            format!("{what} a file of {} bytes", bytes.len())
        });
        Self {
            address: options.address.to_string(),
            connections: options.connections,
            threads: options.useful_threads(),
            size_bytes: options.request_bytes(),
            pipeline: options.pipeline,
            target_requests_per_second: options.rate,
            stages: options.stages.iter().map(ToString::to_string).collect(),
            think_time: options.think_time.as_ref().map(ToString::to_string),
            new_connection_each: options.new_connection_each,
            requests_per_connection: options.requests_per_connection.map(u64::from),
            echo: options.echo,
            message: options.message.as_ref().map(|message| message.to_string_lossy().into_owned()),
            payload,
            seed: options.seed,
            duration_seconds: options.length().as_secs_f64(),
            warm_up_seconds: options.warm_up.as_secs_f64(),
        }
    }

    /// What must be alike in loads that are merged, as pairs of a name and a value.
    pub fn kind(&self) -> Vec<(&'static str, String)> {
        let loop_kind = match (&self.stages[..], self.target_requests_per_second) {
            ([], None) => "closed loop",
            ([], Some(_)) => "open loop",
            _ => "open loop in stages",
        };
        vec![
            ("address", self.address.clone()),
            ("loop", loop_kind.to_owned()),
            ("bytes of a request", self.size_bytes.to_string()),
            ("pipeline", self.pipeline.to_string()),
            ("think time", self.think_time.clone().unwrap_or_else(|| "none".to_owned())),
            ("new connection for each request", self.new_connection_each.to_string()),
            (
                "requests per connection",
                self.requests_per_connection.map_or_else(|| "any".to_owned(), |most| most.to_string()),
            ),
            ("echo", self.echo.to_string()),
            ("duration in seconds", self.duration_seconds.to_string()),
        ]
    }
}
