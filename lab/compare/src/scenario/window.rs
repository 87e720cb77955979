//! One measured window: a load for a while, and what the server's process tree used meanwhile.

use std::time::{Duration, Instant};

use anyhow::Result;
use client::load::{Load, LoadOptions};
use harness::sample;

use super::run::Run;
use crate::driven::Driven;

/// Drives the load of the point as it is.
pub(super) fn drive(run: &Run<'_>) -> Result<Driven> {
    measure(run, &run.load)
}

/// Drives this load instead.
pub(super) fn measure(run: &Run<'_>, options: &LoadOptions) -> Result<Driven> {
    open(run, options)?.measure(run, || Ok(()))
}

/// How long it is waited for that every client has been answered once; a server that does not hold
/// so many is measured all the same.
const GREETING: Duration = Duration::from_secs(2);

/// A load whose connections are all open and warm.
pub(super) struct Ready {
    load: Load,
    options: LoadOptions,
}

/// Opens the connections and warms up.
pub(super) fn open(run: &Run<'_>, options: &LoadOptions) -> Result<Ready> {
    let mut load = Load::connect_until(options, run.interrupt.stop_handle())?;
    load.greet(GREETING);
    load.warm_up();
    Ok(Ready { load, options: options.clone() })
}

impl Ready {
    /// Measures, and samples the server at the ends of the window and once more while all
    /// connections are open. `after` is called at the end of the window.
    pub(super) fn measure(self, run: &Run<'_>, after: impl FnOnce() -> Result<()>) -> Result<Driven> {
        let Self { mut load, options } = self;
        let begun = Instant::now();
        let (machine_before, lab_before) = sample::machine_cpu()?;
        let cpu_before = sample::cpu_time(run.server.tree())?;
        load.measure();
        let cpu_after = sample::cpu_time(run.server.tree())?;
        let (machine_after, lab_after) = sample::machine_cpu()?;
        // Longer than the window: a thousand processes take their time to be read.
        let taken = begun.elapsed();
        after()?;
        let footprint = sample::footprint(run.server.tree())?;
        let cpu = cpu_after.saturating_sub(cpu_before);
        let known = cpu + lab_after.saturating_sub(lab_before);
        let others = machine_after.saturating_sub(machine_before).saturating_sub(known);
        let mut driven = Driven::new(load.finish(), &options, cpu, footprint);
        driven.round.others_cores = others.as_secs_f64() / taken.as_secs_f64();
        Ok(driven)
    }
}
