//! Many requests in flight: what is left of the differences when a system call carries several of
//! them.

use super::requests;
use crate::profile::Profile;

pub(super) const PROFILE: Profile = Profile {
    title: "Pipelined requests",
    about: "The same with 16 requests in flight on each connection, so that one read brings several: how much of a model's cost \
            is that of waiting and of system calls, and how much that of the work itself?",
    connections: [&[], &[50], &[1, 10, 100]],
    pipeline: 16,
    ..requests::PROFILE
};
