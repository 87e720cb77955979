//! Big messages: how many bytes each second.

use super::requests;
use crate::metric::Metric;
use crate::profile::Profile;

pub(super) const PROFILE: Profile = Profile {
    title: "Bulk",
    about: "Closed loop with messages of 64 KiB: moving and upper-casing bytes outweighs the waiting. How many bytes each second \
            go through, each way?",
    connections: [&[], &[20], &[1, 10, 100]],
    size: 64 * 1024,
    metrics: &[Metric::Throughput, Metric::P99, Metric::Cpu, Metric::Memory],
    ..requests::PROFILE
};
