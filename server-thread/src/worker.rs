//! The threads that serve: a new one for each conversation, or a fixed pool.

use std::fs;
use std::io;
use std::net::TcpStream;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use common::{Bell, Buffer, Outcome, UsageError};

/// Stack of a thread in bytes, of which only the touched pages cost memory. The deepest call
/// is the formatting of a log line, which the tests reach with every level of the log on.
const STACK_BYTES: usize = 128 * 1024;

/// Memory maps of a thread: its stack, the small one for signals, and a guard page below each.
const MAPS_PER_THREAD: usize = 4;

/// Memory maps for everything else, with much to spare.
const RESERVED_MAPS: usize = 1024;

/// A conversation to serve.
#[derive(Debug)]
pub(crate) struct Job {
    /// Its place among the open ones.
    pub(crate) key: usize,
    /// Its socket. The thread owns it, so that it closes when the thread is done with it, and not later.
    pub(crate) stream: Arc<TcpStream>,
}

/// A conversation that was served.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) key: usize,
    pub(crate) outcome: Outcome,
}

/// How a thread tells the main thread that a conversation has ended.
#[derive(Debug, Clone)]
pub(crate) struct Reporter {
    reports: Sender<Finished>,
    bell: Arc<Bell>,
}

impl Reporter {
    pub(crate) fn new(reports: Sender<Finished>, bell: Arc<Bell>) -> Self {
        Self { reports, bell }
    }

    /// Publishes the end, then rings: who wakes must be able to see it, or a freed place stays unseen.
    fn report(&self, finished: Finished) {
        // Nobody listens any more when the server has been stopped at once.
        let _ = self.reports.send(finished);
        self.bell.ring();
    }
}

/// Who serves: a new thread for every conversation, or the threads of a pool.
#[derive(Debug)]
pub(crate) enum Crew {
    Hire(Reporter),
    Pool(Sender<Job>),
}

impl Crew {
    /// Starts the pool's threads, if it is one.
    ///
    /// # Errors
    /// If the system cannot start that many threads.
    pub(crate) fn new(workers: Option<usize>, reporter: Reporter) -> Result<Self> {
        let Some(workers) = workers else { return Ok(Self::Hire(reporter)) };
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for started in 0..workers {
            let (queue, reporter) = (Arc::clone(&queue), reporter.clone());
            start(move || work(&queue, &reporter))
                .with_context(|| format!("cannot start more than {started} of {workers} threads"))?;
        }
        Ok(Self::Pool(jobs))
    }

    /// Has the conversation served, without waiting for it.
    ///
    /// # Errors
    /// If no thread can be started; the conversation is closed then.
    pub(crate) fn serve(&self, job: Job) -> io::Result<()> {
        match self {
            Self::Hire(reporter) => {
                let reporter = reporter.clone();
                start(move || converse(job, &mut Buffer::new(), &reporter))
            }
            Self::Pool(jobs) => jobs.send(job).map_err(|_| io::Error::other("the pool has ended")),
        }
    }
}

/// Bounds `limit` by how many threads the kernel's limit on a process's memory maps allows. Beyond it a thread does start, but cannot
/// get its stack for signals, and the whole process is aborted: that must not come so far.
///
/// # Errors
/// A [`UsageError`] that names the remedy if more are `asked` for.
pub(crate) fn bounded_by_maps(limit: usize, asked: Option<usize>) -> Result<usize> {
    let maps =
        fs::read_to_string("/proc/sys/vm/max_map_count").ok().and_then(|text| text.trim().parse().ok());
    // Where the system does not say, it has no such limit.
    let maps: usize = maps.unwrap_or(usize::MAX);
    let allowed = (maps.saturating_sub(RESERVED_MAPS) / MAPS_PER_THREAD).max(1);
    match asked {
        Some(asked) if asked > allowed => Err(UsageError(format!(
            "--max-connections {asked} needs as many threads with {MAPS_PER_THREAD} memory maps each, and a process may have \
             {maps} maps: ask for at most {allowed}, or raise vm.max_map_count"
        ))
        .into()),
        _ => Ok(limit.min(allowed)),
    }
}

/// Starts a thread; unlike `thread::spawn`, without a panic when the system has none to give.
fn start(body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().stack_size(STACK_BYTES).spawn(body).map(drop)
}

/// A pool thread's life: one conversation after the other.
fn work(queue: &Mutex<Receiver<Job>>, reporter: &Reporter) {
    let mut buffer = Buffer::new();
    loop {
        // The lock is free again at the end of this line: one thread waits for a job, the others for the lock.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        converse(job, &mut buffer, reporter);
    }
}

/// Serves one conversation and reports its end, also where serving it panics: that ends this client only.
fn converse(Job { key, stream }: Job, buffer: &mut Buffer, reporter: &Reporter) {
    let served = panic::catch_unwind(AssertUnwindSafe(|| common::converse(&stream, buffer, || false)));
    // Closed before it is counted: who reads the tally may rely on it.
    drop(stream);
    reporter.report(Finished { key, outcome: served.unwrap_or(Outcome::Failed) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_threads_than_there_are_maps_for_are_refused_with_the_remedy() {
        assert!(bounded_by_maps(10, None).is_ok_and(|limit| limit == 10));
        let refused = bounded_by_maps(usize::MAX, Some(usize::MAX)).unwrap_err();
        assert!(refused.is::<UsageError>() && refused.to_string().contains("vm.max_map_count"), "{refused}");
    }
}
