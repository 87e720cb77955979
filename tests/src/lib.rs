//! The harness of the contract tests: real server processes, real sockets, and what /proc tells
//! about them.
//!
//! In reading order: [`model`] names the servers, [`promises!`] runs a promise against each of
//! them; [`launch`] starts one, [`server`] holds it, [`log`] waits for its lines; [`client`] talks
//! to it, [`processes`] looks at it from outside. [`deploy`] starts what starts clients on many
//! machines.
//!
//! - **No stale binary.** Each program is compiled as a binary of this package too, from the same
//!   `main.rs`; Cargo.toml says how and why. The promises name them by `CARGO_BIN_EXE_tested-*`.
//! - **Every wait has a deadline** ([`DEADLINE`]), generous, so that a loaded machine passes. No
//!   sleep stands for an event: what can be waited for is waited for; what must *not* happen is
//!   looked at for a short, named time.
//! - **Each test starts its own server** on port 0, and ends it and all its processes, also when it
//!   fails.
#![forbid(unsafe_code)]

pub mod client;
pub mod deploy;
pub mod launch;
pub mod load;
pub mod log;
pub mod model;
pub mod processes;
pub mod random;
pub mod server;
pub mod skip;
pub mod wait;

pub use client::{Client, first_difference, shouted};
pub use launch::{HAND_OVER, Launch};
pub use load::Load;
pub use model::{Kind, Model};
pub use random::Random;
pub use server::{Exit, Server, Tally};
pub use skip::{skip, skip_without};
pub use wait::{DEADLINE, eventually, uninterrupted};

pub use nix::sys::signal::Signal;

/// Makes one test per server out of each named function `fn(Model)`, so that a failure reads
/// `a_client_that_resets_harms_no_other::fork`.
///
/// `promises!(plain: name)` is for the plain servers, which start by [`Launch::plain`].
/// `promises!(only [fork prefork]: name)` is for what only these models can promise. A function
/// that is not named here is unused, which the compiler reports: no promise is forgotten.
#[macro_export]
macro_rules! promises {
    (only $models:tt: $($promise:ident),* $(,)?) => {
        $( $crate::promises!(@promise $promise $models); )*
    };
    (@promise $promise:ident [$($model:ident)*]) => {
        mod $promise {
            $( $crate::promises!(@test $promise $model); )*
        }
    };
    (@test $promise:ident $model:ident) => {
        #[test]
        fn $model() {
            let model = $crate::promises!(@model $model);
            if model.can_be_tested() {
                super::$promise(model);
            }
        }
    };
    (@model iterative) => {
        $crate::Model { kind: $crate::Kind::Iterative, program: env!("CARGO_BIN_EXE_tested-server-iterative") }
    };
    (@model fork) => {
        $crate::Model { kind: $crate::Kind::Fork, program: env!("CARGO_BIN_EXE_tested-server-fork") }
    };
    (@model prefork) => {
        $crate::Model { kind: $crate::Kind::Prefork, program: env!("CARGO_BIN_EXE_tested-server-prefork") }
    };
    (@model thread) => {
        $crate::Model { kind: $crate::Kind::Thread, program: env!("CARGO_BIN_EXE_tested-server-thread") }
    };
    (@model pool) => {
        $crate::Model { kind: $crate::Kind::Pool, program: env!("CARGO_BIN_EXE_tested-server-pool") }
    };
    (@model mio) => {
        $crate::Model { kind: $crate::Kind::Mio, program: env!("CARGO_BIN_EXE_tested-server-mio") }
    };
    (@model tokio) => {
        $crate::Model { kind: $crate::Kind::Tokio, program: env!("CARGO_BIN_EXE_tested-server-tokio") }
    };
    (@model tokio_workers) => {
        $crate::Model { kind: $crate::Kind::TokioWorkers, program: env!("CARGO_BIN_EXE_tested-server-tokio") }
    };
    (@model uring) => {
        $crate::Model { kind: $crate::Kind::Uring, program: env!("CARGO_BIN_EXE_tested-server-uring") }
    };
    (@model hybrid) => {
        $crate::Model { kind: $crate::Kind::Hybrid, program: env!("CARGO_BIN_EXE_tested-server-hybrid") }
    };
    (@model plain_iterative) => {
        $crate::Model { kind: $crate::Kind::Iterative, program: env!("CARGO_BIN_EXE_tested-plain-iterative") }
    };
    (@model plain_fork) => {
        $crate::Model { kind: $crate::Kind::Fork, program: env!("CARGO_BIN_EXE_tested-plain-fork") }
    };
    (@model plain_prefork) => {
        $crate::Model { kind: $crate::Kind::Prefork, program: env!("CARGO_BIN_EXE_tested-plain-prefork") }
    };
    (@model plain_thread) => {
        $crate::Model { kind: $crate::Kind::Thread, program: env!("CARGO_BIN_EXE_tested-plain-thread") }
    };
    (@model plain_pool) => {
        $crate::Model { kind: $crate::Kind::Pool, program: env!("CARGO_BIN_EXE_tested-plain-pool") }
    };
    (@model plain_mio) => {
        $crate::Model { kind: $crate::Kind::Mio, program: env!("CARGO_BIN_EXE_tested-plain-mio") }
    };
    (@model plain_tokio) => {
        $crate::Model { kind: $crate::Kind::Tokio, program: env!("CARGO_BIN_EXE_tested-plain-tokio") }
    };
    (@model plain_uring) => {
        $crate::Model { kind: $crate::Kind::Uring, program: env!("CARGO_BIN_EXE_tested-plain-uring") }
    };
    (@model plain_hybrid) => {
        $crate::Model { kind: $crate::Kind::Hybrid, program: env!("CARGO_BIN_EXE_tested-plain-hybrid") }
    };
    (plain: $($promise:ident),* $(,)?) => {
        $( $crate::promises!(@promise $promise [
            plain_iterative plain_fork plain_prefork plain_thread plain_pool plain_mio plain_tokio plain_uring plain_hybrid
        ]); )*
    };
    ($($promise:ident),* $(,)?) => {
        $( $crate::promises!(@promise $promise [iterative fork prefork thread pool mio tokio tokio_workers uring hybrid]); )*
    };
}
