//! Open loop: response times where all servers get the same number of requests each second.

use anyhow::{Context, Result};

use super::run::Run;
use super::{requests, window};
use crate::driven::Driven;
use crate::metric::Metric;
use crate::profile::{OneAtATime, Profile};

pub(super) const PROFILE: Profile = Profile {
    title: "Response times at equal load",
    about: "Open loop: every server gets the same number of requests each second, whether it keeps up or not: a share of what \
            the slowest of them sustains in a closed loop. Response times count from the moment at which a request was due, so a \
            stall is not hidden. This is the fair way to compare response times.",
    connections: [&[50], &[50], &[100]],
    loads: [&[0.5], &[0.5, 0.8], &[0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9]],
    one_at_a_time: OneAtATime::Not,
    metrics: &[Metric::P99, Metric::P50, Metric::P999, Metric::Cpu],
    ..requests::PROFILE
};

/// At the offered rate; without one, in a closed loop, to find the rate that the server sustains.
pub(super) fn drive(run: &Run<'_>) -> Result<Driven> {
    let mut load = run.load.clone();
    load.rate =
        Some(run.offered_per_s.context("nobody has measured which rate the slowest server sustains")?);
    window::measure(run, &load)
}
