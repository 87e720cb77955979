//! A client that can be as patient, greedy, silent or rude as a promise needs.

use std::borrow::Borrow;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use crate::{DEADLINE, eventually, processes, uninterrupted};

/// Small socket buffers in bytes, for clients that do not take their answers.
const SMALL_BUFFER_BYTES: usize = 16 * 1024;
/// The other one: smaller, and each piece would wait for the acknowledgement of the last.
const SEND_BUFFER_BYTES: usize = 128 * 1024;

/// A server that has taken no byte for this long is held to have stopped reading.
const HELD_BACK: Duration = Duration::from_millis(250);

/// What the server makes of `bytes`, written here independently of its code.
pub fn shouted(bytes: &[u8]) -> Vec<u8> {
    const DISTANCE: u8 = b'a' - b'A';
    let shout = |&byte: &u8| if byte.is_ascii_lowercase() { byte - DISTANCE } else { byte };
    bytes.iter().map(shout).collect()
}

/// The place of the first byte that is not as wanted, or where one of the two ends before the other.
pub fn first_difference(got: &[u8], wanted: &[u8]) -> Option<usize> {
    // Whole slices first: that is one call, also where nothing is optimised.
    if got == wanted {
        return None;
    }
    let wrong = got.iter().zip(wanted).position(|(got, wanted)| got != wanted);
    wrong.or(Some(got.len().min(wanted.len())))
}

/// One connection to a server. Every call has a deadline and panics when it is missed.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
}

impl Client {
    /// Connects.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect_timeout(&address, DEADLINE).expect("the server can be connected to"))
    }

    /// Connects with small socket buffers, so that little is on its way when it does not read.
    #[track_caller]
    pub fn connect_small(address: SocketAddr) -> Self {
        let socket =
            Socket::new(Domain::for_address(address), Type::STREAM, None).expect("there is a socket");
        socket.set_recv_buffer_size(SMALL_BUFFER_BYTES).expect("it can be small");
        socket.set_send_buffer_size(SEND_BUFFER_BYTES).expect("it can be small");
        socket.connect_timeout(&address.into(), DEADLINE).expect("the server can be connected to");
        Self::over(socket.into())
    }

    /// A client over a connection that exists.
    pub fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).expect("a deadline can be set");
        stream.set_write_timeout(Some(DEADLINE)).expect("a deadline can be set");
        stream.set_nodelay(true).expect("no-delay can be set");
        Self { stream }
    }

    /// Its socket.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Its own address, as the server sees it.
    pub fn address(&self) -> SocketAddr {
        self.stream.local_addr().expect("a connected socket has an address")
    }

    /// Sends all of `bytes`.
    #[track_caller]
    pub fn send(&self, bytes: &[u8]) {
        (&self.stream).write_all(bytes).expect("the server takes the bytes");
    }

    /// Receives exactly `count` bytes.
    #[track_caller]
    pub fn receive(&self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        (&self.stream).read_exact(&mut bytes).expect("the server answers");
        bytes
    }

    /// Receives the answer to `request` and compares it.
    #[track_caller]
    pub fn expect_answer(&self, request: &[u8]) {
        let answer = self.receive(request.len());
        // Not assert_eq: nobody wants to read megabytes.
        let expected = shouted(request);
        let wrong = first_difference(&answer, &expected);
        assert_eq!(wrong, None, "of {} bytes the one at this position is wrong", request.len());
    }

    /// Sends a request and checks its answer.
    #[track_caller]
    pub fn ask(&self, request: &[u8]) {
        self.send(request);
        self.expect_answer(request);
    }

    /// Ends its input: the server sees the end, and can still answer.
    #[track_caller]
    pub fn end_input(&self) {
        self.stream.shutdown(Shutdown::Write).expect("the connection is open");
    }

    /// Everything up to the server's clean end.
    #[track_caller]
    pub fn receive_to_end(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        (&self.stream).read_to_end(&mut bytes).expect("the server ends the connection cleanly");
        bytes
    }

    /// Everything up to the end, and how that came: cleanly, or by an error such as a reset.
    #[track_caller]
    pub fn receive_to_any_end(&self) -> (Vec<u8>, io::Result<()>) {
        let mut bytes = Vec::new();
        let end = (&self.stream).read_to_end(&mut bytes).map(drop);
        if let Err(error) = &end {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "the connection did not end by the deadline");
        }
        (bytes, end)
    }

    /// Waits for the server's clean end, without a byte before it.
    #[track_caller]
    pub fn expect_end(&self) {
        let more = self.receive_to_end();
        assert!(more.is_empty(), "{} bytes that nobody asked for", more.len());
    }

    /// Ends its input and waits for the server's clean end.
    #[track_caller]
    pub fn finish(self) {
        self.end_input();
        self.expect_end();
    }

    /// Breaks the connection with a reset, as a crashed client's system does.
    #[track_caller]
    pub fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("linger can be set");
    }

    /// Whether the server says nothing for `time`.
    #[track_caller]
    pub fn hears_nothing_for(&self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).expect("a deadline can be set");
        let heard = uninterrupted(|| self.stream.peek(&mut [0]));
        self.stream.set_read_timeout(Some(DEADLINE)).expect("a deadline can be set");
        heard.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Sends `pattern` over and over without ever reading, until the server takes no more; returns
    /// how many bytes it took.
    ///
    /// # Panics
    /// If the server takes more than `most` bytes.
    #[track_caller]
    pub fn send_until_held_back(&self, pattern: &[u8], most: usize) -> usize {
        let mut taken = 0;
        self.stream.set_write_timeout(Some(HELD_BACK)).expect("a deadline can be set");
        loop {
            match uninterrupted(|| (&self.stream).write(&pattern[taken % pattern.len()..])) {
                Ok(count) => taken += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("the server ends a connection that it should hold back: {error}"),
            }
            assert!(
                taken <= most,
                "the server takes more than {most} bytes from a client that does not read"
            );
        }
        self.stream.set_write_timeout(Some(DEADLINE)).expect("a deadline can be set");
        taken
    }

    /// Bytes that were sent and have not arrived at the server's system.
    pub fn bytes_under_way(&self) -> usize {
        processes::unacknowledged_bytes(&[self])
    }

    /// Waits until all that was sent has arrived at the server's system.
    #[track_caller]
    pub fn wait_arrived(&self) {
        Self::wait_all_arrived(&[self]);
    }

    /// Waits until all that they have sent has arrived at the server's system.
    #[track_caller]
    pub fn wait_all_arrived(clients: &[impl Borrow<Self>]) {
        eventually("what was sent has arrived", || processes::unacknowledged_bytes(clients) == 0);
    }

    /// Its own address and the server's.
    pub fn ends(&self) -> (SocketAddr, SocketAddr) {
        (self.address(), self.stream.peer_addr().expect("a connected socket has a peer"))
    }

    /// How long the server takes to end the connection cleanly from now on.
    #[track_caller]
    pub fn time_to_end(&self) -> Duration {
        let begun = Instant::now();
        self.expect_end();
        begun.elapsed()
    }
}
