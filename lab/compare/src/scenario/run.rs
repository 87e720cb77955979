//! A server that is to be driven.

use client::load::LoadOptions;
use harness::interrupt::Interrupt;
use harness::server::Server;

/// A server that runs, and what is to be done with it.
#[derive(Debug)]
pub struct Run<'a> {
    /// It listens.
    pub server: &'a Server<'a>,
    /// The load of the point, closed loop.
    pub load: LoadOptions,
    /// The requests per second to offer; only in `paced`.
    pub offered_per_s: Option<f64>,
    /// Ends it early.
    pub interrupt: &'a Interrupt,
}
