//! The repeating client: says something to a server again and again, and checks every byte that
//! comes back.
//!
//! In reading order: [`talk`] is a conversation that a person watches; [`pipe`] sends a file
//! through; [`load`] is many conversations at once, measured; [`merge`] makes one result out of
//! many measurements; [`hold`] is many conversations at rest; [`cli`] is the command line.
//!
//! Deliberately absent: anything of a server. The lab uses [`load`] as a library, in its own
//! process.

pub mod cgroup;
pub mod cli;
pub mod clock;
pub mod connect;
mod events;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod hlog;
pub mod hold;
mod latency;
pub mod load;
pub mod merge;
#[cfg(test)]
#[path = "../tests/support/nobody.rs"]
mod nobody;
pub mod output;
pub mod pipe;
pub mod progress;
pub mod quota;
pub mod talk;
pub mod units;
