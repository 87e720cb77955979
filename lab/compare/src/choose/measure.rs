//! What is measured for a choice, and what this machine has: only what decides.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::contender::Contender;
use harness::interrupt::Interrupt;
use harness::models::{Model, Workers};
use harness::pin::Pins;
use nix::sys::resource::{Resource, getrlimit};
use procfs::{Current, Meminfo};

use super::rule::{Costs, Needs, Room};
use crate::metric::Metric;
use crate::notes::Disturbance;
use crate::plan::{Plan, PlannedPoint};
use crate::profile::Scenario;
use crate::summary::Entry;
use crate::{measure, summary};

/// The most connections that ask, and the silent ones whose memory is measured: more would not
/// change what each costs.
const MOST_ASKING: u64 = 100;
const SILENT: usize = 200;

/// How long the measurement may take.
const BUDGET: Duration = Duration::from_secs(40);

/// How often everything is measured.
const ROUNDS: usize = 5;

/// Threads of the generator.
const GENERATOR_THREADS: usize = 1;

/// What was found.
#[derive(Debug)]
pub struct Figures {
    /// What the models cost.
    pub costs: Vec<Costs>,
    /// What this machine has.
    pub room: Room,
    /// How many connections asked.
    pub asking: usize,
    /// How many were silent.
    pub silent: usize,
    /// How often.
    pub rounds: usize,
    /// Who could not be measured, and why.
    pub failures: Vec<String>,
    /// Why the figures may be wrong.
    pub doubts: Vec<Disturbance>,
}

/// Measures what these models cost under such a load.
///
/// # Errors
/// If this system does not allow it.
pub fn measure(models: &[Model], needs: &Needs, interrupt: &Interrupt) -> Result<Figures> {
    let room = room()?;
    let mut failures = Vec::new();
    let available: Vec<Model> = models
        .iter()
        .copied()
        .filter(|model| match model.available() {
            Ok(()) => true,
            Err(why) => {
                failures.push(format!("{}: {why}", model.name()));
                false
            }
        })
        .collect();
    let asking = usize::try_from((needs.clients - needs.silent).clamp(1, MOST_ASKING))?;
    let pins = Pins::divide(GENERATOR_THREADS);
    let cores = pins.as_ref().map_or(room.cores, |pins| pins.server.len());
    let work = (!needs.computes.is_zero()).then(|| format!("--work={}ns", needs.computes.as_nanos()));
    let point = |scenario: Scenario, connections: usize| {
        let contender = |model: &Model| {
            let mut contender = Contender::own(*model, connections, cores);
            if scenario == Scenario::Requests {
                contender.start.add(&work.as_deref().into_iter().collect::<Vec<_>>());
            }
            contender
        };
        let profile = scenario.profile();
        PlannedPoint {
            scenario,
            connections,
            load: None,
            size: profile.size,
            pipeline: profile.pipeline,
            contenders: available.iter().map(contender).collect(),
        }
    };
    let mut points = vec![point(Scenario::Requests, asking)];
    if needs.clients > 1 {
        points.push(point(Scenario::Idle, SILENT));
    }
    let plan = Plan::of(points, ROUNDS, BUDGET);
    let measured = measure::measure(&plan, GENERATOR_THREADS, pins.as_ref(), interrupt, |_| true)?;
    let mut costs = Vec::new();
    for (index, model) in available.iter().enumerate() {
        let entry = |point: usize| measured.entries.get(point).map(|entries| &entries[index]);
        let failure = [0, 1].into_iter().filter_map(entry).find_map(|entry| entry.failure.as_ref());
        if let Some(failure) = failure {
            failures.push(format!("{}: {}", model.name(), failure.why));
        }
        let cpu_ns = entry(0).map_or_else(Vec::new, |entry| values(entry, Metric::Cpu));
        let memory = match entry(1) {
            Some(entry) => memory(*model, entry),
            None => Some(0.0),
        };
        if let Some(memory) = memory.filter(|_| cpu_ns.len() > 1) {
            costs.push(Costs { model: *model, memory, cpu_ns });
        }
    }
    let doubts = Disturbance::of(&measured).collect();
    Ok(Figures { costs, room, asking, silent: SILENT, rounds: ROUNDS, failures, doubts })
}

/// Those of the rounds that went well: only the last one can have failed.
fn values(entry: &Entry, metric: Metric) -> Vec<f64> {
    entry.rounds.iter().map_while(|round| metric.of_round(round)).collect()
}

/// The median of the rounds. A pool has its workers before any client comes: there it is all that
/// the pool occupies, shared out.
fn memory(model: Model, entry: &Entry) -> Option<f64> {
    let is_pool = model.workers() == Workers::PerConnection;
    let metric = if is_pool { Metric::Memory } else { Metric::IdleWhole };
    let values = values(entry, metric);
    let bytes = (!values.is_empty()).then(|| summary::median(&values))?;
    #[allow(clippy::cast_precision_loss, reason = "connections are few")]
    Some(if is_pool { bytes / SILENT as f64 } else { bytes })
}

/// Cores, memory, and processes and threads.
fn room() -> Result<Room> {
    let memory = Meminfo::current().context("cannot read how much memory there is")?;
    let (own, _) = getrlimit(Resource::RLIMIT_NPROC).context("cannot read the limit of processes")?;
    let tasks = [
        procfs::sys::kernel::pid_max().ok().and_then(|most| u64::try_from(most).ok()),
        procfs::sys::kernel::threads_max().ok().map(u64::from),
        Some(own),
    ];
    Ok(Room {
        cores: thread::available_parallelism().map_or(1, Into::into),
        #[allow(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
        memory_bytes: memory.mem_available.unwrap_or(memory.mem_free) as f64,
        tasks: tasks.into_iter().flatten().min().unwrap_or(u64::MAX),
    })
}
