//! What a server costs: the CPU time and the memory of its whole process tree, read from the
//! kernel.
//!
//! A process that ends while it is being read is skipped: whoever waits for it counts its time.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use procfs::process::{Process, Stat, all_processes};
use procfs::{Current, CurrentSI, ProcResult};

/// A process tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tree {
    root: Pid,
    /// Whether the root only keeps the others, and is none of them.
    is_kept: bool,
}

impl Tree {
    /// The tree under `root`, with it.
    pub fn of(root: Pid) -> Self {
        Self { root, is_kept: false }
    }

    /// All that `keeper` has started, see [`leash`](crate::leash), without it.
    pub fn kept_by(keeper: Pid) -> Self {
        Self { root: keeper, is_kept: true }
    }
}

/// What a process tree occupies at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Proportional set size, in bytes: memory that processes share is divided among them
    /// (proc_pid_smaps(5)).
    ///
    /// Divided among all on this machine that share it, so a page of the program that the lab
    /// itself has mapped counts half. `None` if that of one of them may not be read.
    pub pss_bytes: Option<u64>,
    /// Processes that live, so without zombies.
    pub processes: usize,
    /// Threads of those processes.
    pub threads: usize,
}

/// CPU time, user and system, that the tree has used since it began, with its threads and children
/// that have ended.
///
/// A living process is read in nanoseconds by its own clock. `utime + stime` would be cut to ticks
/// of 10 ms for each: over 1000 children that is up to ten seconds. Children that have ended and
/// were waited for exist only in those ticks, one cut per parent. Children of a parent that ignores
/// SIGCHLD leave nothing behind (wait(2)) and are missing here.
///
/// # Errors
/// If the tree does not exist.
pub fn cpu_time(of: Tree) -> Result<Duration> {
    let stats = stats(of.root)?;
    let own =
        |stat: &Stat| if of.is_kept && stat.pid == of.root.as_raw() { Duration::ZERO } else { own_cpu(stat) };
    // Parents come before their children: one that ends in between is missing for the moment,
    // rather than counted twice.
    Ok(stats.iter().map(|stat| reaped_cpu(stat) + own(stat)).sum())
}

fn own_cpu(stat: &Stat) -> Duration {
    clock_getcpuclockid(Pid::from_raw(stat.pid))
        .and_then(clock_gettime)
        .map_or(Duration::ZERO, Duration::from)
}

fn reaped_cpu(stat: &Stat) -> Duration {
    let ticks = u64::try_from(stat.cutime.saturating_add(stat.cstime)).unwrap_or(0);
    Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / procfs::ticks_per_second()))
}

/// Memory, processes and threads of the tree, at this moment.
///
/// The kernel walks every page table of the tree: with 1000 processes this takes about a second, so
/// not while one measures.
///
/// # Errors
/// If the tree does not exist.
pub fn footprint(of: Tree) -> Result<Footprint> {
    let mut footprint = Footprint { pss_bytes: Some(0), processes: 0, threads: 0 };
    for stat in members(of)? {
        if matches!(stat.state, 'Z' | 'X') {
            continue;
        }
        let Ok(process) = Process::new(stat.pid) else { continue };
        match pss(&process) {
            Ok(bytes) => footprint.pss_bytes = footprint.pss_bytes.map(|sum| sum + bytes),
            Err(error) if process.is_alive() && matches!(error, procfs::ProcError::PermissionDenied(_)) => {
                footprint.pss_bytes = None;
            }
            // A process that has ended meanwhile has no memory left.
            Err(_) => continue,
        }
        footprint.processes += 1;
        footprint.threads += usize::try_from(stat.num_threads).unwrap_or(0);
    }
    ensure!(footprint.processes > 0, "the server has ended");
    Ok(footprint)
}

/// The processes of the tree that live, parents before their children, and how many descriptors
/// each has open.
///
/// # Errors
/// If the tree does not exist.
pub fn descriptors(of: Tree) -> Result<Vec<(i32, usize)>> {
    let count = |stat: &Stat| Process::new(stat.pid).and_then(|process| process.fd_count()).ok();
    Ok(members(of)?.iter().filter_map(|stat| Some((stat.pid, count(stat)?))).collect())
}

/// Proportional set size of one process, in bytes.
///
/// # Errors
/// If it does not exist, or its memory may not be read.
pub fn own_pss(pid: i32) -> Result<u64> {
    let bytes = Process::new(pid).and_then(|process| pss(&process));
    bytes.with_context(|| format!("cannot read the memory of process {pid}"))
}

fn pss(process: &Process) -> ProcResult<u64> {
    let maps = process.smaps_rollup()?.memory_map_rollup.0;
    Ok(maps.iter().filter_map(|map| map.extension.map.get("Pss")).sum())
}

/// CPU time that everybody on this machine has used since it was started, with what the host of a
/// virtual machine took away; and of it what this process has used. In ticks of 10 ms; interrupts
/// are not in it, since nobody can say whose they are.
///
/// # Errors
/// If /proc/stat cannot be read.
pub fn machine_cpu() -> Result<(Duration, Duration)> {
    let total = procfs::KernelStats::current().context("cannot read /proc/stat")?.total;
    let ticks = total.user + total.nice + total.system + total.steal.unwrap_or(0);
    let own = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Duration::from);
    Ok((Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / procfs::ticks_per_second())), own))
}

/// What the kernel keeps for a process tree, as far as it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelMemory {
    /// Page tables and kernel stacks of the tree, in bytes.
    pub own_bytes: u64,
    /// Slab caches of the whole machine, in bytes: sockets, files, processes, and whatever else the
    /// kernel allocates in small.
    pub slab_bytes: u64,
}

/// A thread's stack in the kernel, in bytes: THREAD_SIZE of x86-64 and of arm64 with pages of 4
/// KiB.
const KERNEL_STACK_BYTES: u64 = 16 * 1024;

/// What the kernel keeps for the tree, at this moment.
///
/// # Errors
/// If the tree does not exist, or /proc/meminfo cannot be read.
pub fn kernel_memory(of: Tree) -> Result<KernelMemory> {
    let mut own_bytes = 0;
    for stat in members(of)? {
        own_bytes += u64::try_from(stat.num_threads).unwrap_or(0) * KERNEL_STACK_BYTES;
        let status = Process::new(stat.pid).and_then(|process| process.status());
        // In KiB (proc_pid_status(5)).
        own_bytes += status.ok().and_then(|status| status.vmpte).unwrap_or(0) * 1024;
    }
    Ok(KernelMemory { own_bytes, slab_bytes: slab_bytes()? })
}

/// Slab caches of the whole machine, in bytes. Reclaimable ones are in it, since the inodes of
/// sockets count as such.
///
/// # Errors
/// If /proc/meminfo cannot be read.
pub fn slab_bytes() -> Result<u64> {
    Ok(procfs::Meminfo::current().context("cannot read /proc/meminfo")?.slab)
}

/// The processes of the tree that exist now, parents before their children.
///
/// # Errors
/// If the tree does not exist.
pub fn processes(of: Tree) -> Result<Vec<Pid>> {
    Ok(members(of)?.iter().map(|stat| Pid::from_raw(stat.pid)).collect())
}

/// All descendants of a process that exist now, parents before their children.
///
/// # Errors
/// If it does not exist.
pub fn descendants(root: Pid) -> Result<Vec<Pid>> {
    processes(Tree::kept_by(root))
}

fn members(of: Tree) -> Result<Vec<Stat>> {
    let mut stats = stats(of.root)?;
    if of.is_kept {
        stats.remove(0);
    }
    Ok(stats)
}

/// `root` and all its descendants that exist now, parents before their children. Each is looked at
/// and let go: a [`Process`] is a descriptor, and there may be more processes than this one may
/// have open.
fn stats(root: Pid) -> Result<Vec<Stat>> {
    let mut by_parent: HashMap<i32, Vec<Stat>> = HashMap::new();
    let mut tree: Vec<Stat> = Vec::new();
    for process in all_processes().context("cannot list the processes in /proc")?.flatten() {
        let Ok(stat) = process.stat() else { continue };
        if stat.pid == root.as_raw() {
            tree.push(stat);
        } else {
            by_parent.entry(stat.ppid).or_default().push(stat);
        }
    }
    ensure!(!tree.is_empty(), "process {root} has ended");
    let mut next = 0;
    while let Some(stat) = tree.get(next) {
        tree.extend(by_parent.remove(&stat.pid).unwrap_or_default());
        next += 1;
    }
    debug_assert_eq!(tree.iter().map(|stat| stat.pid).collect::<HashSet<_>>().len(), tree.len());
    Ok(tree)
}
