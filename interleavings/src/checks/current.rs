//! A signal wakes a process with one thread from the read that it sleeps in, or is about to: between
//! any two of its steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use loom::thread;

use super::{Current, wake};
use crate::kernel::{TcpStream, interrupt};

pub(super) fn check() {
    let has_arrived = Arc::new(AtomicBool::new(false));
    let arrives = Arc::clone(&has_arrived);
    let signal = thread::spawn(move || {
        interrupt(|| {
            arrives.store(true, Ordering::Relaxed);
            wake();
        });
    });
    let stream = TcpStream::accepted();
    // As a server with one conversation does: it looks at its signals, then goes on.
    while !has_arrived.load(Ordering::Relaxed) {
        let current = Current::new(&stream);
        stream.read_in_vain();
        current.sleep_again();
    }
    signal.join().unwrap();
}
