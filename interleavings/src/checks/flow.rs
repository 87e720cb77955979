//! Two bytes go to a server and come back, in two threads: no reply is taken to be more than was sent,
//! and all are counted.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loom::thread;

use super::{Flow, Received, Sent, receive, send};
use crate::kernel::{AsFd, BorrowedFd, Readable, call, poll};

/// A connection to a server that answers at once.
#[derive(Debug, Default)]
pub(super) struct TcpStream(Mutex<Answers>);

#[derive(Debug, Default)]
struct Answers {
    waiting: VecDeque<u8>,
    is_over: bool,
}

pub(super) enum Shutdown {
    Write,
    Both,
}

impl TcpStream {
    pub(super) fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        call(|| self.0.lock().unwrap().is_over = true);
        Ok(())
    }
}

impl Readable for TcpStream {
    fn is_readable(&self) -> bool {
        let answers = self.0.lock().unwrap();
        answers.is_over || !answers.waiting.is_empty()
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        BorrowedFd(self)
    }
}

impl Read for &TcpStream {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        poll(&[self.as_fd()]);
        call(|| self.0.lock().unwrap().waiting.read(space))
    }
}

impl Write for &TcpStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        call(|| self.0.lock().unwrap().waiting.extend(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Room for what is sent here.
pub(super) struct Buffer([u8; 16]);

impl Buffer {
    pub(super) fn shared() -> Self {
        Self([0; 16])
    }

    pub(super) fn space(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// Nobody looks.
pub(super) struct Meter;

impl Meter {
    pub(super) fn advance(&self, _: u64) {}
}

/// Two bytes, each read by itself.
struct Input(usize);

impl Read for Input {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let count = usize::from(self.0 > 0);
        self.0 -= count;
        space[..count].fill(b'a');
        Ok(count)
    }
}

impl Readable for Input {
    fn is_readable(&self) -> bool {
        true
    }
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        BorrowedFd(self)
    }
}

pub(super) fn check() {
    let flow = Arc::new(Flow::new(TcpStream::default(), Duration::ZERO).unwrap());
    let sender = {
        let flow = Arc::clone(&flow);
        thread::spawn(move || send(&flow, Input(2)))
    };
    let mut output = Vec::new();
    let received = receive(&flow, &mut output, &Meter);
    assert!(matches!(received, Received::End), "{received:?}");
    let sent = sender.join().unwrap();
    assert!(matches!(sent, Sent::All), "{sent:?}");
    assert_eq!((flow.counts(), output.len()), ((2, 2), 2));
}
