//! A pool with a fixed number of threads: jobs queue up, and what comes of each is sent to whoever
//! has submitted it.

use std::collections::VecDeque;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::trace::{Lane, Recorder, State};

/// What a worker does, with its own lane.
type Job<R> = Box<dyn FnOnce(&mut Recorder) -> R + Send>;

/// What came of a job: its number, and what it returned, or nothing if it panicked.
pub(in crate::experiments) type Result<R> = (usize, Option<R>);

/// The pool.
#[derive(Debug)]
pub(in crate::experiments) struct ThreadPool<R> {
    jobs: Arc<Jobs<R>>,
    results: Receiver<Result<R>>,
    workers: Vec<JoinHandle<Lane>>,
}

/// What waits for a worker.
struct Jobs<R> {
    queue: Mutex<Queue<R>>,
    changed: Condvar,
}

struct Queue<R> {
    waiting: VecDeque<(usize, Job<R>)>,
    is_closed: bool,
}

impl<R: Send + 'static> ThreadPool<R> {
    /// Starts the workers. One whose job panics survives it only if `catches`.
    ///
    /// # Errors
    /// If the system does not give that many threads: then none is left.
    pub(in crate::experiments) fn start(workers: usize, catches: bool) -> io::Result<Self> {
        let queue = Mutex::new(Queue { waiting: VecDeque::new(), is_closed: false });
        let jobs = Arc::new(Jobs { queue, changed: Condvar::new() });
        let (send, results) = mpsc::channel();
        let mut pool = Self { jobs, results, workers: Vec::new() };
        for number in 1..=workers {
            let (jobs, send) = (Arc::clone(&pool.jobs), send.clone());
            let name = format!("worker {number}");
            let worker = thread::Builder::new().name(name.clone());
            match worker.spawn(move || jobs.work(&name, catches, &send)) {
                Ok(worker) => pool.workers.push(worker),
                Err(error) => {
                    pool.join();
                    return Err(error);
                }
            }
        }
        Ok(pool)
    }

    /// Queues a job up, and returns at once.
    pub(in crate::experiments) fn submit(
        &self,
        number: usize,
        job: impl FnOnce(&mut Recorder) -> R + Send + 'static,
    ) {
        self.jobs.queue().waiting.push_back((number, Box::new(job)));
        self.jobs.changed.notify_one();
    }

    /// No job is submitted any more: workers that find none left end.
    pub(in crate::experiments) fn close(&self) {
        self.jobs.queue().is_closed = true;
        self.jobs.changed.notify_all();
    }

    /// Waits for what comes of any job; `None` if no worker is left.
    pub(in crate::experiments) fn result(&self) -> Option<Result<R>> {
        self.results.recv().ok()
    }

    /// What has come of any job, if anything has and nobody was told.
    pub(in crate::experiments) fn try_result(&self) -> Option<Result<R>> {
        self.results.try_recv().ok()
    }

    /// Waits for the end of the workers. Returns their lanes.
    pub(in crate::experiments) fn join(self) -> Vec<Lane> {
        self.close();
        // A worker that panicked outside of its job would be an error of the pool, whose lane is
        // missing then.
        self.workers.into_iter().filter_map(|worker| worker.join().ok()).collect()
    }
}

impl<R> Jobs<R> {
    fn queue(&self) -> MutexGuard<'_, Queue<R>> {
        // No job runs under it, so a panic means nothing here.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job, when there is one; `None` if there will be none.
    fn next(&self) -> Option<(usize, Job<R>)> {
        let is_waiting = |queue: &mut Queue<R>| queue.waiting.is_empty() && !queue.is_closed;
        let queue = self.changed.wait_while(self.queue(), is_waiting);
        queue.unwrap_or_else(PoisonError::into_inner).waiting.pop_front()
    }

    /// Is a worker.
    fn work(&self, name: &str, catches: bool, send: &Sender<Result<R>>) -> Lane {
        let mut me = Recorder::thread(name);
        me.enter_with(State::Blocked, "for a task");
        while let Some((number, job)) = self.next() {
            // The job's own state is gone with it; the pool's is not touched by it.
            let result = panic::catch_unwind(AssertUnwindSafe(|| job(&mut me)));
            if result.is_err() {
                me.mark("panicked");
                if !catches {
                    // As if nobody had caught it: nobody hears of it, and the thread is over.
                    return me.end();
                }
            }
            // Nobody listens any more when the pool has been given up.
            let _ = send.send((number, result.ok()));
            me.enter_with(State::Blocked, "for a task");
        }
        me.end()
    }
}

impl<R> std::fmt::Debug for Jobs<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").field("waiting", &self.queue().waiting.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(workers: usize, catches: bool) -> Vec<Result<usize>> {
        let pool = ThreadPool::start(workers, catches).unwrap();
        for number in 0..10 {
            pool.submit(number, move |_| {
                if number == 3 {
                    // Without the words on stderr that `panic!` writes.
                    panic::resume_unwind(Box::new("on purpose"));
                }
                number * number
            });
        }
        pool.close();
        let mut results: Vec<_> = std::iter::from_fn(|| pool.result()).take(10).collect();
        results.sort_unstable();
        pool.join();
        results
    }

    #[test]
    fn every_job_is_done_once_and_a_panic_is_its_own_affair() {
        let expected: Vec<_> =
            (0..10).map(|number| (number, (number != 3).then(|| number * number))).collect();
        for workers in [1, 3] {
            let pool_results = run(workers, true);
            assert_eq!(pool_results, expected, "{workers} workers");
        }
    }
}
