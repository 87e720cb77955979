//! The open conversations: each in a thread of the pool, reached by the main thread through its
//! socket.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use common::Buffer;
use serving::stop::Input;
use serving::{Bell, Drain, Outcome, ServerOptions, Talk, Tally, Transform};
use slab::Slab;

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

/// A conversation on its way to a thread, or in it. Dropping it closes the socket, then reports the
/// end, also where serving it panics: that ends this client only.
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
    fn serve(mut self, buffer: &mut Buffer) {
        let mut talk = Talk::new();
        if let Some(stream) = self.stream.as_deref() {
            self.outcome = loop {
                if let Some(outcome) = talk.go_on(stream, buffer, self.transform) {
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

/// Conversations that wait for a thread. There are never more than threads, so none waits for long.
#[derive(Debug)]
pub(crate) struct Queue {
    jobs: Sender<Conversation>,
    next: Mutex<Receiver<Conversation>>,
}

impl Queue {
    /// An empty queue.
    pub(crate) fn new() -> Self {
        let (jobs, next) = mpsc::channel();
        Self { jobs, next: Mutex::new(next) }
    }

    /// Leaves a conversation to the next thread that is free.
    pub(crate) fn push(&self, conversation: Conversation) {
        // It cannot fail while the other end is here too.
        let _ = self.jobs.send(conversation);
    }

    /// A thread's life: one conversation after the other.
    pub(crate) fn serve(&self) {
        let mut buffer = Buffer::new();
        loop {
            // The lock is free again at the end of this line: one thread waits for a job, the
            // others for the lock.
            let job = self.next.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(conversation) = job else { return };
            let _ = panic::catch_unwind(AssertUnwindSafe(|| conversation.serve(&mut buffer)));
        }
    }
}
