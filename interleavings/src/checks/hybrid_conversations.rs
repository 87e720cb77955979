//! A worker is killed when it has ended one conversation, with what else it has received; its
//! successor ends the others. The parent, which sleeps on its pipe and its signals, accounts for
//! all, and only one that was received and not reported has failed.

use std::sync::Arc;

use loom::thread;

use super::{Conversations, Report};
use crate::kernel::{AsFd, EventFd, Outcome, Tally, TcpStream, poll, post, process};

const CLIENTS: u64 = 2;

pub(super) fn check() {
    let (mut open, mut tally) = (Conversations::new(1, 1, 2).unwrap(), Tally::default());
    let (child_has_ended, over) = (Arc::new(EventFd::default()), Arc::new(EventFd::default()));
    let mut workers = Vec::new();
    while tally.counts()[0] < CLIENTS || tally.open() > 0 {
        if let Some(place) = open.next_empty() {
            let pid = workers.len();
            let is_killed = pid == 0;
            // What a child has of it after the fork.
            let (inbox, pipe) = (open.loops[place].inbox.clone(), open.report.clone());
            let (signal, over) = (Arc::clone(&child_has_ended), Arc::clone(&over));
            workers.push(thread::spawn(move || {
                let (mut report, mut own, mut streams) =
                    (Report::new(&pipe, 0), Tally::default(), Vec::new());
                report.tell(&own, true).unwrap();
                let mut has_ended_one = false;
                while !(is_killed && has_ended_one) {
                    poll(&[inbox.as_fd(), over.as_fd()]);
                    let Some(count) = post::receive(&inbox, &mut streams).unwrap() else { break };
                    for _ in 0..if is_killed { 1 } else { count } {
                        streams.pop();
                        own.accept();
                        own.close(Outcome::Completed);
                        has_ended_one = true;
                    }
                    report.tell(&own, true).unwrap();
                }
                drop(streams);
                process::exit(pid);
                signal.write(1).unwrap();
            }));
            open.started(place, pid);
        }
        while tally.counts()[0] < CLIENTS
            && let Some(fewest) = open.fewest()
        {
            tally.accept();
            open.begin(fewest, TcpStream::accepted());
            // A signal of another kind, so that the parent also looks when nothing has ended.
            child_has_ended.write(1).unwrap();
        }
        open.pass();
        if tally.counts()[0] < CLIENTS || tally.open() > 0 {
            poll(&[child_has_ended.as_fd(), open.as_fd()]);
            child_has_ended.read().unwrap();
            open.retire(&mut tally).unwrap();
        }
    }
    let [accepted, completed, failed, timed_out] = tally.counts();
    assert_eq!((accepted, timed_out), (CLIENTS, 0));
    assert!(completed >= 1 && failed == CLIENTS - completed);
    assert_eq!(open.loops[0].open, 0);
    over.write(1).unwrap();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}
