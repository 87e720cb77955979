//! How many processes, addresses and requests at once a number of connections takes.

use harness::models::{Isolation, Makes, Model, Workers};
use serde::Serialize;

use super::limits::Limits;

/// Descriptors that a process keeps for other things than connections.
pub const RESERVED_DESCRIPTORS: u64 = 64;

/// The share of a source address's ports that is used, as a divisor. The kernel looks through every
/// second port for a free one before it looks at the others, so beyond a half each connection would
/// cost a search through half of them.
const PORTS_DIVISOR: u64 = 2;

/// The most connections that are being opened or closed at once, over all clients.
const MOST_OPENING: u64 = 1024;

/// The part of the listener's queue that may be taken by them, as a divisor.
const QUEUE_DIVISOR: u64 = 2;

/// The longest queue that our servers ask for (`--backlog`).
const BACKLOG: u64 = 4096;

/// Descriptors of an event loop besides its conversations: its inbox, its event queue, its alarm.
const DESCRIPTORS_PER_LOOP: u64 = 3;

/// Descriptors of the server's parent for everything else.
const RESERVED_IN_PARENT: u64 = 32;

/// The most connections that the parent accepts before it passes them on.
const ACCEPTED_AT_ONCE: u64 = 256;

/// The most processes that `server-hybrid` can have.
const MOST_PROCESSES: u64 = 1_000;

/// What is wished for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// Who serves.
    pub model: Model,
    /// The server's processes, where the model has them and somebody has chosen.
    pub processes: Option<u64>,
    /// Requests in flight at once in the sweep, over all clients.
    pub in_flight: u64,
}

/// How that many connections are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Layout {
    /// Connections in all.
    pub connections: u64,
    /// Processes of the server that hold conversations.
    pub server_processes: u64,
    /// Processes of the clients.
    pub client_processes: u64,
    /// Source addresses of each client process.
    pub sources_per_client: u64,
    /// Connections that each client process opens, or closes, at once.
    pub opening_per_client: u64,
    /// Requests in flight at once of each client process in the sweep.
    pub asking_per_client: u64,
}

impl Layout {
    /// The layout of that many connections below these limits; it need not fit.
    pub fn of(connections: u64, wish: &Wish, limits: &Limits) -> Self {
        let usable = usable_descriptors(limits);
        let cores = limits.cores as u64;
        // As many as there are cores, since one process's event loop would be the limit of what
        // clients ask.
        let client_processes = connections.div_ceil(usable).max(cores).min(connections).max(1);
        let server_processes = match wish.processes {
            _ if !spreads(wish.model) => 1,
            Some(processes) => processes,
            None => fewest_processes(connections, limits),
        };
        let per_client = connections.div_ceil(client_processes);
        let opening = (queue(limits) / QUEUE_DIVISOR).clamp(1, MOST_OPENING);
        Self {
            connections,
            server_processes,
            client_processes,
            sources_per_client: per_client.div_ceil(ports_per_source(limits)).max(1),
            opening_per_client: (opening / client_processes).max(1),
            asking_per_client: (wish.in_flight / client_processes).max(1),
        }
    }

    /// Connections of client process `index`, and the number of the first of them: each a piece of
    /// the whole, as equal as can be.
    pub fn share(&self, index: u64) -> (u64, u64) {
        let start = |index: u64| {
            let start = u128::from(self.connections) * u128::from(index) / u128::from(self.client_processes);
            u64::try_from(start).unwrap_or(u64::MAX)
        };
        (start(index), start(index + 1) - start(index))
    }
}

/// Connections that one process can hold.
pub fn usable_descriptors(limits: &Limits) -> u64 {
    limits.descriptors.saturating_sub(RESERVED_DESCRIPTORS).max(1)
}

/// Ports that are used of each source address.
pub fn ports_per_source(limits: &Limits) -> u64 {
    (limits.ports / PORTS_DIVISOR).max(1)
}

/// Connections that can wait until the server accepts them.
pub fn queue(limits: &Limits) -> u64 {
    limits.queue.min(BACKLOG)
}

/// Whether the model has as many processes as it is told.
pub fn spreads(model: Model) -> bool {
    model.isolation() == Isolation::Worker
}

/// The fewest processes that can hold that many, but one for each core; where no number of them
/// can, the one that comes closest.
fn fewest_processes(connections: u64, limits: &Limits) -> u64 {
    let fewest =
        connections.div_ceil(usable_descriptors(limits)).max(limits.cores as u64).min(MOST_PROCESSES);
    let needed = |processes: &u64| spread_descriptors(connections, *processes);
    let suits = (fewest..=MOST_PROCESSES).find(|processes| needed(processes) <= limits.descriptors);
    suits.or_else(|| (fewest..=MOST_PROCESSES).min_by_key(needed)).unwrap_or(fewest)
}

/// Descriptors that one of so many processes needs when they hold that many conversations together,
/// each the same share. Their parent keeps both ends of an inbox for each, and what it has accepted
/// and not passed on yet.
pub fn spread_descriptors(connections: u64, processes: u64) -> u64 {
    let share = connections.div_ceil(processes);
    let in_parent = 2 * processes + share.min(ACCEPTED_AT_ONCE) + RESERVED_IN_PARENT;
    in_parent.max(share + DESCRIPTORS_PER_LOOP + RESERVED_DESCRIPTORS)
}

/// What one more conversation costs the server besides its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in user space and in the kernel, in bytes.
    pub bytes: u64,
    /// Processes or threads.
    pub tasks: u64,
    /// Descriptors of the process that accepts it.
    pub descriptors: u64,
    /// Pieces of memory that that process maps for it.
    pub maps: u64,
}

/// What a model's conversation costs, as measured and rounded up; `None` if it cannot hold many.
pub fn cost(model: Model) -> Option<Cost> {
    let bytes = model.bytes_per_client();
    match model.makes() {
        _ if model.workers() == Workers::PerConnection => None,
        Makes::Nothing => None,
        Makes::Process => Some(Cost { bytes, tasks: 1, descriptors: 0, maps: 0 }),
        // Its stack and the one for signals, each with a guard page.
        Makes::Thread => Some(Cost { bytes, tasks: 1, descriptors: 1, maps: 4 }),
        Makes::Entry | Makes::Task => Some(Cost { bytes, tasks: 0, descriptors: 1, maps: 0 }),
    }
}
