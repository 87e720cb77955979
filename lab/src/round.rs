//! One server, driven once: what it did, and what that cost.

use std::time::Duration;

use anyhow::Result;
use client::load::{Doubt, Errors, Load, LoadOptions, Results};
use hdrhistogram::Histogram;

use crate::contender::Contender;
use crate::interrupt::Interrupt;
use crate::options::CompareOptions;
use crate::sample::{self, Footprint};
use crate::server::Server;
use crate::summary::Failure;

/// What was measured of one server in one round.
#[derive(Debug, Clone)]
pub struct Round {
    /// The measured window.
    pub elapsed: Duration,
    /// Requests answered within it.
    pub requests: u64,
    /// Response times, in nanoseconds.
    pub response: Histogram<u64>,
    /// CPU time of the server's process tree within the window.
    pub server_cpu: Duration,
    /// What the server occupied right after the window, with all connections open.
    pub footprint: Footprint,
    /// CPU time of the generator's threads within the window.
    pub generator_cpu: Duration,
    /// What went wrong, by kind.
    pub errors: Errors,
    /// Requests that were not answered in the end.
    pub unanswered: u64,
    /// Why one should not believe the figures.
    pub doubts: Vec<Doubt>,
    /// Why they must not be used: a wrong byte, a lost connection, nothing answered.
    pub fault: Option<String>,
}

impl Round {
    /// Requests answered per second.
    pub fn rate(&self) -> f64 {
        per(self.requests, self.elapsed.as_secs_f64())
    }

    /// CPU time of the server per answered request, in nanoseconds.
    ///
    /// Requests in flight when the window opens or closes count on one side only. There are as many at both ends.
    pub fn cpu_ns_per_request(&self) -> f64 {
        self.server_cpu.as_secs_f64() * 1e9 / per(self.requests, 1.0)
    }

    /// What went wrong in this round, whose number is `number`, if its figures must not be used.
    pub fn failure(&self, number: usize) -> Option<Failure> {
        self.fault.as_ref().map(|why| Failure {
            round: number,
            why: why.clone(),
            wrong_bytes: self.errors.wrong_bytes,
            other_errors: self.errors.total() - self.errors.wrong_bytes,
        })
    }
}

/// Starts the server, drives it, samples it, and stops it.
///
/// An interrupt ends it early: look for one before using what comes back.
///
/// # Errors
/// If the server does not start, cannot be reached, dies, or does not stop; with its name nowhere, since the caller knows it.
pub fn run(contender: &Contender, options: &CompareOptions, interrupt: &Interrupt) -> Result<Round> {
    let mut server = Server::start(contender, interrupt)?;
    let load_options = options.load(contender, server.address());
    let driven = drive(&load_options, &server, interrupt);
    // Whatever failed then: that the server has died says more.
    server.check_alive()?;
    let driven = driven?;
    server.stop()?;
    let results = driven.results;
    Ok(Round {
        elapsed: results.elapsed,
        requests: results.requests,
        server_cpu: driven.cpu,
        footprint: driven.footprint,
        generator_cpu: results.cpu,
        errors: results.errors,
        unanswered: results.unanswered,
        doubts: results.doubts(&load_options),
        fault: fault(&results),
        response: results.response,
    })
}

struct Driven {
    results: Results,
    cpu: Duration,
    footprint: Footprint,
}

/// Loads the server, and samples it at the ends of the measured window and once more while all connections are open.
fn drive(options: &LoadOptions, server: &Server<'_>, interrupt: &Interrupt) -> Result<Driven> {
    let mut load = Load::connect_until(options, interrupt.stop_handle())?;
    load.warm_up();
    let cpu_before = sample::cpu_time(server.pid())?;
    load.measure();
    let cpu_after = sample::cpu_time(server.pid())?;
    let footprint = sample::footprint(server.pid())?;
    let results = load.finish();
    Ok(Driven { results, cpu: cpu_after.saturating_sub(cpu_before), footprint })
}

/// Why the results must not be used, if so.
fn fault(results: &Results) -> Option<String> {
    if results.errors.total() > 0 {
        let first =
            results.first_error.as_ref().map(|error| format!("; the first: {error}")).unwrap_or_default();
        Some(format!("errors: {}{first}", results.errors))
    } else if results.requests == 0 {
        Some(format!("no request was answered within {:.1?}", results.elapsed))
    } else {
        None
    }
}

/// `count` per `unit`s.
#[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^52, and are shown with three digits")]
fn per(count: u64, units: f64) -> f64 {
    count as f64 / units
}
