//! Two conversations for a pool of two threads: the main thread, which sleeps on its descriptor only,
//! counts both, and neither before its socket is closed.

use std::sync::Arc;

use loom::thread;

use super::{Conversations, Queue};
use crate::kernel::{AsFd, ServerOptions, Tally, TcpStream, open_sockets, poll};

pub(super) fn check() {
    let (mut open, mut tally) = (Conversations::new(&ServerOptions::default()).unwrap(), Tally::default());
    let queue = Arc::new(Queue::new());
    let threads = [0; 2].map(|_| {
        let queue = Arc::clone(&queue);
        thread::spawn(move || queue.serve())
    });
    for _ in 0..2 {
        tally.accept();
        queue.push(open.begin(TcpStream::accepted()));
    }
    while tally.open() > 0 {
        poll(&[open.as_fd()]);
        open.retire(&mut tally);
        assert!(open_sockets() <= tally.open(), "counted before it was closed");
    }
    queue.jobs.end();
    threads.map(|thread| thread.join().unwrap());
}
