//! The open conversations: each in a process of its own, reached by its parent through signals.

use std::collections::HashSet;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::panic::{self, AssertUnwindSafe};

use common::Buffer;
use serving::process::{self, Name, Pid, Signal};
use serving::stop::Current;
use serving::{Drain, Outcome, ServerOptions, Talk, Tally, Transform};

/// A table of children, each of which serves one conversation. Dropping it kills those that are
/// left.
#[derive(Debug)]
pub(crate) struct Conversations {
    children: HashSet<Pid>,
    /// Whether they have been told to stop.
    told: bool,
}

impl Conversations {
    /// An empty table.
    pub(crate) fn new() -> Self {
        Self { children: HashSet::new(), told: false }
    }

    /// Adds the conversation that `child` serves.
    pub(crate) fn begin(&mut self, child: Pid) {
        self.children.insert(child);
    }

    /// Counts the conversations whose processes have ended.
    pub(crate) fn retire(&mut self, tally: &mut Tally) {
        while let Some((child, outcome)) = process::reap() {
            if self.children.remove(&child) {
                tally.close(outcome);
            }
        }
    }

    /// Has every child end its input when its client pauses; that each of them decides by itself.
    pub(crate) fn end_input(&mut self, _: Drain) {
        if !std::mem::replace(&mut self.told, true) {
            self.children.iter().for_each(|&child| process::signal(child, Signal::SIGTERM));
        }
    }
}

impl Drop for Conversations {
    fn drop(&mut self) {
        self.children.iter().for_each(|&child| process::signal(child, Signal::SIGKILL));
        self.children.drain().for_each(process::kill_and_reap);
    }
}

/// A child's life: one conversation, whose outcome is its exit code. Nothing of the parent's is
/// dropped or flushed.
pub(crate) fn serve(stream: &TcpStream, name: Name, options: &ServerOptions) -> ! {
    if process::obey_sigterm().is_err() {
        process::exit_with(Outcome::Failed);
    }
    process::close_all_but([stream.as_fd()]);
    name.show();
    let _current = Current::new(stream);
    let (mut talk, mut buffer, transform) = (Talk::new(), Buffer::new(), Transform::new(options));
    // A panic ends this client only, and runs nothing of the parent's.
    let served = panic::catch_unwind(AssertUnwindSafe(|| {
        loop {
            if let Some(outcome) = talk.go_on(stream, &mut buffer, transform) {
                return outcome;
            }
            // The only signal that a child hears says to stop.
            Drain::begin(options.drain_timeout);
        }
    }));
    process::exit_with(served.unwrap_or(Outcome::Failed))
}
