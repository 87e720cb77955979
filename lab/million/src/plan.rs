//! Whether that many connections fit, and what stops them: a pure function of the limits.

use anyhow::{Result, bail};
use harness::units::{bytes, grouped};
use serde::Serialize;
use serving::UsageError;

use super::layout::{Cost, Layout, RESERVED_DESCRIPTORS, Wish, cost, queue, spread_descriptors};
use super::limits::Limits;

/// Connections that are aimed at where nobody says how many.
pub const A_MILLION: u64 = 1_000_000;

/// The most connections that are thought about.
pub const MOST: u64 = 10_000_000;

/// What the kernel keeps for one end of a connection that is watched: socket, inode, directory
/// entry, file, epoll's item. In bytes; the caches that they come from are never quite full.
const END_BYTES: u64 = 5_200;

/// What a client process keeps for one connection, in bytes.
const CLIENT_BYTES: u64 = 64;

/// What a process costs before it has any connection: its own memory, page tables, its table of
/// descriptors. In bytes.
const PROCESS_BYTES: u64 = 4 << 20;

/// Memory that is left alone: this part of all, as a divisor, but at least so many bytes. Who takes
/// the last of it meets the kernel's out-of-memory killer.
const RESERVE_DIVISOR: u64 = 16;
const LEAST_RESERVE_BYTES: u64 = 256 << 20;

/// Pieces of memory that a process has mapped before it has any connection: its program, its
/// libraries, what it allocates.
const RESERVED_MAPS: u64 = 1_024;

/// Descriptors of the lab for each client process: both ends of what is said, and one while it is
/// started.
const LAB_DESCRIPTORS_PER_CLIENT: u64 = 3;

/// Source addresses: 127.0.0.0/8 without its first and last 65,536, in which others listen.
pub const SOURCES: u64 = (1 << 24) - (2 << 16);

/// Something that connections need and machines have little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Descriptors of a process of the server.
    ServerDescriptors,
    /// Descriptors of the lab itself, which speaks with each client process.
    LabDescriptors,
    /// Open files of the whole system.
    OpenFiles,
    /// What epoll may watch.
    Watches,
    /// Memory.
    Memory,
    /// Source addresses, each with its ports.
    Sources,
    /// Processes and threads.
    Tasks,
    /// Pieces of memory that the server's process has mapped.
    Maps,
    /// Places in the listener's queue.
    Queue,
    /// Entries of the firewall's table.
    Tracked,
}

impl Resource {
    /// All of them.
    const ALL: [Self; 10] = [
        Self::ServerDescriptors,
        Self::LabDescriptors,
        Self::OpenFiles,
        Self::Watches,
        Self::Memory,
        Self::Sources,
        Self::Tasks,
        Self::Maps,
        Self::Queue,
        Self::Tracked,
    ];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::ServerDescriptors => "descriptors per server process",
            Self::LabDescriptors => "descriptors of the lab",
            Self::OpenFiles => "open files, whole system",
            Self::Watches => "epoll watches, this user",
            Self::Memory => "memory",
            Self::Sources => "source addresses",
            Self::Tasks => "processes and threads",
            Self::Maps => "memory maps of the server",
            Self::Queue => "listen queue, while opening",
            Self::Tracked => "connections tracked",
        }
    }

    /// A number of it, for people.
    pub fn amount(self, count: u64) -> String {
        if self == Self::Memory { bytes(count as f64) } else { grouped(count) }
    }

    fn needed(self, layout: &Layout, cost: Cost) -> u64 {
        let (connections, clients, servers) =
            (layout.connections, layout.client_processes, layout.server_processes);
        match self {
            Self::ServerDescriptors if servers > 1 => spread_descriptors(connections, servers),
            Self::ServerDescriptors => {
                connections.div_ceil(servers) * cost.descriptors + RESERVED_DESCRIPTORS
            }
            Self::LabDescriptors => clients * LAB_DESCRIPTORS_PER_CLIENT + RESERVED_DESCRIPTORS,
            Self::OpenFiles => 2 * connections + (clients + servers) * RESERVED_DESCRIPTORS,
            Self::Watches => 2 * connections,
            Self::Memory => {
                connections * (2 * END_BYTES + CLIENT_BYTES + cost.bytes)
                    + (clients + servers) * PROCESS_BYTES
            }
            Self::Sources => clients * layout.sources_per_client,
            // The lab listens to each client process with a thread.
            Self::Tasks => connections * cost.tasks + servers + 2 * clients,
            Self::Maps => connections * cost.maps + RESERVED_MAPS,
            Self::Queue => clients * layout.opening_per_client,
            Self::Tracked => connections,
        }
    }

    /// `None` where it is not bounded.
    fn there(self, limits: &Limits) -> Option<u64> {
        let reserve = (limits.memory_total_bytes / RESERVE_DIVISOR).max(LEAST_RESERVE_BYTES);
        match self {
            Self::ServerDescriptors | Self::LabDescriptors => Some(limits.descriptors),
            Self::OpenFiles => Some(limits.files),
            Self::Watches => Some(limits.watches),
            Self::Memory => Some(limits.memory_bytes.free.saturating_sub(reserve)),
            Self::Sources => Some(SOURCES),
            Self::Tasks => Some(limits.tasks.free),
            Self::Maps => Some(limits.maps),
            Self::Queue => Some(queue(limits)),
            Self::Tracked => limits.tracked,
        }
    }

    /// What would have to be set, and to what, so that `needed` of it is there.
    fn remedy(self, needed: u64, limits: &Limits, spreads: bool) -> String {
        let there = self.there(limits).unwrap_or(u64::MAX);
        let missing = needed.saturating_sub(there);
        let setting = match self {
            Self::ServerDescriptors if spreads => "--processes, ulimit -Hn".to_owned(),
            Self::ServerDescriptors | Self::LabDescriptors => {
                format!("ulimit -Hn, up to fs.nr_open {}", grouped(limits.nr_open))
            }
            Self::OpenFiles => "sysctl fs.file-max".to_owned(),
            Self::Watches => "sysctl fs.epoll.max_user_watches".to_owned(),
            Self::Memory if limits.memory_bytes.setting == "memory" => "more memory".to_owned(),
            Self::Memory => limits.memory_bytes.setting.clone(),
            Self::Sources => "sysctl net.ipv4.ip_local_port_range".to_owned(),
            Self::Tasks => limits.tasks.setting.clone(),
            Self::Maps => "sysctl vm.max_map_count".to_owned(),
            Self::Queue => "sysctl net.core.somaxconn".to_owned(),
            Self::Tracked => "sysctl net.netfilter.nf_conntrack_max".to_owned(),
        };
        if missing > 0 { format!("{setting}, by {}", self.amount(missing)) } else { setting }
    }
}

/// What one resource says to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The resource.
    pub resource: Resource,
    /// How much of it the connections need.
    pub needed: u64,
    /// How much of it there is.
    pub there: u64,
    /// How many connections it would do for; [`MOST`] stands for that many and more.
    pub fits: u64,
    /// What would have to be set for more.
    pub remedy: String,
}

/// What is going to happen, or what stops it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// How many were asked for; `None`: as many as fit, up to a million.
    pub asked: Option<u64>,
    /// How they would be laid out.
    pub layout: Layout,
    /// A row for each resource that bounds anything.
    pub rows: Vec<Row>,
}

impl Plan {
    /// The plan for that many connections, or for as many as fit, up to a million.
    ///
    /// # Errors
    /// A [`UsageError`] if the model cannot hold many connections, or has no processes to choose.
    pub fn make(asked: Option<u64>, wish: &Wish, limits: &Limits) -> Result<Self, UsageError> {
        let name = wish.model.name();
        let Some(cost) = cost(wish.model) else {
            return Err(UsageError(format!(
                "--model {name} holds a fixed number of conversations, not a million"
            )));
        };
        let spreads = super::layout::spreads(wish.model);
        if wish.processes.is_some() && !spreads {
            return Err(UsageError(format!("--model {name} has no --processes to choose")));
        }
        let layout = |connections| Layout::of(connections, wish, limits);
        let bounds = |resource: Resource| Some((resource, resource.there(limits)?));
        let fits = |(resource, there): (Resource, u64)| {
            greatest(|connections| resource.needed(&layout(connections), cost) <= there)
        };
        let bounded: Vec<_> = Resource::ALL.into_iter().filter_map(bounds).collect();
        let most = bounded.iter().map(|bounded| fits(*bounded)).min().unwrap_or(MOST);
        let layout = layout(asked.unwrap_or(most.clamp(1, A_MILLION)));
        let rows = bounded.into_iter().map(|(resource, there)| {
            let needed = resource.needed(&layout, cost);
            let remedy = resource.remedy(needed, limits, spreads);
            Row { resource, needed, there, fits: fits((resource, there)), remedy }
        });
        Ok(Self { asked, layout, rows: rows.collect() })
    }

    /// # Errors
    /// One line that says which resource stops it, and at what number.
    pub fn check(&self) -> Result<()> {
        let Some(row) = self.rows.iter().filter(|row| row.needed > row.there).min_by_key(|row| row.fits)
        else {
            return Ok(());
        };
        let resource = row.resource;
        bail!(
            "{} connections do not fit: {} would do for {}; needed are {}, there are {}; for more: {}",
            grouped(self.layout.connections),
            resource.name(),
            grouped(row.fits),
            resource.amount(row.needed),
            resource.amount(row.there),
            row.remedy
        );
    }
}

/// The greatest number up to [`MOST`] of which `fits` is true, if it is true of all smaller ones; 0
/// if of none.
fn greatest(fits: impl Fn(u64) -> bool) -> u64 {
    let (mut fitting, mut beyond) = (0, MOST + 1);
    while beyond - fitting > 1 {
        let middle = fitting.midpoint(beyond);
        if fits(middle) { fitting = middle } else { beyond = middle }
    }
    fitting
}

#[cfg(test)]
mod tests;
