//! Requests that cost computing: who uses all cores?

use super::requests;
use crate::metric::Metric;
use crate::profile::Profile;

pub(super) const PROFILE: Profile = Profile {
    title: "Requests that cost computing",
    about: "Each request costs the server 20 µs of CPU time on top. Here neither side is pinned: server and generator share all \
            cores, and the question is who uses more than one of them.",
    connections: [&[20], &[20], &[1, 4, 20, 100]],
    pinned: false,
    arguments: &["--work=20us"],
    metrics: &[Metric::Rate, Metric::Cores, Metric::P99, Metric::Memory],
    ..requests::PROFILE
};
