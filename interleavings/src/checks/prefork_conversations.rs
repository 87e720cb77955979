//! A worker is killed in its first conversation, and its successor ends one: the parent, which sleeps
//! on its pipe and its signals, counts both, and the first as failed.

use std::sync::Arc;

use loom::thread;

use super::Conversations;
use crate::kernel::process::{self, Places};
use crate::kernel::{AsFd, EventFd, Outcome, Tally, poll};

pub(super) fn check() {
    let (mut open, mut tally) = (Conversations::new(1).unwrap(), Tally::default());
    let child_has_ended = Arc::new(EventFd::default());
    let mut workers = Vec::new();
    while tally.counts() != [2, 1, 1, 0] {
        if let Some(place) = open.next_empty()
            && workers.len() < 2
        {
            let pid = workers.len();
            let outcomes = if pid == 0 { &[None][..] } else { &[None, Some(Outcome::Completed)] };
            // What a child has of it after the fork.
            let (events, report) = (open.events.clone(), open.report.clone());
            let own = Conversations { places: Places::new(0), busy: Vec::new(), events, report, told: false };
            let signal = Arc::clone(&child_has_ended);
            workers.push(thread::spawn(move || {
                outcomes.iter().for_each(|outcome| own.tell(place, *outcome).unwrap());
                process::exit(pid);
                signal.write(1).unwrap();
            }));
            open.begin(place, pid);
        }
        poll(&[child_has_ended.as_fd(), open.as_fd()]);
        child_has_ended.read().unwrap();
        open.retire(&mut tally).unwrap();
    }
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}
