//! Two conversations end in threads of a runtime: the main task, which is polled when it is woken
//! only, counts both. Meanwhile it wakes all tasks, whether they have begun or not.

use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use loom::thread;

use super::Conversations;
use crate::kernel::{AsFd, Drain, EventFd, Outcome, ServerOptions, Tally, TcpStream, poll};

/// A task that sleeps until it is woken.
struct Sleeps(EventFd);

impl Wake for Sleeps {
    fn wake(self: Arc<Self>) {
        self.0.write(1).unwrap();
    }
}

pub(super) fn check() {
    let (mut open, mut tally) = (Conversations::new(&ServerOptions::default()), Tally::default());
    let main = Arc::new(Sleeps(EventFd::default()));
    let waker = Waker::from(Arc::clone(&main));
    let threads = [0; 2].map(|_| {
        tally.accept();
        let mut place = open.begin(TcpStream::accepted()).0;
        thread::spawn(move || {
            assert!(place.poll_entered(&Context::from_waker(Waker::noop())).is_ready());
            place.ends(Outcome::Completed);
        })
    });
    open.end_input(Drain);
    while tally.open() > 0 {
        if open.poll_ended(&Context::from_waker(&waker)).is_pending() {
            poll(&[main.0.as_fd()]);
            main.0.read().unwrap();
        } else {
            open.retire(&mut tally);
        }
    }
    threads.map(|thread| thread.join().unwrap());
    assert_eq!(tally.counts(), [2, 2, 0, 0]);
}
