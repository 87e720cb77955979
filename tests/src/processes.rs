//! What /proc tells about a server's processes. A process that ends while it is looked at counts as
//! gone.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use procfs::net::{TcpNetEntry, TcpState};
use procfs::process::{FDTarget, Limit, LimitValue, Limits, Process, Stat, all_processes};
use rustix::process::{Resource, Rlimit, prlimit};
use serving::limit::raise_descriptors;

use crate::Client;

/// State letter of a process that has ended and that nobody has reaped (proc_pid_stat(5)).
const ZOMBIE: char = 'Z';

/// How long a server is watched while nothing happens.
const STANDING_STILL: Duration = Duration::from_millis(700);

/// How often a thread may wake meanwhile: what lacks is tried again after 100 ms, by each part of a
/// server for itself.
const MOST_WAKES: u64 = 30;

fn stat(pid: i32) -> Option<Stat> {
    Process::new(pid).and_then(|process| process.stat()).ok()
}

/// Whether the process runs: neither gone nor a zombie.
pub fn runs(pid: i32) -> bool {
    stat(pid).is_some_and(|stat| stat.state != ZOMBIE)
}

/// The processes that run in the group of this leader, which may have ended.
pub fn group(leader: i32) -> Vec<i32> {
    let all = all_processes().expect("/proc can be read").flatten();
    let stats = all.filter_map(|process| process.stat().ok());
    stats.filter(|stat| stat.pgrp == leader && stat.state != ZOMBIE).map(|stat| stat.pid).collect()
}

fn child_stats(pid: i32) -> Vec<Stat> {
    let all = all_processes().expect("/proc can be read").flatten();
    all.filter_map(|process| process.stat().ok()).filter(|stat| stat.ppid == pid).collect()
}

/// The running children of a process, oldest first.
pub fn children(pid: i32) -> Vec<i32> {
    let mut running = child_stats(pid);
    running.retain(|stat| stat.state != ZOMBIE);
    running.sort_by_key(|stat| (stat.starttime, stat.pid));
    running.iter().map(|stat| stat.pid).collect()
}

/// How many children of a process have ended without being reaped.
pub fn zombies(pid: i32) -> usize {
    child_stats(pid).iter().filter(|stat| stat.state == ZOMBIE).count()
}

/// The process and its running children.
pub fn tree(pid: i32) -> Vec<i32> {
    let mut pids = vec![pid];
    pids.extend(children(pid));
    pids
}

/// How large the address space of a process is, in bytes.
pub fn address_space_bytes(pid: i32) -> u64 {
    stat(pid).map_or(0, |stat| stat.vsize)
}

/// Sets the soft limit of a running process on its descriptors; the hard one stays, so that it can
/// be raised again.
///
/// # Errors
/// If the hard one is lower.
pub fn limit_descriptors(pid: i32, soft: u64) -> io::Result<()> {
    set_soft_limit(pid, Resource::Nofile, |limits| limits.max_open_files, Some(soft))
}

/// Lets this process open as many descriptors as it may; never fewer, since other tests run in it.
/// Whether that is enough for `count`, or the test is skipped.
pub fn may_open(count: usize) -> bool {
    let is_enough = raise_descriptors().is_ok_and(|most| most >= count);
    if !is_enough {
        crate::skip(&format!("this process may not open {count} descriptors"));
    }
    is_enough
}

/// The same as [`limit_descriptors`] for several processes.
///
/// # Panics
/// If the hard limit of one is lower.
pub fn limit_all_descriptors(pids: &[i32], soft: u64) {
    pids.iter().for_each(|&pid| limit_descriptors(pid, soft).expect("it can be set"));
}

/// The same for the bytes of its address space; `None` is as many as it likes.
///
/// # Errors
/// If the hard limit is lower.
pub fn limit_address_space(pid: i32, soft: Option<u64>) -> io::Result<()> {
    set_soft_limit(pid, Resource::As, |limits| limits.max_address_space, soft)
}

fn set_soft_limit(
    pid: i32,
    resource: Resource,
    of: impl Fn(Limits) -> Limit,
    soft: Option<u64>,
) -> io::Result<()> {
    let limits = Process::new(pid).and_then(|process| process.limits()).expect("the process runs");
    let maximum = match of(limits).hard_limit {
        LimitValue::Value(hard) => Some(hard),
        LimitValue::Unlimited => None,
    };
    Ok(prlimit(rustix::process::Pid::from_raw(pid), resource, Rlimit { current: soft, maximum }).map(drop)?)
}

/// How many descriptors a process has open.
///
/// # Panics
/// If it does not run.
pub fn descriptors(pid: i32) -> usize {
    Process::new(pid).and_then(|process| process.fd_count()).expect("the process runs")
}

/// How many threads a process has.
///
/// # Panics
/// If it does not run.
pub fn threads(pid: i32) -> usize {
    let threads = stat(pid).expect("the process runs").num_threads;
    usize::try_from(threads).expect("a count is not negative")
}

/// Processor time that the process, its running children, and the children that it has reaped have
/// used.
fn cpu_time(pid: i32) -> Duration {
    let ticks: i64 = tree(pid)
        .into_iter()
        .filter_map(stat)
        .map(|stat| {
            let own = stat.utime.saturating_add(stat.stime);
            i64::try_from(own).unwrap_or(i64::MAX) + stat.cutime + stat.cstime
        })
        .sum();
    let ticks_per_second = procfs::ticks_per_second();
    Duration::from_millis(u64::try_from(ticks).unwrap_or(0) * 1000 / ticks_per_second)
}

/// How much of that is used while something happens.
pub fn cpu_time_of(pid: i32, happen: impl FnOnce()) -> Duration {
    let before = cpu_time(pid);
    happen();
    cpu_time(pid).saturating_sub(before)
}

/// Memory of the process and its running children in bytes, without that of files; pages that
/// several share count once.
///
/// The program's own pages are a file's: who shares them, and so a process's part of them, changes
/// with every other server that another test starts or ends.
pub fn memory_bytes(pid: i32) -> u64 {
    let kibibytes = |pid| {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss_Anon:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    tree(pid).into_iter().filter_map(kibibytes).sum::<u64>() * 1024
}

/// The name of a process as `ps -o comm` shows it, at most 15 bytes.
pub fn name(pid: i32) -> Option<String> {
    stat(pid).map(|stat| stat.comm)
}

/// The names of a process's threads.
pub fn thread_names(pid: i32) -> Vec<String> {
    let Ok(tasks) = Process::new(pid).and_then(|process| process.tasks()) else { return Vec::new() };
    tasks.flatten().filter_map(|task| task.stat().ok()).map(|stat| stat.comm).collect()
}

/// Whether SIGSTOP has reached every thread of a process.
pub fn is_stopped(pid: i32) -> bool {
    let Ok(tasks) = Process::new(pid).and_then(|process| process.tasks()) else { return false };
    tasks.flatten().all(|task| task.stat().is_ok_and(|stat| stat.state == 'T'))
}

/// Inodes of the sockets that a process has open.
fn socket_inodes(pid: i32) -> Vec<u64> {
    let Ok(descriptors) = Process::new(pid).and_then(|process| process.fd()) else { return Vec::new() };
    let target = |descriptor: procfs::process::FDInfo| match descriptor.target {
        FDTarget::Socket(inode) => Some(inode),
        _ => None,
    };
    descriptors.flatten().filter_map(target).collect()
}

/// The system's TCP sockets, each at least once where it does not come or go just now.
///
/// The kernel shows its tables in pieces: while other processes' connections come and go, one may
/// be in two of them or in none. So they are read twice.
fn tcp_sockets() -> Vec<TcpNetEntry> {
    let mut sockets = Vec::new();
    for _ in 0..2 {
        sockets.extend(procfs::net::tcp().expect("/proc/net/tcp can be read"));
        // Absent where the kernel has no IPv6.
        sockets.extend(procfs::net::tcp6().unwrap_or_default());
    }
    sockets
}

/// The addresses that a process listens on.
pub fn listening_addresses(pid: i32) -> Vec<SocketAddr> {
    let inodes = socket_inodes(pid);
    let listens = |socket: &TcpNetEntry| socket.state == TcpState::Listen && inodes.contains(&socket.inode);
    tcp_sockets().into_iter().filter(listens).map(|socket| socket.local_address).collect()
}

/// How many bytes these have sent that the server's system has not acknowledged, all together.
pub fn unacknowledged_bytes(clients: &[impl Borrow<Client>]) -> usize {
    let ends: HashSet<_> = clients.iter().map(|client| client.borrow().ends()).collect();
    // By their ends: most are in the list twice.
    let queued: HashMap<_, _> = tcp_sockets()
        .into_iter()
        .map(|socket| ((socket.local_address, socket.remote_address), socket.tx_queue as usize))
        .filter(|(its, _)| ends.contains(its))
        .collect();
    queued.values().sum()
}

/// Whether the process runs this program.
pub fn runs_program(pid: i32, program: &str) -> bool {
    runs(pid)
        && Process::new(pid).and_then(|process| process.exe()).is_ok_and(|exe| exe.as_os_str() == program)
}

/// Asserts that the server's processes use next to no processor time while nothing happens, and
/// that none of their threads wakes again and again.
///
/// # Panics
/// If they use more than a fifth of one processor, or one wakes more often than the pauses of what
/// lacks take: something spins.
#[track_caller]
pub fn assert_stands_still(pid: i32) {
    let before = sleeps(pid);
    let used = cpu_time_of(pid, || thread::sleep(STANDING_STILL));
    assert!(
        used < STANDING_STILL / 5,
        "the server spins: {used:?} of processor time in {STANDING_STILL:?} of nothing"
    );
    for (thread, count) in sleeps(pid) {
        let woken = count - before.get(&thread).unwrap_or(&0);
        assert!(woken <= MOST_WAKES, "thread {thread} wakes {woken} times in {STANDING_STILL:?} of nothing");
    }
}

/// How often each thread of the process and of its running children has gone to sleep.
fn sleeps(pid: i32) -> HashMap<i32, u64> {
    let tasks = tree(pid).into_iter().filter_map(|pid| Process::new(pid).ok()?.tasks().ok()).flatten();
    // One that has just ended does not sleep.
    let sleeps = |task: procfs::process::Task| Some((task.tid, task.status().ok()?.voluntary_ctxt_switches?));
    tasks.filter_map(|task| sleeps(task.ok()?)).collect()
}

/// Whether a signal that was sent to the process still waits to be taken.
pub fn has_pending_signal(pid: i32) -> bool {
    let status = Process::new(pid).and_then(|process| process.status());
    status.is_ok_and(|status| status.sigpnd != 0 || status.shdpnd != 0)
}

/// The peers of the TCP connections that a process has open, where none of them comes or goes just
/// now.
pub fn tcp_peers(pid: i32) -> HashSet<SocketAddr> {
    let inodes = socket_inodes(pid);
    let connected = |socket: &TcpNetEntry| socket.state != TcpState::Listen && inodes.contains(&socket.inode);
    tcp_sockets().into_iter().filter(connected).map(|socket| socket.remote_address).collect()
}

/// How many descriptors and threads each process of a tree holds, in the order of the numbers, not
/// of the processes.
pub fn holdings(pid: i32) -> Vec<(usize, usize)> {
    let mut of_each: Vec<_> = tree(pid).into_iter().map(|pid| (descriptors(pid), threads(pid))).collect();
    of_each.sort_unstable();
    of_each
}
