//! What this machine allows, read from the kernel. Nothing is changed here.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};
use harness::cgroup;
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::geteuid;
use procfs::Current;
use procfs::sys::fs::{self as fs_settings, epoll};
use procfs::sys::{kernel, vm};
use serde::Serialize;

/// How much of something is left, and the setting that says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Room {
    /// What is left of it.
    pub free: u64,
    /// What bounds it, as one who wants more would look for it.
    pub setting: String,
}

/// The limits that many connections meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Cores that this process may use.
    pub cores: usize,
    /// Descriptors of one process: the hard limit, to which each of the lab's processes raises its
    /// own soft one.
    pub descriptors: u64,
    /// The most that even root can raise that hard limit to (fs.nr_open).
    pub nr_open: u64,
    /// Files of the whole system that can still be opened (fs.file-max less those that are open).
    pub files: u64,
    /// Descriptors that one user may watch with epoll (fs.epoll.max_user_watches).
    pub watches: u64,
    /// Memory that can still be had, in bytes.
    pub memory_bytes: Room,
    /// All memory of the machine, in bytes.
    pub memory_total_bytes: u64,
    /// Local ports of one source address (net.ipv4.ip_local_port_range).
    pub ports: u64,
    /// Processes and threads that can still be started.
    pub tasks: Room,
    /// Pieces of memory that one process may have mapped (vm.max_map_count).
    pub maps: u64,
    /// Connections that may wait in a listener's queue (net.core.somaxconn).
    pub queue: u64,
    /// Connections that the firewall can still track; `None` if it does not track those of the
    /// loopback.
    pub tracked: Option<u64>,
}

impl Limits {
    /// Those of this machine, for this process and its children.
    ///
    /// # Errors
    /// If the kernel does not tell one.
    pub fn read() -> Result<Self> {
        let (_, descriptors) =
            getrlimit(Resource::RLIMIT_NOFILE).context("cannot read the limit on open descriptors")?;
        let memory = procfs::Meminfo::current().context("cannot read /proc/meminfo")?;
        let files = fs_settings::file_nr().context("cannot read /proc/sys/fs/file-nr")?;
        let ports = match numbers("net/ipv4/ip_local_port_range")?[..] {
            [first, last, ..] => (last + 1).saturating_sub(first),
            _ => 0,
        };
        Ok(Self {
            cores: thread::available_parallelism().map_or(1, usize::from),
            descriptors,
            nr_open: number("fs/nr_open")?,
            files: files.max.saturating_sub(files.allocated),
            watches: epoll::max_user_watches().context("cannot read /proc/sys/fs/epoll/max_user_watches")?,
            memory_bytes: memory_room(memory.mem_available.unwrap_or(memory.mem_free)),
            memory_total_bytes: memory.mem_total,
            ports,
            tasks: task_room()?,
            maps: vm::max_map_count().context("cannot read /proc/sys/vm/max_map_count")?,
            queue: number("net/core/somaxconn")?,
            tracked: tracked(),
        })
    }
}

/// What the machine has available, or what is left to this process's control groups, if that is
/// less.
fn memory_room(available: u64) -> Room {
    let machine = Room { free: available, setting: "memory".to_owned() };
    let groups = group_room(
        "memory",
        &["memory.max", "memory.limit_in_bytes"],
        &["memory.current", "memory.usage_in_bytes"],
    );
    least([machine].into_iter().chain(groups))
}

/// What is left below each of the limits on processes and threads.
fn task_room() -> Result<Room> {
    let tasks = u64::from(procfs::LoadAverage::current().context("cannot read /proc/loadavg")?.max);
    let pids = kernel::pid_max().context("cannot read /proc/sys/kernel/pid_max")?;
    let threads = kernel::threads_max().context("cannot read /proc/sys/kernel/threads-max")?;
    let mut rooms = Vec::new();
    for (most, setting) in
        [(u64::try_from(pids)?, "kernel.pid_max"), (u64::from(threads), "kernel.threads-max")]
    {
        rooms.push(Room { free: most.saturating_sub(tasks), setting: setting.to_owned() });
    }
    // Root is not bound by it. Who else runs processes as this user is not known, so all that run
    // count.
    if !geteuid().is_root() {
        let (soft, _) = getrlimit(Resource::RLIMIT_NPROC).context("cannot read the limit on processes")?;
        rooms.push(Room { free: soft.saturating_sub(tasks), setting: "ulimit -u".to_owned() });
    }
    rooms.extend(group_room("pids", &["pids.max"], &["pids.current"]));
    Ok(least(rooms))
}

fn least(rooms: impl IntoIterator<Item = Room>) -> Room {
    let unbounded = Room { free: u64::MAX, setting: String::new() };
    rooms.into_iter().fold(unbounded, |least, room| if room.free < least.free { room } else { least })
}

/// What is left to this process's control group and each above it, of what `controller` bounds. The
/// names are those of version 2 and 1 (cgroups(7)); a group without a bound has no such file or no
/// number in it.
fn group_room(controller: &str, bounds: &[&str], uses: &[&str]) -> Vec<Room> {
    let read = |folder: &Path, names: &[&str]| {
        names.iter().map(|name| folder.join(name)).find_map(|file| {
            let number = fs::read_to_string(&file).ok()?.trim().parse::<u64>().ok()?;
            Some((number, file.display().to_string()))
        })
    };
    let room = |folder: &PathBuf| {
        let ((most, setting), (used, _)) = (read(folder, bounds)?, read(folder, uses)?);
        Some(Room { free: most.saturating_sub(used), setting })
    };
    cgroup::folders(controller).iter().filter_map(room).collect()
}

/// The connections that can still be tracked, if those of the loopback are: then there is at least
/// the one that is opened here.
fn tracked() -> Option<u64> {
    let most = number("net/netfilter/nf_conntrack_max").ok()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    let _client = TcpStream::connect(listener.local_addr().ok()?).ok()?;
    let count = number("net/netfilter/nf_conntrack_count").ok()?;
    (count > 0).then(|| most.saturating_sub(count))
}

/// The one number of a kernel setting.
fn number(path: &str) -> Result<u64> {
    numbers(path)?.first().copied().with_context(|| format!("cannot understand /proc/sys/{path}"))
}

fn numbers(path: &str) -> Result<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/sys/{path}"));
    let text = text.with_context(|| format!("cannot read /proc/sys/{path}"))?;
    Ok(text.split_whitespace().filter_map(|word| word.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_tells_its_limits() {
        let limits = Limits::read().unwrap();
        assert!(limits.descriptors > 0 && limits.files > 0 && limits.watches > 0 && limits.queue > 0);
        assert!(limits.ports > 0 && limits.tasks.free > 0 && limits.memory_bytes.free > 0);
        assert!(!limits.tasks.setting.is_empty() && !limits.memory_bytes.setting.is_empty());
    }

    #[test]
    fn the_narrowest_bound_is_the_one_that_is_named() {
        let room = |free, setting: &str| Room { free, setting: setting.to_owned() };
        assert_eq!(least([room(7, "wide"), room(3, "narrow"), room(5, "other")]), room(3, "narrow"));
    }
}
