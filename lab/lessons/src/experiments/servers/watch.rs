//! What the processes and threads of a server wait for, seen from outside.
//!
//! The kernel tells which system call each thread is in, and with which descriptor
//! (proc_pid_syscall(5)); a copy of that descriptor (pidfd_getfd(2)) tells which client is at its
//! other end. Only a process that may trace the server may see this: its parent may, unless the
//! system forbids it to all. Then there are only states.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow};
use harness::sample::{self, Tree};
use nix::libc;
use rustix::io::Errno;
use rustix::net::getpeername;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::trace::{Event, Lane, Recorder, State, now_ns};

/// How often is looked, and in how many of these looks new processes are looked for.
const LOOK: Duration = Duration::from_millis(1);
const LOOKS_PER_LIST: usize = 4;

/// What a lane says that waits for whichever client speaks next.
pub(super) const ANY_CLIENT: &str = "any client";

/// How a client is called in the server's lanes.
pub(super) fn client_name(number: usize) -> String {
    format!("client {}", number + 1)
}

/// The clients by the ports that they have connected from.
#[derive(Debug, Clone, Default)]
pub(super) struct Ports(Arc<Mutex<HashMap<u16, usize>>>);

impl Ports {
    /// The client `number` has connected from `port`.
    pub(super) fn add(&self, port: u16, number: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(port, number);
    }

    fn client(&self, port: u16) -> Option<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&port).copied()
    }
}

/// A watch that goes on.
#[derive(Debug)]
pub(super) struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<Watched>>,
}

/// What was seen.
#[derive(Debug)]
pub(super) struct Watched {
    /// A lane for each process and thread, in the order in which they were seen.
    pub(super) lanes: Vec<Lane>,
    /// Whether system calls could be seen, and not only states.
    pub(super) is_seen: bool,
}

impl Watch {
    /// Watches a server's processes from now on, on a thread of its own.
    pub(super) fn begin(tree: Tree, ports: &Ports) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut watcher = Watcher {
            tree,
            ports: ports.clone(),
            sockets: HashMap::new(),
            tasks: Vec::new(),
            is_seen: false,
            is_denied: false,
        };
        let stop = Arc::clone(&over);
        let thread = thread::spawn(move || {
            for look in 0.. {
                if stop.load(Ordering::Acquire) {
                    break;
                }
                watcher.look(look % LOOKS_PER_LIST == 0)?;
                thread::sleep(LOOK);
            }
            let now = now_ns();
            let lanes =
                watcher.tasks.into_iter().map(|task| task.recorder.end_at(task.ended_ns.unwrap_or(now)));
            Ok(Watched { lanes: lanes.collect(), is_seen: watcher.is_seen && !watcher.is_denied })
        });
        Self { over, thread }
    }

    /// The watch is over.
    ///
    /// # Errors
    /// If the server has ended, or /proc cannot be read.
    pub(super) fn end(self) -> Result<Watched> {
        self.over.store(true, Ordering::Release);
        self.thread.join().map_err(|_| anyhow!("the watch panicked"))?
    }
}

struct Watcher {
    tree: Tree,
    ports: Ports,
    /// The clients at the other end of the server's sockets, by what /proc/PID/fd calls these.
    sockets: HashMap<String, usize>,
    tasks: Vec<Task>,
    is_seen: bool,
    is_denied: bool,
}

/// A process, or a thread beside its first one.
struct Task {
    pid: i32,
    tid: i32,
    recorder: Recorder,
    /// What it was seen doing last.
    doing: (State, String),
    ended_ns: Option<u64>,
}

impl Watcher {
    fn look(&mut self, list: bool) -> Result<()> {
        if list {
            self.list()?;
        }
        for index in 0..self.tasks.len() {
            let Task { pid, tid, ended_ns: None, .. } = self.tasks[index] else { continue };
            let doing = self.doing(pid, tid);
            let (now, task) = (now_ns(), &mut self.tasks[index]);
            match doing {
                None => task.ended_ns = Some(now),
                Some(doing) if doing == task.doing => {}
                Some(doing) => {
                    task.recorder.apply(now, Event::enter(doing.0, doing.1.clone()));
                    task.doing = doing;
                }
            }
        }
        Ok(())
    }

    /// Looks for processes and threads that are new.
    fn list(&mut self) -> Result<()> {
        for pid in sample::processes(self.tree)? {
            let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
            let tids = tasks.flatten().filter_map(|task| task.file_name().to_str()?.parse().ok());
            for tid in tids.collect::<Vec<i32>>() {
                if !self.tasks.iter().any(|task| task.tid == tid) {
                    self.tasks.push(Task::new(pid.as_raw(), tid));
                }
            }
        }
        Ok(())
    }

    /// What a thread does; `None` if it has ended.
    fn doing(&mut self, pid: i32, tid: i32) -> Option<(State, String)> {
        let stat = fs::read_to_string(format!("/proc/{pid}/task/{tid}/stat")).ok()?;
        // The name before it may have brackets in it.
        let state = stat.rsplit_once(") ")?.1.chars().next()?;
        match state {
            'Z' | 'X' => return Some((State::Done, String::new())),
            'R' => return Some((State::Running, String::new())),
            _ => {}
        }
        let Ok(call) = fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")) else {
            return Some((State::Blocked, String::new()));
        };
        self.is_seen = true;
        let mut words = call.split_whitespace();
        let Some(number) = words.next().and_then(|number| number.parse::<i64>().ok()) else {
            return Some((State::Running, String::new()));
        };
        let first = words.next().and_then(|word| i32::from_str_radix(word.trim_start_matches("0x"), 16).ok());
        Some(match kind(number) {
            Call::Converse => (State::Blocked, first.map_or_else(String::new, |fd| self.peer(pid, fd))),
            Call::Accept => (State::Blocked, "a new client".to_owned()),
            Call::Poll => (State::Blocked, "a new client or a signal".to_owned()),
            Call::Loop => (State::Blocked, ANY_CLIENT.to_owned()),
            Call::Lock => (State::Waiting, "work".to_owned()),
            Call::Sleep => (State::Sleeping, String::new()),
            Call::Other => (State::Blocked, String::new()),
        })
    }

    /// The client at the other end of a descriptor. It is asked for once, by a copy of the
    /// descriptor: the kernel's table of connections may have thousands of lines to read.
    fn peer(&mut self, pid: i32, fd: i32) -> String {
        let link = fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap_or_default();
        let Some(socket) = link.to_str().filter(|link| link.starts_with("socket:")) else {
            return String::new();
        };
        if let Some(client) = self.sockets.get(socket) {
            return client_name(*client);
        }
        let Ok(port) = peer_port(pid, fd).inspect_err(|error| self.is_denied |= *error == Errno::PERM) else {
            return String::new();
        };
        let Some(client) = port.and_then(|port| self.ports.client(port)) else { return String::new() };
        self.sockets.insert(socket.to_owned(), client);
        client_name(client)
    }
}

/// The port at the other end of another process's socket; none if it is not connected over IPv4.
///
/// # Errors
/// If it is no socket any more, or this process may not look at it.
fn peer_port(pid: i32, fd: i32) -> Result<Option<u16>, Errno> {
    let pid = rustix::process::Pid::from_raw(pid).ok_or(Errno::SRCH)?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let socket = pidfd_getfd(process, fd, PidfdGetfdFlags::empty())?;
    let peer = getpeername(socket)?.and_then(|peer| SocketAddrV4::try_from(peer).ok());
    Ok(peer.map(|peer| peer.port()))
}

impl Task {
    fn new(pid: i32, tid: i32) -> Self {
        let recorder = if pid == tid {
            Recorder::process(format!("process {pid}"), pid, now_ns())
        } else {
            Recorder::thread_of(format!("thread {tid}"), pid, tid, now_ns())
        };
        Self { pid, tid, recorder, doing: (State::Running, String::new()), ended_ns: None }
    }
}

/// What a system call waits for.
enum Call {
    /// For what one client says, or until it takes what it is told.
    Converse,
    /// For the next client.
    Accept,
    /// For a few descriptors: in our servers the listener and the signals.
    Poll,
    /// For whichever of many descriptors is next.
    Loop,
    /// For another thread.
    Lock,
    /// For a time.
    Sleep,
    Other,
}

fn kind(number: i64) -> Call {
    match number {
        libc::SYS_recvfrom
        | libc::SYS_sendto
        | libc::SYS_read
        | libc::SYS_write
        | libc::SYS_recvmsg
        | libc::SYS_sendmsg => Call::Converse,
        libc::SYS_accept | libc::SYS_accept4 => Call::Accept,
        libc::SYS_ppoll => Call::Poll,
        libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2 | libc::SYS_io_uring_enter => Call::Loop,
        libc::SYS_futex => Call::Lock,
        libc::SYS_nanosleep | libc::SYS_clock_nanosleep => Call::Sleep,
        // Where the kernel has older calls too.
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll => Call::Poll,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait => Call::Loop,
        _ => Call::Other,
    }
}
