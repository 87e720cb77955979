//! What resting conversations cost: memory before them and with them, and the noise of both.

use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context, Result, ensure};
use harness::interrupt::Interrupt;
use harness::sample::{self, Tree};
use procfs::Current;
use serde::{Deserialize, Serialize};

/// How long everything is left alone before it is weighed: the kernel frees some things late.
const REST: Duration = Duration::from_millis(500);

/// How often the kernel's memory is looked at, and how long from one look to the next.
const LOOKS: usize = 11;
const LOOK: Duration = Duration::from_millis(50);

/// What is occupied at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weight {
    server_pss: u64,
    clients_pss: u64,
    kernel: Spread,
    used: Spread,
    available: Spread,
    inodes: u64,
}

/// Several looks at the same.
#[derive(Debug, Clone, Copy)]
struct Spread {
    median: f64,
    /// Half of the distance from the least to the greatest.
    noise: f64,
}

/// The growth for each resting conversation, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// Proportional set size of all processes of the server.
    pub server_pss_bytes: f64,
    /// Proportional set size of all client processes.
    pub clients_pss_bytes: f64,
    /// Slab caches, kernel stacks, page tables and per-CPU memory of the whole machine: both ends
    /// of each conversation are in it.
    pub kernel_bytes: f64,
    /// By how much that wavered while nothing happened, before and with all of them.
    pub kernel_noise_bytes: f64,
    /// What is neither free nor a cache of files, for everything together: what the others should
    /// add up to.
    pub used_bytes: f64,
    /// By how much that wavered.
    pub used_noise_bytes: f64,
    /// By how much less the kernel estimates to be available (MemAvailable, proc_meminfo(5)). It
    /// hopes to get back a part of what sockets keep in caches that count as reclaimable, so this
    /// is less than what is used.
    pub available_bytes: f64,
    /// By how much that wavered.
    pub available_noise_bytes: f64,
    /// Inodes of the whole machine, without those of the two sockets. Near 2, something has looked
    /// into /proc/PID/fd of all these processes (a monitor, lsof, ss -p): for each descriptor that
    /// it sees the kernel keeps an inode and a directory entry, some 900 bytes, which are in the
    /// figures above.
    pub other_inodes: f64,
}

/// Weighs the server and the clients while they rest.
///
/// # Errors
/// If one of them has ended, or the user interrupts it.
pub(super) fn weigh(server: Tree, clients: &[i32], interrupt: &Interrupt) -> Result<Weight> {
    thread::sleep(REST);
    let (mut kernel, mut used, mut available) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..LOOKS {
        ensure!(!interrupt.raised(), "interrupted");
        let memory = procfs::Meminfo::current().context("cannot read /proc/meminfo")?;
        let parts = [memory.kernel_stack, memory.page_tables, memory.secondary_page_tables, memory.per_cpu];
        kernel.push(memory.slab + parts.into_iter().flatten().sum::<u64>());
        used.push(memory.mem_total.saturating_sub(memory.mem_free + memory.buffers + memory.cached));
        available.push(memory.mem_available.unwrap_or(memory.mem_free));
        thread::sleep(LOOK);
    }
    let inodes = fs::read_to_string("/proc/sys/fs/inode-nr").context("cannot read /proc/sys/fs/inode-nr")?;
    let mut clients_pss = 0;
    for client in clients {
        ensure!(!interrupt.raised(), "interrupted");
        clients_pss += sample::own_pss(*client)?;
    }
    Ok(Weight {
        server_pss: sample::footprint(server)?
            .pss_bytes
            .context("the memory of the server may not be read")?,
        clients_pss,
        kernel: Spread::of(kernel),
        used: Spread::of(used),
        available: Spread::of(available),
        inodes: inodes.split_whitespace().next().and_then(|count| count.parse().ok()).unwrap_or(0),
    })
}

impl Spread {
    fn of(mut looks: Vec<u64>) -> Self {
        looks.sort_unstable();
        let [least, median, most] = [0, LOOKS / 2, LOOKS - 1].map(|index| looks[index] as f64);
        Self { median, noise: (most - least) / 2.0 }
    }
}

impl Growth {
    /// From before the conversations to with all of them; at least one.
    pub(super) fn between(before: &Weight, with: &Weight, conversations: u64) -> Self {
        let each = |bytes: f64| bytes / conversations as f64;
        let grown = |before: u64, with: u64| each(with as f64 - before as f64);
        Self {
            server_pss_bytes: grown(before.server_pss, with.server_pss),
            clients_pss_bytes: grown(before.clients_pss, with.clients_pss),
            kernel_bytes: each(with.kernel.median - before.kernel.median),
            kernel_noise_bytes: each(with.kernel.noise + before.kernel.noise),
            used_bytes: each(with.used.median - before.used.median),
            used_noise_bytes: each(with.used.noise + before.used.noise),
            available_bytes: each(before.available.median - with.available.median),
            available_noise_bytes: each(with.available.noise + before.available.noise),
            other_inodes: grown(before.inodes, with.inodes) - 2.0,
        }
    }
}
