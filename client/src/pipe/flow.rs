//! The two directions of a pipe, and the counts by which they know of each other.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use common::Buffer;
use serving::Bell;

use super::progress::Meter;

/// How finely the silence of a server is measured: this many looks per timeout, each of them at
/// least and at most this long.
const LOOKS: u32 = 8;
const SHORTEST_LOOK: Duration = Duration::from_millis(10);
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// What both directions share.
#[derive(Debug)]
pub(super) struct Flow {
    stream: TcpStream,
    /// How long replies may be due without any coming; `None`: for ever.
    timeout: Option<Duration>,
    /// Rung once, and never silenced: the input is to end here.
    stop: Bell,
    /// Bytes that were about to be sent. Counted before the write, so that no reply can be counted
    /// before its request.
    offered: AtomicU64,
    /// Bytes that the kernel has taken.
    sent: AtomicU64,
    received: AtomicU64,
    input_ended: AtomicBool,
}

impl Flow {
    pub(super) fn new(stream: TcpStream, timeout: Duration) -> anyhow::Result<Self> {
        let timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
        let look = timeout.map(|timeout| (timeout / LOOKS).clamp(SHORTEST_LOOK, LONGEST_LOOK));
        stream.set_read_timeout(look).context("cannot set the timeout")?;
        Ok(Self {
            stream,
            timeout,
            stop: Bell::new().context("cannot make a descriptor to stop by")?,
            offered: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            input_ended: AtomicBool::new(false),
        })
    }

    /// How many bytes were sent and came back. Final only when both directions have ended.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.sent.load(Ordering::SeqCst), self.received.load(Ordering::SeqCst))
    }

    /// Nothing more is read from stdin; what was sent is still answered.
    pub(super) fn end_input(&self) {
        self.stop.ring();
    }

    /// Ends both directions at once, also where one is blocked in the socket.
    pub(super) fn cut(&self) {
        self.stop.ring();
        // Fails only where the connection is gone already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Whether replies are due: bytes were offered that have not come back, or the end of input has
    /// not been answered with one.
    fn owes(&self) -> bool {
        self.unanswered() > 0 || self.input_ended.load(Ordering::SeqCst)
    }

    fn unanswered(&self) -> u64 {
        // Received first: what has come back was offered before.
        let received = self.received.load(Ordering::SeqCst);
        self.offered.load(Ordering::SeqCst).saturating_sub(received)
    }
}

/// How sending ended.
#[derive(Debug)]
pub(super) enum Sent {
    /// With the input.
    All,
    /// Earlier, because it was told to stop.
    Stopped,
    /// The input could not be read.
    NoInput(io::Error),
    /// The connection broke; the receiver knows better why.
    Broken,
}

/// Sends the input to its end, then says so to the server by closing this direction only.
pub(super) fn send(flow: &Flow, mut input: impl Read + AsFd) -> Sent {
    let mut buffer = Buffer::shared();
    let buffer = buffer.space();
    let ended = loop {
        // The input may be a terminal on which nobody types; the stop must be heard then, too.
        match serving::try_wait([Some(flow.stop.as_fd()), Some(input.as_fd())], None) {
            Ok([true, _]) => break Sent::Stopped,
            Ok([_, true]) => {}
            Ok(_) => continue,
            Err(error) => break Sent::NoInput(error),
        }
        match input.read(buffer) {
            Ok(0) => break Sent::All,
            Ok(count) if offer(flow, &buffer[..count]).is_err() => return Sent::Broken,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(error) => break Sent::NoInput(error),
        }
    };
    flow.input_ended.store(true, Ordering::SeqCst);
    let _ = flow.stream.shutdown(Shutdown::Write);
    ended
}

/// Writes all of `bytes`, and counts also what was taken before an error.
fn offer(flow: &Flow, mut bytes: &[u8]) -> io::Result<()> {
    flow.offered.fetch_add(bytes.len() as u64, Ordering::SeqCst);
    while !bytes.is_empty() {
        match (&flow.stream).write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => {
                flow.sent.fetch_add(count as u64, Ordering::SeqCst);
                bytes = &bytes[count..];
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// How receiving ended.
#[derive(Debug)]
pub(super) enum Received {
    /// The server closed the connection; or it keeps it open, although everything was answered and
    /// the input has ended.
    End,
    /// More came back than was sent. The surplus is not delivered.
    Surplus,
    /// Replies are due, and none came for the timeout.
    Silence,
    /// The connection broke.
    Broken(io::Error),
    /// The output could not be written.
    NoOutput(io::Error),
}

/// Delivers replies until the server ends them.
pub(super) fn receive(flow: &Flow, mut output: impl Write, progress: &Meter) -> Received {
    let mut buffer = Buffer::shared();
    let buffer = buffer.space();
    let mut silent_since = None;
    loop {
        let count = match (&flow.stream).read(buffer) {
            Ok(0) => return Received::End,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => match silence(flow, &mut silent_since) {
                None => continue,
                Some(end) => return end,
            },
            Err(error) => return Received::Broken(error),
        };
        silent_since = None;
        let due = usize::try_from(flow.unanswered()).unwrap_or(usize::MAX).min(count);
        flow.received.fetch_add(count as u64, Ordering::SeqCst);
        if let Err(error) = output.write_all(&buffer[..due]) {
            return Received::NoOutput(error);
        }
        if count > due {
            return Received::Surplus;
        }
        progress.advance(count as u64);
    }
}

/// Looks whether the server has been silent for too long; `None` if not. A pause of the input is no
/// silence of the server.
fn silence(flow: &Flow, since: &mut Option<Instant>) -> Option<Received> {
    if !flow.owes() {
        *since = None;
        return None;
    }
    let silent = since.get_or_insert_with(Instant::now).elapsed();
    if silent < flow.timeout? {
        return None;
    }
    Some(if flow.unanswered() > 0 { Received::Silence } else { Received::End })
}
