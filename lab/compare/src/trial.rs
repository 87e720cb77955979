//! Starting a server, driving it once, and stopping it.

use std::time::{Duration, Instant};
use std::{fmt, thread};

use anyhow::Result;
use client::load::LoadOptions;
use harness::contender::Contender;
use harness::interrupt::Interrupt;
use harness::pin::Pins;
use harness::server::Server;

use crate::driven::Driven;
use crate::profile::Scenario;
use crate::scenario::Run;

/// How long the end of a server that has just failed is waited for.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// A server that did not even start: it need not be tried again.
#[derive(Debug)]
pub struct NotStarted(String);

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotStarted {}

/// What to do with a server.
#[derive(Debug)]
pub struct Trial<'a> {
    /// Which server.
    pub contender: &'a Contender,
    /// How it is driven.
    pub scenario: Scenario,
    /// With which load; the address is filled in.
    pub load: LoadOptions,
    /// The requests per second to offer, in `paced`.
    pub offered_per_s: Option<f64>,
    /// The cores of both sides, where they are told apart.
    pub pins: Option<&'a Pins>,
}

/// Starts the server, drives it, samples it, and stops it.
///
/// An interrupt ends it early: look for one before using what comes back.
///
/// # Errors
/// If the server does not start ([`NotStarted`]), cannot be reached, dies, or does not stop; with
/// its name nowhere, since the caller knows it.
pub fn run(trial: &Trial<'_>, interrupt: &Interrupt) -> Result<Driven> {
    let pinned = trial.scenario.profile().pinned;
    if let Some(pins) = trial.pins {
        pins.apply(pinned)?;
    }
    let cores = trial.pins.map(|pins| pins.of_server(pinned));
    let mut server =
        Server::start(trial.contender, cores, interrupt).map_err(|error| NotStarted(format!("{error:#}")))?;
    let load = LoadOptions { address: server.address(), ..trial.load.clone() };
    let run = Run { server: &server, load, offered_per_s: trial.offered_per_s, interrupt };
    let result = trial.scenario.drive(&run);
    // Whatever failed then: that the server has died says more. A process that ends refuses
    // connections a moment before its end can be seen.
    let (since, mut alive) = (Instant::now(), server.check_alive());
    while result.is_err() && alive.is_ok() && since.elapsed() < LAST_MOMENT {
        thread::sleep(LAST_MOMENT / 100);
        alive = server.check_alive();
    }
    alive?;
    let driven = result?;
    server.stop()?;
    Ok(driven)
}
