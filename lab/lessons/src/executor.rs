//! What runs coroutines: one thread, a queue of tasks that can go on, and a heap of alarms for
//! those that sleep.
//!
//! The language turns an `async fn` into a value that can be asked to go on until it has to wait
//! (`poll`); everything else is here. It is what gevent's hub, an event loop or a runtime does,
//! without sockets: a task that waits leaves a [`Waker`] where what it waits for will find it, and
//! returns; the waker puts it back into the queue; when the queue is empty the thread sleeps until
//! the next alarm.
//!
//! Nobody is interrupted. A task that does not wait keeps the thread, and alarms that ring
//! meanwhile are heard late: that is the price of switching only where the task says so.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

/// Something that can be gone on with, until it is done.
pub type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// All tasks that are left wait for something that can never happen: nobody holds a waker of
/// theirs, and no alarm is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stuck {
    /// How many.
    pub tasks: usize,
}

/// The alarms of one thread, the next one first. Alarms for the same instant ring in the order in
/// which they were set.
#[derive(Debug, Default)]
pub struct Alarms {
    heap: RefCell<BinaryHeap<Reverse<Alarm>>>,
    set: RefCell<u64>,
}

#[derive(Debug)]
struct Alarm {
    at: Instant,
    number: u64,
    waker: Waker,
}

/// The tasks that can go on, by number, and the thread to wake for them.
#[derive(Debug)]
struct Ready {
    queue: Mutex<VecDeque<usize>>,
    thread: Thread,
}

/// What a task's wakers are made of. There is one as long as anybody can wake the task.
#[derive(Debug)]
struct Ticket {
    task: usize,
    ready: Arc<Ready>,
}

/// Runs all tasks on the calling thread until the last is done. They begin in their order, and of
/// those that can go on the one that could first goes on first.
///
/// # Errors
/// If those that are left can never go on. They are dropped.
pub fn run(alarms: &Alarms, tasks: Vec<Task<'_>>) -> Result<(), Stuck> {
    let ready = Arc::new(Ready { queue: Mutex::new((0..tasks.len()).collect()), thread: thread::current() });
    let mut tasks: Vec<_> = tasks.into_iter().map(|task| Some((task, Weak::new()))).collect();
    while tasks.iter().any(Option::is_some) {
        alarms.ring(Instant::now());
        let Some(number) = ready.next() else {
            rest(alarms, &ready, &tasks)?;
            continue;
        };
        // A waker may outlive its task.
        let Some((task, given)) = &mut tasks[number] else { continue };
        let ticket = given.upgrade().unwrap_or_else(|| {
            let ticket = Arc::new(Ticket { task: number, ready: Arc::clone(&ready) });
            *given = Arc::downgrade(&ticket);
            ticket
        });
        let waker = Waker::from(ticket);
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            tasks[number] = None;
        }
    }
    Ok(())
}

/// Nobody can go on: sleeps until the next alarm, or until another thread wakes a task. It may
/// return too early, which costs a look.
fn rest(alarms: &Alarms, ready: &Ready, tasks: &[Option<(Task<'_>, Weak<Ticket>)>]) -> Result<(), Stuck> {
    if let Some(at) = alarms.next() {
        thread::park_timeout(at.saturating_duration_since(Instant::now()));
        return Ok(());
    }
    let left = || tasks.iter().flatten();
    let is_awaited = left().any(|(_, given)| Weak::strong_count(given) > 0);
    if is_awaited {
        thread::park();
    } else if ready.lock().is_empty() {
        // Looked at after the wakers: one that was used and dropped in between has left its task in
        // the queue.
        return Err(Stuck { tasks: left().count() });
    }
    Ok(())
}

impl Alarms {
    /// Waits until `at`, and lets other tasks go on meanwhile.
    pub async fn sleep_until(&self, at: Instant) {
        let mut is_set = false;
        std::future::poll_fn(|context| {
            if is_set && Instant::now() >= at {
                return Poll::Ready(());
            }
            // Set once: nothing but the alarm wakes who sleeps here.
            if !is_set {
                self.set(at, context.waker().clone());
                is_set = true;
            }
            Poll::Pending
        })
        .await;
    }

    fn set(&self, at: Instant, waker: Waker) {
        let number = *self.set.borrow();
        *self.set.borrow_mut() += 1;
        self.heap.borrow_mut().push(Reverse(Alarm { at, number, waker }));
    }

    fn next(&self) -> Option<Instant> {
        self.heap.borrow().peek().map(|Reverse(alarm)| alarm.at)
    }

    /// Wakes everybody whose time has come.
    fn ring(&self, now: Instant) {
        while self.next().is_some_and(|at| at <= now) {
            // Not borrowed any more when the waker runs.
            let due = self.heap.borrow_mut().pop();
            if let Some(Reverse(alarm)) = due {
                alarm.waker.wake();
            }
        }
    }
}

/// Lets everybody who can go on do so, once.
pub async fn give_way() {
    let mut has_given = false;
    std::future::poll_fn(|context| {
        if has_given {
            return Poll::Ready(());
        }
        has_given = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Ready {
    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<usize>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<usize> {
        self.lock().pop_front()
    }
}

impl Wake for Ticket {
    fn wake(self: Arc<Self>) {
        {
            let mut queue = self.ready.lock();
            // Woken twice is woken.
            if !queue.contains(&self.task) {
                queue.push_back(self.task);
            }
        }
        // First the fact, then the bell. Rung before the thread lies down, it is kept
        // (thread::park).
        self.ready.thread.unpark();
    }
}

impl Drop for Ticket {
    /// Nobody can wake the task any more: an executor that sleeps until somebody does must look.
    fn drop(&mut self) {
        self.ready.thread.unpark();
    }
}

impl Ord for Alarm {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Alarm {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Says its name, does what is between, says it again.
    fn said<'a>(said: &'a RefCell<Vec<u32>>, name: u32, between: impl Future<Output = ()> + 'a) -> Task<'a> {
        Box::pin(async move {
            said.borrow_mut().push(name);
            between.await;
            said.borrow_mut().push(name);
        })
    }

    #[test]
    fn sleepers_wake_in_the_order_of_their_alarms_and_sleep_together() {
        let (alarms, order, begun) = (Alarms::default(), RefCell::default(), Instant::now());
        let nap = |milliseconds| alarms.sleep_until(begun + Duration::from_millis(milliseconds));
        let tasks = vec![said(&order, 1, nap(60)), said(&order, 2, nap(20)), said(&order, 3, nap(40))];
        assert_eq!(run(&alarms, tasks), Ok(()));
        assert_eq!(order.into_inner(), [1, 2, 3, 2, 3, 1]);
        assert!(begun.elapsed() >= Duration::from_millis(60));
    }

    #[test]
    fn alarms_of_one_instant_ring_in_the_order_in_which_they_were_set() {
        let (alarms, order, at) = (Alarms::default(), RefCell::default(), Instant::now());
        let tasks = (0..9).map(|name| said(&order, name, alarms.sleep_until(at))).collect();
        assert_eq!(run(&alarms, tasks), Ok(()));
        assert_eq!(order.into_inner(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn who_gives_way_is_next_after_everybody_else() {
        let (alarms, order) = (Alarms::default(), RefCell::default());
        let nothing = async {};
        let tasks = vec![said(&order, 1, give_way()), said(&order, 2, nothing), said(&order, 3, give_way())];
        assert_eq!(run(&alarms, tasks), Ok(()));
        assert_eq!(order.into_inner(), [1, 2, 2, 3, 1, 3]);
    }

    #[test]
    fn another_thread_can_wake_a_task_and_the_executor_sleeps_until_it_does() {
        let alarms = Alarms::default();
        let (send, receive) = std::sync::mpsc::channel::<Waker>();
        let other = thread::spawn(move || receive.recv().unwrap().wake());
        let mut polls = 0;
        let waits = std::future::poll_fn(|context| {
            polls += 1;
            if polls > 1 {
                return Poll::Ready(());
            }
            send.send(context.waker().clone()).unwrap();
            Poll::Pending
        });
        assert_eq!(run(&alarms, vec![Box::pin(waits)]), Ok(()));
        other.join().unwrap();
        assert_eq!(polls, 2);
    }

    #[test]
    fn tasks_that_nobody_can_wake_are_an_error_and_no_hang() {
        let alarms = Alarms::default();
        let tasks: Vec<Task<'_>> = vec![Box::pin(std::future::pending()), Box::pin(async {})];
        assert_eq!(run(&alarms, tasks), Err(Stuck { tasks: 1 }));
        assert_eq!(run(&alarms, Vec::new()), Ok(()));
    }
}
