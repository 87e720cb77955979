//! A fixed pool of threads: each takes the next client from a queue.

use std::sync::{Arc, Mutex, mpsc};

/// How many clients are served at once; the next ones wait in the queue.
const THREADS: usize = 8;

fn main() -> anyhow::Result<()> {
    let listener = plain::listen()?;
    let (queue, clients) = mpsc::sync_channel(THREADS);
    let clients = Arc::new(Mutex::new(clients));
    for _ in 0..THREADS {
        let clients = Arc::clone(&clients);
        let next = move || clients.lock().ok()?.recv().ok();
        std::thread::Builder::new().spawn(|| std::iter::from_fn(next).for_each(plain::converse))?;
    }
    for stream in listener.incoming().flatten() {
        queue.send(stream)?;
    }
    Ok(())
}
