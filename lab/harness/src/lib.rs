//! What every measurement and every lesson of the laboratory needs, and none of them alone.
//!
//! In reading order: [`models`], the models of this project; [`contender`], who can be measured;
//! [`server`] starts one, in a process that [`leash`] ties to the lab, on the cores that [`pin`]
//! divides; [`serve`] is the lab as a server of ours, and a [`troupe`] other processes of it. [`sample`] weighs a process tree, [`clock`]
//! is one clock for all, [`quota`] whether less than that was allowed, [`machine`] says where all
//! this was, [`interrupt`] is Ctrl-C. [`units`], [`text`], [`page`] show what was found, in the
//! reader's language ([`lang`]).
//!
//! Deliberately absent: anything that knows how a server works. Its process tree is all that is
//! looked at, so a foreign server is measured like ours.
#![forbid(unsafe_code)]

pub mod contender;
pub mod interrupt;
pub mod lang;
pub mod leash;
pub mod machine;
pub mod models;
pub mod page;
pub mod pin;
pub mod sample;
pub mod serve;
pub mod server;
pub mod tail;
pub mod text;
pub mod troupe;

pub use client::{cgroup, clock, quota, units};
