//! Connect, one request, close: what beginning and ending a conversation costs.

use anyhow::Result;

use super::run::Run;
use super::{requests, window};
use crate::driven::Driven;
use crate::metric::Metric;
use crate::profile::{OneAtATime, Profile};

pub(super) const PROFILE: Profile = Profile {
    title: "A connection for each request",
    about: "Every client connects, asks once and leaves, then comes again. What does it cost to begin and to end a conversation? \
            Response times count from the request, so the time to connect is not in them.",
    connections: [&[10], &[50], &[1, 10, 100]],
    one_at_a_time: OneAtATime::Fully,
    metrics: &[Metric::ConnectionRate, Metric::P99, Metric::Cpu, Metric::Memory],
    ..requests::PROFILE
};

pub(super) fn drive(run: &Run<'_>) -> Result<Driven> {
    let mut load = run.load.clone();
    (load.new_connection_each, load.pipeline) = (true, 1);
    window::measure(run, &load)
}
