//! One connection of `client talk`: say it, wait for the whole answer, compare it, print it, pause.
//!
//! It sleeps in the socket while it waits for a reply, and in poll(2) on the socket and the stop
//! while it pauses, so that both a stop and a server that closes meanwhile are heard at once.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serving::Bell;

use super::printable::{excerpt, printable};
use super::{STOP_PATIENCE, Talk, complain};
use crate::connect::connect;

/// A longer message is sent in pieces of this many bytes, each answered before the next: a client
/// that writes much while the server waits for it to read would make both wait for ever.
const PIECE_BYTES: usize = 16 * 1024;

/// Why a conversation ended before its time.
#[derive(Debug)]
pub(super) enum Failure {
    /// It never began; the error is complete in itself.
    Connect(anyhow::Error),
    /// The server ended or broke it.
    Broken(String),
    /// What came could not be printed.
    Output(io::Error),
}

/// Holds connection `number` to its end: the last round, or the stop.
///
/// # Errors
/// What ended it before. A wrong reply does not; it is shown and counted.
pub(super) fn converse(talk: &Talk, number: usize) -> Result<(), Failure> {
    let stream = connect(talk.options.address).map_err(Failure::Connect)?;
    let timeout = Some(talk.options.timeout).filter(|timeout| !timeout.is_zero());
    let limited = stream.set_read_timeout(timeout).and_then(|()| stream.set_write_timeout(timeout));
    limited.map_err(|error| Failure::Broken(format!("cannot set the timeout: {error}")))?;

    let mut reply = vec![0; talk.message.len()];
    // Without a count, more rounds than can ever pass.
    let mut rounds_left = talk.options.count.unwrap_or(usize::MAX);
    let mut pause = Duration::ZERO;
    while rounds_left > 0 {
        match sleep(&stream, &talk.stop, pause) {
            Pause::Stopped => break,
            Pause::Readable => return Err(unasked(&stream)),
            Pause::Over => {}
        }
        talk.tally.sent.fetch_add(1, Ordering::SeqCst);
        exchange(talk, &stream, &mut reply)?;
        talk.tally.answered.fetch_add(1, Ordering::SeqCst);
        show(talk, number, &reply)?;
        rounds_left -= 1;
        pause = talk.options.interval;
    }
    part(&stream)
}

/// How a pause ended.
#[derive(Debug, PartialEq, Eq)]
enum Pause {
    Over,
    /// It is time to stop, whatever else there is.
    Stopped,
    /// Between two rounds nothing is owed: this is the end of the connection, or bytes that nobody
    /// asked for.
    Readable,
}

fn sleep(stream: &TcpStream, stop: &Bell, pause: Duration) -> Pause {
    let end = Instant::now() + pause;
    loop {
        match serving::try_wait([Some(stop.as_fd()), Some(stream.as_fd())], Some(end)) {
            Ok([true, _]) => return Pause::Stopped,
            Ok([_, true]) => return Pause::Readable,
            // A signal for the whole process can end the sleep early. Without memory to watch with,
            // there is nothing to hear.
            Ok(_) | Err(_) if Instant::now() >= end => return Pause::Over,
            Ok(_) => {}
            Err(_) => std::thread::sleep(end.saturating_duration_since(Instant::now())),
        }
    }
}

/// Sends the message and reads exactly as many bytes, however they arrive.
fn exchange(talk: &Talk, mut stream: &TcpStream, reply: &mut [u8]) -> Result<(), Failure> {
    let mut answered = 0;
    for (piece, answer) in talk.message.chunks(PIECE_BYTES).zip(reply.chunks_mut(PIECE_BYTES)) {
        stream.write_all(piece).map_err(|error| broken(talk, answered, Some(&error)))?;
        let mut filled = 0;
        while filled < answer.len() {
            match stream.read(&mut answer[filled..]) {
                Ok(0) => return Err(broken(talk, answered, None)),
                Ok(count) => {
                    filled += count;
                    answered += count;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(talk, answered, Some(&error))),
            }
        }
    }
    Ok(())
}

/// Prints a right reply on stdout and a wrong one, which is also counted, on stderr.
fn show(talk: &Talk, number: usize, reply: &[u8]) -> Result<(), Failure> {
    if let Some(at) = (0..reply.len()).find(|&at| reply[at] != talk.expected[at]) {
        talk.tally.wrong.fetch_add(1, Ordering::SeqCst);
        let (expected, got) = (excerpt(&talk.expected, at), excerpt(reply, at));
        complain(&format!("error: {}: wrong reply: expected {expected}, got {got}", talk.name(number)));
        return Ok(());
    }
    let line = format!("{}{}\n", talk.mark(number), printable(reply));
    io::stdout().lock().write_all(line.as_bytes()).map_err(Failure::Output)
}

/// Ends the conversation from this side and waits a moment for the server to do the same, in case
/// it sends more than it should. A server that does not close is not blamed for it: all that was
/// asked for has been answered.
fn part(stream: &TcpStream) -> Result<(), Failure> {
    // Fails only where the connection is broken already, and then there is nothing to end.
    let _ = stream.shutdown(Shutdown::Write);
    let end = Instant::now() + STOP_PATIENCE;
    match serving::try_wait([Some(stream.as_fd())], Some(end)) {
        Ok([true]) => match surplus(stream) {
            0 => Ok(()),
            _ => Err(unasked(stream)),
        },
        Ok([false]) | Err(_) => Ok(()),
    }
}

/// How many bytes there are to read that nobody asked for, as far as one look can tell; they stay
/// where they are.
fn surplus(stream: &TcpStream) -> usize {
    let mut buffer = [0; 1024];
    stream.peek(&mut buffer).unwrap_or(0)
}

/// Why a stream that owes nothing can be read.
fn unasked(stream: &TcpStream) -> Failure {
    Failure::Broken(match surplus(stream) {
        0 => "the server closed the connection".to_owned(),
        count => format!("the server sent {count} bytes or more that nobody asked for"),
    })
}

/// Why a reply did not come whole.
fn broken(talk: &Talk, answered: usize, error: Option<&io::Error>) -> Failure {
    let whole = talk.message.len();
    let so_far = format!("{answered} of {whole} bytes of the reply");
    Failure::Broken(match error {
        None => format!("the server closed the connection after {so_far}"),
        Some(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            let timeout = humantime::format_duration(talk.options.timeout);
            format!(
                "no reply for {timeout}, after {so_far}; \
                 the server may be busy with other clients: wait longer with --timeout"
            )
        }
        Some(error) => format!("the connection broke after {so_far}: {error}"),
    })
}
