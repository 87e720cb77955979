//! One experiment, from the start of the server to its end.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};

use crate::client::{Client, Said};
use crate::observation::Observation;
use crate::row::{Phase, Row};
use crate::server::{End, Server};
use crate::subject::Subject;
use crate::tracer::{self, Injected, Tracer};

/// How long a server may let its conversations go on at a stop.
pub const DRAIN: Duration = Duration::from_secs(1);

/// How long a stop may take: the drain, one more second to deliver, and what a busy machine adds.
pub const STOP: Duration = Duration::from_millis(4500);

/// A server that has not stopped by then is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client waits where it must be served.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long it waits where a worker may have died again and again: its successor comes after five
/// seconds at the most.
const BACK_OFF: Duration = Duration::from_secs(9);

/// How long it waits where nobody promises anything, because calls fail for ever.
const LITTLE_PATIENCE: Duration = Duration::from_millis(250);

/// How long a server is watched while nothing is asked of it.
const QUIET: Duration = Duration::from_secs(1);

/// So many bytes are asked at once, besides small questions: more than one read takes.
const LARGE_BYTES: usize = 150_000;

/// The calls that a worker makes before it serves, and its parent to start it.
const CALLS_OF_A_START: [&str; 7] =
    ["clone", "clone3", "mmap", "mprotect", "epoll_create1", "eventfd2", "timerfd_create"];

/// The options of a server in an experiment with this call. Without an idle timeout nothing wakes
/// it but what it has itself provided for.
pub fn options(call: &str) -> Vec<String> {
    let idle = if call.starts_with("timerfd") || call == "read" { "2s" } else { "0s" };
    vec![format!("--idle-timeout={idle}"), format!("--drain-timeout={}ms", DRAIN.as_millis())]
}

/// The conversations of an experiment.
#[derive(Debug)]
pub struct Cast {
    address: SocketAddr,
    patience: Duration,
    /// One that was there before, and asks again later.
    pub bystander: Option<Client>,
    said: Vec<Said>,
}

impl Cast {
    /// With one that is served before anything fails, where the server can serve another besides.
    pub fn new(address: SocketAddr, subject: &Subject, patience: Duration) -> Self {
        let mut cast = Self { address, patience, bystander: None, said: Vec::new() };
        if !subject.holds_one()
            && let Some(mut client) = cast.connect(1)
        {
            let said = client.ask(100);
            cast.bystander = cast.note(said).then_some(client);
        }
        cast
    }

    fn note(&mut self, said: Said) -> bool {
        let is_served = said == Said::Served;
        self.said.push(said);
        is_served
    }

    fn connect(&mut self, seed: u64) -> Option<Client> {
        match Client::connect(self.address, seed, self.patience) {
            Ok(client) => Some(client),
            Err(said) => {
                self.said.push(said);
                None
            }
        }
    }

    /// One long conversation of `questions`, then so many short ones; not many more than two when
    /// they fail.
    pub fn talk(&mut self, questions: u32) {
        if let Some(mut client) = self.connect(2) {
            let mut said = client.ask(LARGE_BYTES);
            for _ in 0..questions {
                if said == Said::Served {
                    said = client.ask(50);
                }
            }
            if said == Said::Served {
                said = client.finish();
            }
            self.note(said);
        }
        let mut failed = 0;
        for seed in 0..questions {
            let Some(mut client) = self.connect(u64::from(seed) + 10) else { break };
            let said = match client.ask(20) {
                Said::Served => client.finish(),
                said => said,
            };
            failed += u32::from(!self.note(said));
            if failed > 2 {
                break;
            }
        }
        self.ask_bystander();
    }

    /// The bystander asks again.
    pub fn ask_bystander(&mut self) {
        if let Some(client) = &mut self.bystander {
            let said = client.ask(1000);
            if said != Said::Served {
                self.bystander = None;
            }
            self.note(said);
        }
    }

    /// What has been said since the last call.
    pub fn take(&mut self) -> Vec<Said> {
        std::mem::take(&mut self.said)
    }
}

/// Carries one experiment out. `before` is how many of the call the server's first thread makes
/// before it is its own: those of the loader and of the language's start.
///
/// # Errors
/// If the experiment itself fails; what the server does is in what was seen.
pub fn play(row: &Row, subject: &Subject, before: u32, folder: &Path) -> Result<Observation> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let log = folder.join(format!("strace-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
    let mut injected = Injected::of(log.clone());
    let traced =
        if row.phase == Phase::Start { tracer::launch(&log, &row.injection(before)) } else { Vec::new() };
    let mut server = Server::start(subject, &options(row.call), &traced)?;
    let mut seen = Observation::default();
    let played = act(row, subject, &mut server, &log, &mut injected, &mut seen);
    if server.ended().is_some() {
        server.wait_log();
    }
    seen.injected = injected.count();
    server.processes();
    seen.log_lines = server.log_lines();
    seen.most_log_lines = server.most_log_lines();
    let words = server.log();
    seen.error_lines = words.iter().filter(|line| line.starts_with("error: ")).count();
    seen.paused = words.iter().any(|line| line.contains("trying again in"));
    // The status is the last line of every good end.
    let is_news = |line: &&String| !line.contains("status: ");
    seen.last_words = words.iter().rfind(is_news).cloned().unwrap_or_default();
    played.map(|()| seen)
}

fn act(
    row: &Row,
    subject: &Subject,
    server: &mut Server,
    log: &Path,
    injected: &mut Injected,
    seen: &mut Observation,
) -> Result<()> {
    let Some(address) = server.address() else {
        seen.ended_early = server.ended();
        return Ok(());
    };
    seen.listened = true;
    let fails_already = row.phase == Phase::Start;
    let patience = |is_promised: bool| if is_promised { PATIENCE } else { LITTLE_PATIENCE };
    let mut cast = Cast::new(address, subject, patience(!(fails_already && row.ever)));
    if !fails_already {
        server.rest();
    }
    let attach = |server: &mut Server| Tracer::attach(&server.processes(), log, &row.injection(0));
    let mut tracer = if row.phase == Phase::Serve { Some(attach(server)?) } else { None };
    if tracer.is_some() && subject.replaces_workers() && CALLS_OF_A_START.contains(&row.call) {
        // Its successor makes the call, if it comes to that.
        let worker = server.workers().first().copied().context("there is no worker")?;
        kill(worker, Signal::SIGKILL)?;
    }
    cast.patience = patience(row.phase == Phase::Stop || !row.ever);
    if let Some(client) = &mut cast.bystander {
        client.have_patience(cast.patience);
    }
    if row.phase != Phase::Stop {
        cast.talk(row.nth + 3);
        // Its request may be taken or not: the server must not be busy with it.
        let waiter = row.ever.then(|| Client::connect(address, 3, PATIENCE).ok()).flatten();
        let mut waiter = waiter.map(|mut client| (client.send(10), client));
        watch(server, injected, seen);
        seen.conversations = cast.take();
        seen.ended_early = server.ended();
        if let Some(tracer) = tracer.take() {
            tracer.detach()?;
            let waited = waiter.take().filter(|(sent, _)| *sent == Said::Served);
            // Gone before the next one comes: some serve one at a time.
            let waited = waited.map(|(_, mut client)| client.receive());
            waited.into_iter().for_each(|said| note_afterwards(said, seen));
            afterwards(address, &mut cast, subject, seen);
        }
    }
    seen.ended_early = seen.ended_early.or(server.ended());
    if seen.ended_early.is_some() {
        return Ok(());
    }
    stop(row, server, &mut cast, attach, seen)
}

/// A second in which nobody asks for anything.
fn watch(server: &mut Server, injected: &mut Injected, seen: &mut Observation) {
    server.processes();
    let (cpu, calls) = (server.cpu_time(), injected.count());
    thread::sleep(QUIET);
    seen.quiet_cpu = server.cpu_time().saturating_sub(cpu);
    seen.quiet_injected = injected.count() - calls;
}

/// What failed by then may have cost one its connection; but whoever has one is to be served.
fn note_afterwards(said: Said, seen: &mut Observation) {
    match said {
        Said::Lost(_) => seen.conversations.push(said),
        said => seen.afterwards.push(said),
    }
}

/// What becomes of those who come, or go on, when nothing fails any more.
fn afterwards(address: SocketAddr, cast: &mut Cast, subject: &Subject, seen: &mut Observation) {
    let patience = if subject.has_workers() { BACK_OFF } else { PATIENCE };
    if let Some(client) = &mut cast.bystander {
        client.have_patience(PATIENCE);
        note_afterwards(client.ask(100), seen);
    }
    for seed in 100..103 {
        let said = match Client::connect(address, seed, patience) {
            Ok(mut client) => match client.ask(LARGE_BYTES) {
                Said::Served => client.finish(),
                said => said,
            },
            Err(said) => said,
        };
        let is_served = said == Said::Served;
        seen.afterwards.push(said);
        if !is_served {
            break;
        }
    }
}

/// Tells it to stop, amid a conversation.
fn stop(
    row: &Row,
    server: &mut Server,
    cast: &mut Cast,
    attach: impl Fn(&mut Server) -> Result<Tracer>,
    seen: &mut Observation,
) -> Result<()> {
    let mut amid = if row.phase == Phase::Stop { cast.connect(4) } else { None };
    if let Some(client) = &mut amid {
        let said = client.ask(10);
        cast.note(said);
        // Answered by the server, and not yet received.
        let _ = client.send(1000);
    }
    let tracer = if row.phase == Phase::Stop { Some(attach(server)?) } else { None };
    let begun = Instant::now();
    server.signal(Signal::SIGTERM);
    seen.told_to_stop = true;
    if let Some(client) = &mut amid {
        client.have_patience(STOP);
        let said = match client.receive() {
            Said::Served => {
                // Sent by one who has not heard of the stop.
                let _ = client.send(1000);
                client.receive()
            }
            said => said,
        };
        cast.note(said);
    }
    server.wait_until(begun + STOP_TIMEOUT);
    seen.stop_time = begun.elapsed();
    seen.stopped = server.ended();
    seen.conversations.extend(cast.take());
    // Children die with their parent, but not in the same moment.
    let deadline = Instant::now() + Duration::from_secs(2);
    while seen.stopped.is_some() && !server.left_behind().is_empty() && Instant::now() < deadline {
        thread::sleep(crate::server::LOOK);
    }
    seen.left_behind =
        if matches!(seen.stopped, Some(End::Code(_))) { server.left_behind().len() } else { 0 };
    drop(tracer);
    Ok(())
}
