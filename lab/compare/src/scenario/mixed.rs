//! One client that always has bytes, among many that ask small things: does it get more than its
//! share?

use std::thread;

use anyhow::{Context, Result, anyhow};
use client::load::Load;

use super::run::Run;
use super::{requests, window};
use crate::document::AloneRecord;
use crate::driven::Driven;
use crate::metric::Metric;
use crate::profile::{OneAtATime, Profile};

pub(super) const PROFILE: Profile = Profile {
    title: "One bulk talker among many small ones",
    about: "One client sends messages of 1 MiB as fast as they come back; all others ask as in `requests`, and only their response \
            times are shown: first without the bulk talker, then with it. The generator's own core serves both, so some of the \
            rise is the generator's.",
    connections: [&[], &[20], &[20, 100]],
    least_connections: 2,
    one_at_a_time: OneAtATime::Not,
    metrics: &[Metric::Disturbed, Metric::P99, Metric::Rate, Metric::BulkThroughput],
    ..requests::PROFILE
};

/// Bytes in each message of the bulk talker.
const BULK_BYTES: usize = 1 << 20;

pub(super) fn drive(run: &Run<'_>) -> Result<Driven> {
    let mut small = run.load.clone();
    small.connections -= 1;
    small.duration /= 2;
    let mut bulk = run.load.clone();
    (bulk.connections, bulk.size, bulk.pipeline, bulk.threads) = (1, BULK_BYTES, 1, 1);
    bulk.duration = small.duration;

    let alone = window::measure(run, &small)?;
    if run.interrupt.raised() || alone.fault.is_some() {
        return Ok(alone);
    }
    let ready = window::open(run, &small)?;
    let mut talker = Load::connect_until(&bulk, run.interrupt.stop_handle())?;
    talker.warm_up();
    let mut driven = thread::scope(|scope| {
        let talking = thread::Builder::new()
            .name("bulk".to_owned())
            .spawn_scoped(scope, || talker.measure())
            .context("cannot start a thread")?;
        ready.measure(run, || talking.join().map_err(|_| anyhow!("the bulk talker has panicked")))
    })?;
    let talked = talker.finish();

    if talked.errors.total() > 0 {
        driven.fault.get_or_insert_with(|| format!("the bulk talker: {}", talked.errors));
    }
    // CPU time would be shared out over the small requests only, which the bulk talker's are none
    // of.
    driven.round.bulk_bytes_per_s = Some(talked.mebibytes_per_second() * f64::from(1 << 20));
    driven.round.alone = Some(AloneRecord::of(&alone.round));
    Ok(driven)
}
