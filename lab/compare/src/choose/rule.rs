//! The rule of `lab choose`: which model, given what is asked of it and what each model costs here.
//! A pure function.
//!
//! 1. A model that cannot do it is out: a crash must be confined, but would end others; a request
//!    waits, but there is one loop for all; the memory or the processes and threads of this machine
//!    do not suffice; there are many clients, and it serves one.
//! 2. One that can do less than half of what the best can, beyond doubt, is out ([`LEAST_SHARE`]): a
//!    factor of two is worth more code.
//! 3. Of the rest, the one whose page has the fewest lines is chosen; among equals the one with the
//!    least memory for each client, and then the one that can do most.

use std::time::Duration;

use harness::models::{Isolation, Model};

use crate::interval::{self, Interval};

/// A model that can do less than this share of what the best one can is not chosen, however simple
/// it is.
pub const LEAST_SHARE: f64 = 0.5;

/// The most of the machine's available memory that the clients may cost.
pub const MOST_MEMORY: f64 = 0.25;

/// The most of the processes and threads that this machine allows.
pub const MOST_TASKS: f64 = 0.8;

/// Less memory than this for each client is not told from nothing, in bytes.
pub const LEAST_BYTES: f64 = 1024.0;

/// The most clients for which it is asked whether the choice would flip.
const MOST_CLIENTS: u64 = 10_000_000;

/// What is asked of the server: the four questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Clients, all connected at once.
    pub clients: u64,
    /// How many of them are silent most of the time.
    pub silent: u64,
    /// How long each request computes.
    pub computes: Duration,
    /// How long each request waits for something else, such as a database.
    pub waits: Duration,
    /// Whether a crash must end no other conversation.
    pub confined: bool,
}

/// What a model costs on this machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Costs {
    /// Which.
    pub model: Model,
    /// Bytes of memory for one more client, the kernel's share included.
    pub memory: f64,
    /// Nanoseconds of CPU time for each request, computing included, in each round. At least two.
    pub cpu_ns: Vec<f64>,
}

/// What this machine has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Room {
    /// Cores that a server can use.
    pub cores: usize,
    /// Bytes of memory that are available.
    pub memory_bytes: f64,
    /// Processes and threads, all together.
    pub tasks: u64,
}

/// Why a model is out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Out {
    /// It serves one conversation at a time.
    Serial,
    /// A crash would end other conversations too.
    Crash,
    /// A request that waits would hold up all others of its loop.
    Waits,
    /// Its clients would need more memory than they may.
    Memory {
        /// Bytes that they need.
        needs: f64,
        /// Bytes that they may have.
        may: f64,
    },
    /// It would need more processes or threads than they may be.
    Tasks {
        /// How many it needs.
        needs: u64,
        /// How many they may be.
        may: u64,
    },
    /// It can do less than [`LEAST_SHARE`] of what the best can.
    Slow {
        /// What it can do, as a share of the best.
        share: f64,
        /// Who can do most.
        best: Model,
    },
    /// It was not measured: it failed, or this machine does not have it.
    Unmeasured,
}

/// A change of the needs that changes the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// So many clients, of which the same share is silent.
    Clients(u64),
    /// A crash must end no other conversation, or may.
    Confined(bool),
    /// Each request waits, or does not.
    Waits(bool),
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Who is chosen.
    pub choice: Model,
    /// Who would be, if not the choice.
    pub runner_up: Option<Model>,
    /// What the models can do, as shares of the best: those that are not out, in the order of the
    /// choice.
    pub shares: Vec<(Model, Interval)>,
    /// Who is out, and why.
    pub out: Vec<(Model, Out)>,
    /// Models that rule 2 kept or dropped although the other may be true.
    pub doubtful: Vec<Model>,
    /// What would flip it.
    pub flips: Vec<(Change, Model)>,
}

/// Chooses. `costs` has those that were measured.
///
/// `None` if nobody can do it.
pub fn choose(needs: &Needs, costs: &[Costs], room: &Room) -> Option<Answer> {
    let mut answer = rank(needs, costs, room)?;
    answer.flips = flips(answer.choice, needs, costs, room);
    Some(answer)
}

/// Whether it can serve so many, in this way, at all; before anything is measured.
pub fn cannot(model: Model, needs: &Needs) -> Option<Out> {
    if needs.confined && model.isolation() != Isolation::Client {
        Some(Out::Crash)
    } else if needs.clients > 1 && model.holds_one() {
        Some(Out::Serial)
    } else if !needs.waits.is_zero() && !model.can_wait() {
        Some(Out::Waits)
    } else {
        None
    }
}

fn does_not_fit(costs: &Costs, needs: &Needs, room: &Room) -> Option<Out> {
    #[allow(clippy::cast_precision_loss, reason = "clients are few beside 2^52")]
    let memory = costs.memory * needs.clients as f64;
    let tasks = if costs.model.tasks_per_client() { needs.clients } else { 0 };
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a small number"
    )]
    let may = (room.tasks as f64 * MOST_TASKS) as u64;
    if memory > room.memory_bytes * MOST_MEMORY {
        Some(Out::Memory { needs: memory, may: room.memory_bytes * MOST_MEMORY })
    } else if tasks > may {
        Some(Out::Tasks { needs: tasks, may })
    } else {
        None
    }
}

/// Requests per second of the whole machine, if nothing else limits them.
fn capacity(costs: &Costs, room: &Room) -> f64 {
    let mean = interval::of(&costs.cpu_ns).map_or(f64::INFINITY, |cpu| cpu.value);
    cores(costs.model, room) * 1e9 / mean.max(1.0)
}

fn cores(model: Model, room: &Room) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "cores are few")]
    if model.uses_all_cores() { room.cores as f64 } else { 1.0 }
}

/// What a model can do, as a share of what the best can: round by round, so that what disturbed
/// both does not count.
fn share(costs: &Costs, best: &Costs, room: &Room) -> Interval {
    let cores = cores(costs.model, room) / cores(best.model, room);
    let ratio = interval::ratio(&best.cpu_ns, &costs.cpu_ns);
    let unknown = Interval { low: 0.0, value: 1.0, high: f64::INFINITY };
    let ratio = ratio.unwrap_or(unknown);
    Interval { low: ratio.low * cores, value: ratio.value * cores, high: ratio.high * cores }
}

fn rank(needs: &Needs, costs: &[Costs], room: &Room) -> Option<Answer> {
    let mut out = Vec::new();
    let mut fit = Vec::new();
    for model in Model::all() {
        let measured = costs.iter().find(|costs| costs.model == model);
        match (cannot(model, needs), measured) {
            (Some(why), _) => out.push((model, why)),
            (None, None) => out.push((model, Out::Unmeasured)),
            (None, Some(costs)) => match does_not_fit(costs, needs, room) {
                Some(why) => out.push((model, why)),
                None => fit.push(costs),
            },
        }
    }
    let best =
        fit.iter().copied().max_by(|one, other| capacity(one, room).total_cmp(&capacity(other, room)))?;
    let mut kept = Vec::new();
    let mut doubtful = Vec::new();
    for costs in fit {
        let share = share(costs, best, room);
        if share.low < LEAST_SHARE && share.high >= LEAST_SHARE {
            doubtful.push(costs.model);
        }
        if share.high < LEAST_SHARE {
            out.push((costs.model, Out::Slow { share: share.value, best: best.model }));
        } else {
            kept.push((costs, share));
        }
    }
    kept.sort_by(|(one, share), (other, other_share)| {
        let lines = |costs: &Costs| costs.model.lines().unwrap_or(usize::MAX);
        let memory = |costs: &Costs| costs.memory.max(LEAST_BYTES);
        lines(one)
            .cmp(&lines(other))
            .then(memory(one).total_cmp(&memory(other)))
            .then(other_share.value.total_cmp(&share.value))
    });
    Some(Answer {
        choice: kept.first()?.0.model,
        runner_up: kept.get(1).map(|(costs, _)| costs.model),
        shares: kept.into_iter().map(|(costs, share)| (costs.model, share)).collect(),
        out,
        doubtful,
        flips: Vec::new(),
    })
}

/// What else would be chosen if one answer were another.
fn flips(choice: Model, needs: &Needs, costs: &[Costs], room: &Room) -> Vec<(Change, Model)> {
    let chosen = |needs: &Needs| rank(needs, costs, room).map(|answer| answer.choice);
    let other = |needs: &Needs| chosen(needs).filter(|model| *model != choice);
    let mut flips = Vec::new();
    let with = |clients: u64| Needs { clients, silent: silent(needs, clients), ..*needs };
    let flipped = |clients| other(&with(clients)).is_some();
    for clients in [above(needs.clients, &flipped), below(needs.clients, &flipped)].into_iter().flatten() {
        flips.extend(other(&with(clients)).map(|model| (Change::Clients(clients), model)));
    }
    let confined = Needs { confined: !needs.confined, ..*needs };
    flips.extend(other(&confined).map(|model| (Change::Confined(confined.confined), model)));
    let waits = needs.waits.is_zero();
    let waiting = Needs { waits: Duration::from_millis(u64::from(waits)), ..*needs };
    flips.extend(other(&waiting).map(|model| (Change::Waits(waits), model)));
    flips
}

/// The same share of more or fewer clients.
fn silent(needs: &Needs, clients: u64) -> u64 {
    let share = u128::from(needs.silent) * u128::from(clients) / u128::from(needs.clients.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// The least number above `from` at which it flips. What flips stays flipped for a while: steps of
/// a tenth find it, and halving finds where.
fn above(from: u64, flips: &dyn Fn(u64) -> bool) -> Option<u64> {
    let mut stays = from;
    while stays < MOST_CLIENTS {
        let next = (stays + stays / 10 + 1).min(MOST_CLIENTS);
        if flips(next) {
            return Some(between(stays, next, flips));
        }
        stays = next;
    }
    None
}

/// The greatest number below `from` at which it flips.
fn below(from: u64, flips: &dyn Fn(u64) -> bool) -> Option<u64> {
    let mut stays = from;
    while stays > 1 {
        let next = (stays - stays / 10 - 1).max(1);
        if flips(next) {
            return Some(between(stays, next, flips));
        }
        stays = next;
    }
    None
}

/// The first that flips, coming from `stays`.
fn between(mut stays: u64, mut flipped: u64, flips: &dyn Fn(u64) -> bool) -> u64 {
    while stays.abs_diff(flipped) > 1 {
        let middle = u64::midpoint(stays, flipped);
        if flips(middle) { flipped = middle } else { stays = middle }
    }
    flipped
}

#[cfg(test)]
mod tests;
