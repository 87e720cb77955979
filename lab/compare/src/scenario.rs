//! What the servers are asked to do. Each scenario is a small file: what it is called, what it
//! finds out, under which loads, and how it is driven.

mod bulk;
mod churn;
mod cpu;
mod idle;
mod mixed;
mod paced;
mod pipeline;
mod requests;
mod run;
mod slow;
mod window;

use anyhow::Result;

use crate::driven::Driven;
use crate::profile::{Profile, Scenario};

pub use run::Run;

impl Scenario {
    /// What it is.
    pub fn profile(self) -> &'static Profile {
        match self {
            Self::Requests => &requests::PROFILE,
            Self::Pipeline => &pipeline::PROFILE,
            Self::Bulk => &bulk::PROFILE,
            Self::Churn => &churn::PROFILE,
            Self::Idle => &idle::PROFILE,
            Self::Paced => &paced::PROFILE,
            Self::Slow => &slow::PROFILE,
            Self::Cpu => &cpu::PROFILE,
            Self::Mixed => &mixed::PROFILE,
        }
    }

    /// Drives the server.
    ///
    /// # Errors
    /// If the server cannot be reached or sampled.
    pub fn drive(self, run: &Run<'_>) -> Result<Driven> {
        match self {
            Self::Requests | Self::Pipeline | Self::Bulk | Self::Cpu => window::drive(run),
            Self::Churn => churn::drive(run),
            Self::Idle => idle::drive(run),
            Self::Paced => paced::drive(run),
            Self::Slow => slow::drive(run),
            Self::Mixed => mixed::drive(run),
        }
    }
}
