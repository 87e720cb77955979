//! The open conversation, if there is one.

use std::io;
use std::net::TcpStream;

use common::Buffer;
use serving::stop::{self, Current};
use serving::{Outcome, ServerOptions, Talk, Tally, Transform};

/// At most one conversation, and how it has ended.
#[derive(Debug)]
pub(crate) struct Conversations {
    open: Option<(TcpStream, Talk)>,
    ended: Option<Outcome>,
    buffer: Buffer,
    transform: Transform,
}

impl Conversations {
    /// None. From now on signals wake the thread from the conversation that it sleeps in.
    ///
    /// # Errors
    /// If a handler cannot be installed.
    pub(crate) fn new(options: &ServerOptions) -> io::Result<Self> {
        stop::wake_on_signals()?;
        Ok(Self { open: None, ended: None, buffer: Buffer::new(), transform: Transform::new(options) })
    }

    /// The conversation with this client is the open one.
    pub(crate) fn begin(&mut self, stream: TcpStream) {
        self.open = Some((stream, Talk::new()));
    }

    /// Goes on with the open conversation, if there is one, until it ends or a signal arrives.
    pub(crate) fn converse(&mut self) {
        let Some((stream, talk)) = &mut self.open else { return };
        let current = Current::new(stream);
        self.ended = talk.go_on(stream, &mut self.buffer, self.transform);
        if self.ended.is_none() {
            current.sleep_again();
        }
    }

    /// Closes the conversation if it has ended, then counts it.
    pub(crate) fn retire(&mut self, tally: &mut Tally) {
        if let Some(outcome) = self.ended.take() {
            self.open = None;
            tally.close(outcome);
        }
    }
}
