//! A client with known answers, which says what became of its conversation instead of failing.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use tests::{Random, first_difference, shouted};

/// The most bytes that are sent before their answer is read: they fit into the kernel's buffers.
pub const PIECE_BYTES: usize = 16 * 1024;

/// What became of a conversation, or of one question in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Every byte came back, and each was right.
    Served,
    /// The connection ended or broke, after a right prefix.
    Lost(String),
    /// Nothing came for as long as the client had patience; what had come was right.
    Stuck,
    /// A byte that came was wrong, or one too many.
    Wrong(String),
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Served => write!(f, "served"),
            Self::Lost(why) => write!(f, "lost: {why}"),
            Self::Stuck => write!(f, "no answer"),
            Self::Wrong(what) => write!(f, "wrong bytes: {what}"),
        }
    }
}

/// A connection, and what it still has to receive.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    random: Random,
    expected: Vec<u8>,
    patience: Duration,
    /// Bytes that were received and were right.
    pub checked: u64,
    /// When it last sent, or connected, and the longest time between two of these.
    last_sent: Instant,
    longest_pause: Duration,
}

impl Client {
    /// Connects. Its questions depend on `seed` alone.
    ///
    /// # Errors
    /// What became of the attempt: [`Said::Lost`] or [`Said::Stuck`].
    pub fn connect(address: SocketAddr, seed: u64, patience: Duration) -> Result<Self, Said> {
        // It is silent from the kernel's handshake on, which this thread may hear of late.
        let last_sent = Instant::now();
        let stream = TcpStream::connect_timeout(&address, patience).map_err(|error| said(&error))?;
        Ok(Self { last_sent, ..Self::over(stream, seed, patience)? })
    }

    /// A client over a connection that exists.
    ///
    /// # Errors
    /// If the socket takes no options.
    pub fn over(stream: TcpStream, seed: u64, patience: Duration) -> Result<Self, Said> {
        stream.set_nodelay(true).map_err(|error| said(&error))?;
        stream.set_write_timeout(Some(patience)).map_err(|error| said(&error))?;
        let random = Random::new(seed);
        let (last_sent, longest_pause) = (Instant::now(), Duration::ZERO);
        Ok(Self { stream, random, expected: Vec::new(), patience, checked: 0, last_sent, longest_pause })
    }

    /// Its socket.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The longest time in which it has sent nothing, between its connection and its last bytes.
    pub fn longest_pause(&self) -> Duration {
        self.longest_pause
    }

    fn note_pause(&mut self) {
        self.longest_pause = self.longest_pause.max(self.last_sent.elapsed());
        self.last_sent = Instant::now();
    }

    /// From now on it waits for so long.
    pub fn have_patience(&mut self, patience: Duration) {
        self.patience = patience;
        let _ = self.stream.set_write_timeout(Some(patience));
    }

    /// Sends `count` bytes, whose answer is expected from now on.
    pub fn send(&mut self, count: usize) -> Said {
        let bytes = self.random.bytes(count);
        self.expected.extend(shouted(&bytes));
        let sent = self.stream.write_all(&bytes);
        self.note_pause();
        sent.map_or_else(|error| said(&error), |()| Said::Served)
    }

    /// Receives all that is expected, and checks it.
    pub fn receive(&mut self) -> Said {
        let deadline = Instant::now() + self.patience;
        let mut buffer = [0; PIECE_BYTES];
        while !self.expected.is_empty() {
            match self.read(&mut buffer, deadline) {
                Ok(0) => return Said::Lost("the server ended the connection".to_owned()),
                Ok(count) => {
                    if let Err(wrong) = self.check(&buffer[..count]) {
                        return wrong;
                    }
                }
                Err(said) => return said,
            }
        }
        Said::Served
    }

    /// Sends `count` bytes in pieces, and checks the answer to each.
    pub fn ask(&mut self, count: usize) -> Said {
        let mut left = count;
        while left > 0 {
            let piece = left.min(PIECE_BYTES);
            left -= piece;
            let sent = self.send(piece);
            // An answer may have come all the same.
            let received = self.receive();
            if received != Said::Served {
                return if matches!(received, Said::Wrong(_)) || sent == Said::Served {
                    received
                } else {
                    sent
                };
            }
        }
        Said::Served
    }

    /// Sends `count` bytes as fast as they are taken, receives their answers meanwhile, ends its
    /// input, and waits for the server's end.
    pub fn pour(&mut self, count: usize) -> Said {
        let bytes = self.random.bytes(count);
        self.expected.extend(shouted(&bytes));
        let last_sent = self.last_sent;
        let Ok(writer) = self.stream.try_clone() else { return Said::Lost("no descriptor".to_owned()) };
        thread::scope(|scope| {
            let sending = scope.spawn(move || {
                let pause = last_sent.elapsed();
                // What becomes of it is seen in the answers.
                let _ = (&writer).write_all(&bytes).and_then(|()| writer.shutdown(Shutdown::Write));
                pause
            });
            let received = self.receive_to_end();
            if received != Said::Served {
                // Whoever writes still is not waited for.
                let _ = self.stream.shutdown(Shutdown::Both);
            }
            // The thread may have begun late.
            self.longest_pause = self.longest_pause.max(sending.join().unwrap_or_default());
            received
        })
    }

    /// Sends without receiving until the server takes no more, or `most` bytes are sent.
    pub fn send_until_held_back(&mut self, most: usize) -> Said {
        const HELD_BACK: Duration = Duration::from_millis(300);
        let _ = self.stream.set_write_timeout(Some(HELD_BACK));
        let bytes = self.random.bytes(PIECE_BYTES);
        let answer = shouted(&bytes);
        let mut sent = 0;
        while sent < most {
            match (&self.stream).write(&bytes) {
                Ok(count) => {
                    self.expected.extend_from_slice(&answer[..count]);
                    sent += count;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return said(&error),
            }
        }
        let _ = self.stream.set_write_timeout(Some(self.patience));
        Said::Served
    }

    /// Receives at most `count` bytes of what is expected.
    pub fn receive_some(&mut self, count: usize) -> Said {
        let mut buffer = vec![0; count.min(self.expected.len())];
        if buffer.is_empty() {
            return Said::Served;
        }
        match self.read(&mut buffer, Instant::now() + self.patience) {
            Ok(0) => Said::Lost("the server ended the connection".to_owned()),
            Ok(count) => self.check(&buffer[..count]).err().unwrap_or(Said::Served),
            Err(said) => said,
        }
    }

    /// Ends its input, and waits for all that is expected and then the server's end.
    pub fn finish(&mut self) -> Said {
        self.note_pause();
        if let Err(error) = self.stream.shutdown(Shutdown::Write) {
            return said(&error);
        }
        self.receive_to_end()
    }

    /// Waits for all that is expected, and then the server's end.
    pub fn receive_to_end(&mut self) -> Said {
        let received = self.receive();
        if received != Said::Served {
            return received;
        }
        let deadline = Instant::now() + self.patience;
        match self.read(&mut [0; 1], deadline) {
            Ok(0) => Said::Served,
            Ok(_) => Said::Wrong("a byte that nobody asked for".to_owned()),
            Err(said) => said,
        }
    }

    /// Compares what was received with what is expected next.
    fn check(&mut self, received: &[u8]) -> Result<(), Said> {
        let known = received.len().min(self.expected.len());
        if let Some(at) = first_difference(received, &self.expected[..known]) {
            let at = self.checked + at as u64;
            return Err(Said::Wrong(format!("the byte at {at} is not the answer")));
        }
        self.expected.drain(..known);
        self.checked += known as u64;
        Ok(())
    }

    fn read(&self, buffer: &mut [u8], deadline: Instant) -> Result<usize, Said> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.stream.set_read_timeout(Some(left)).map_err(|error| said(&error))?;
            match (&self.stream).read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read.map_err(|error| said(&error)),
            }
        }
    }
}

/// What an error of the client's own socket says about its conversation.
fn said(error: &std::io::Error) -> Said {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Said::Stuck,
        _ => Said::Lost(error.to_string()),
    }
}
