//! Two conversations end in threads of their own: the main thread, which sleeps on its descriptor
//! only, counts both, and neither before its socket is closed.

use loom::thread;

use super::Conversations;
use crate::kernel::{AsFd, ServerOptions, Tally, TcpStream, open_sockets, poll};

pub(super) fn check() {
    let (mut open, mut tally) = (Conversations::new(&ServerOptions::default()).unwrap(), Tally::default());
    let threads = [0; 2].map(|_| {
        tally.accept();
        let conversation = open.begin(TcpStream::accepted());
        thread::spawn(move || conversation.serve())
    });
    while tally.open() > 0 {
        poll(&[open.as_fd()]);
        open.retire(&mut tally);
        assert!(open_sockets() <= tally.open(), "counted before it was closed");
    }
    threads.map(|thread| thread.join().unwrap());
}
