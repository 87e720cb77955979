//! Closed loop ping-pong: how many requests each second, and what each costs.

use crate::metric::Metric;
use crate::profile::{OneAtATime, Profile};

pub(super) const PROFILE: Profile = Profile {
    title: "Requests and answers",
    about: "Closed loop: every client sends a small request, waits for the answer, and asks again at once. How many requests \
            each second does a model answer, and how does that change with the number of clients?",
    connections: [&[100], &[1, 100, 1000], &[1, 3, 10, 30, 100, 300, 1000]],
    least_connections: 1,
    loads: [&[], &[], &[]],
    size: 64,
    pipeline: 1,
    one_at_a_time: OneAtATime::WithOneConnection,
    pinned: true,
    arguments: &[],
    metrics: &[Metric::Rate, Metric::P99, Metric::Cpu, Metric::Memory],
};
