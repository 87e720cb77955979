//! The open conversations: each in a thread of its own, reached by the main thread through its
//! socket.

use std::fs;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Weak};

use anyhow::Result;
use common::Buffer;
use serving::stop::Input;
use serving::{Bell, Drain, Outcome, ServerOptions, Talk, Tally, Transform, UsageError};
use slab::Slab;

/// Memory maps of a thread: its stack, the small one for signals, and a guard page below each.
const MAPS_PER_THREAD: usize = 4;

/// Memory maps for everything else, with much to spare.
const RESERVED_MAPS: usize = 1024;

/// A list of conversations, and how threads tell that theirs has ended.
#[derive(Debug)]
pub(crate) struct Conversations {
    open: Slab<Weak<TcpStream>>,
    ended: Receiver<(usize, Outcome)>,
    reports: Sender<(usize, Outcome)>,
    bell: Arc<Bell>,
    transform: Transform,
}

impl Conversations {
    /// An empty list.
    ///
    /// # Errors
    /// If there is no descriptor for the bell.
    pub(crate) fn new(options: &ServerOptions) -> io::Result<Self> {
        let (reports, ended) = mpsc::channel();
        let (bell, transform) = (Arc::new(Bell::new()?), Transform::new(options));
        Ok(Self { open: Slab::new(), ended, reports, bell, transform })
    }

    /// Adds a conversation, for a thread to serve.
    pub(crate) fn begin(&mut self, stream: TcpStream) -> Conversation {
        let stream = Arc::new(stream);
        let key = self.open.insert(Arc::downgrade(&stream));
        Conversation {
            key,
            stream: Some(stream),
            outcome: Outcome::Failed,
            reports: self.reports.clone(),
            bell: Arc::clone(&self.bell),
            transform: self.transform,
        }
    }

    /// Counts the conversations that have ended, and frees their places.
    pub(crate) fn retire(&mut self, tally: &mut Tally) {
        self.bell.silence();
        for (key, outcome) in self.ended.try_iter() {
            self.open.remove(key);
            tally.close(outcome);
        }
    }

    /// Ends the input of those whose clients have paused: each blocked read returns what is left,
    /// and then the end.
    pub(crate) fn end_input(&mut self, drain: Drain) {
        for stream in self.open.iter().filter_map(|(_, stream)| stream.upgrade()) {
            if drain.input(&stream) != Input::Open {
                // It fails only where the peer has already gone.
                let _ = stream.shutdown(Shutdown::Read);
            }
        }
    }
}

impl AsFd for Conversations {
    /// Readable when a conversation has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// A conversation in its thread. Dropping it closes the socket, then reports the end, also where
/// the thread panics or never starts: that ends this client only.
#[derive(Debug)]
pub(crate) struct Conversation {
    key: usize,
    /// The only strong one, so that the socket closes when the thread is done with it, and not
    /// later.
    stream: Option<Arc<TcpStream>>,
    outcome: Outcome,
    reports: Sender<(usize, Outcome)>,
    bell: Arc<Bell>,
    transform: Transform,
}

impl Conversation {
    /// The thread's life.
    pub(crate) fn serve(mut self) {
        let (mut talk, mut buffer) = (Talk::new(), Buffer::new());
        if let Some(stream) = self.stream.as_deref() {
            self.outcome = loop {
                if let Some(outcome) = talk.go_on(stream, &mut buffer, self.transform) {
                    break outcome;
                }
            };
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // Closed before it is counted: who reads the tally may rely on it.
        self.stream = None;
        // Published, then rung: who wakes must be able to see it, or a freed place stays unseen.
        // Nobody listens any more when the server has been stopped at once.
        let _ = self.reports.send((self.key, self.outcome));
        self.bell.ring();
    }
}

/// The limit on open conversations: what the options say, and how many threads the kernel's limit
/// on a process's memory maps allows. Beyond that a thread does start, but cannot get its stack for
/// signals, and the whole process is aborted.
///
/// # Errors
/// A [`UsageError`] that names the remedy if the options ask for more than can be had.
pub(crate) fn limit(options: &ServerOptions) -> Result<usize> {
    let limit = serving::connection_limit(options, 1)?;
    bounded_by_maps(limit, options.max_connections)
}

fn bounded_by_maps(limit: usize, asked: Option<usize>) -> Result<usize> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_threads_than_there_are_maps_for_are_refused_with_the_remedy() {
        assert!(bounded_by_maps(10, None).is_ok_and(|limit| limit == 10));
        let maps = fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
        let threads = bounded_by_maps(usize::MAX, None).unwrap();
        assert!(threads * MAPS_PER_THREAD < maps.trim().parse().unwrap());
        let refused = bounded_by_maps(usize::MAX, Some(usize::MAX)).unwrap_err();
        assert!(refused.is::<UsageError>() && refused.to_string().contains("vm.max_map_count"), "{refused}");
    }
}
