//! What the tests of the real `client` share: a server that does what a test wants, and a client
//! process that cannot hang a test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

mod nobody;

pub(crate) use nobody::nobody;

/// No wait of a test is longer, also on a loaded machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A server for a number of connections.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    ended: Receiver<()>,
}

impl Server {
    /// Accepts `connections` and lets each be served, with its index, in a thread of its own.
    pub(crate) fn start(
        connections: usize,
        serve: impl Fn(usize, TcpStream) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = mpsc::channel();
        thread::spawn(move || {
            // A panic in any of the threads leaves the scope as a panic, and `end` unsent.
            thread::scope(|scope| {
                for index in 0..connections {
                    let (stream, _) = listener.accept().unwrap();
                    stream.set_nodelay(true).unwrap();
                    stream.set_read_timeout(Some(DEADLINE)).unwrap();
                    stream.set_write_timeout(Some(DEADLINE)).unwrap();
                    let serve = &serve;
                    scope.spawn(move || serve(index, stream));
                }
            });
            end.send(()).unwrap();
        });
        Self { address, ended }
    }

    /// One that does what a server should.
    pub(crate) fn shouting(connections: usize) -> Self {
        Self::start(connections, |_, stream| shout(stream))
    }

    /// Waits until all connections are served; fails if serving one failed.
    pub(crate) fn finish(self) {
        self.ended.recv_timeout(DEADLINE).expect("the server in this test failed or was not left in time");
    }
}

/// Serves one connection to its end as it should be.
pub(crate) fn shout(mut stream: TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        // A client that stopped reading resets the connection; that is its right.
        let Ok(count @ 1..) = stream.read(&mut buffer) else { return };
        buffer[..count].make_ascii_uppercase();
        if stream.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

/// Reads exactly `count` bytes.
pub(crate) fn read_exactly(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// Reads until the client ends its side.
pub(crate) fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// The client as a process, killed if the test ends before it.
pub(crate) struct Client {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    stderr: Receiver<String>,
}

/// How a client ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Client {
    pub(crate) fn start<const N: usize>(arguments: [&str; N]) -> Self {
        Self::spawn(command().args(arguments))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().map(BufReader::new);
        let mut errors = child.stderr.take().unwrap();
        let stderr = on_thread(move || {
            let mut text = String::new();
            errors.read_to_string(&mut text).unwrap();
            text
        });
        Self { child, stdout, stderr }
    }

    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    /// Its stdout, to be read or closed by the test.
    pub(crate) fn stdout(&mut self) -> BufReader<ChildStdout> {
        self.stdout.take().unwrap()
    }

    /// Waits for the next line on stdout, which is returned without its end.
    pub(crate) fn line(&mut self) -> String {
        let mut stdout = self.stdout();
        let (stdout, line) = within_deadline(on_thread(move || {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            (stdout, line)
        }));
        self.stdout = Some(stdout);
        line.trim_end_matches('\n').to_owned()
    }

    /// Sends it a signal, such as `INT`; when this returns, the signal is on its way.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Whether it goes on for at least `time`.
    pub(crate) fn goes_on_for(&self, time: Duration) -> bool {
        self.stderr.recv_timeout(time).is_err()
    }

    /// The most memory it ever had, in KiB (VmHWM, proc_pid_status(5)).
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Waits for its end. What it still prints is read meanwhile.
    pub(crate) fn finish(mut self) -> Ended {
        let stdout = self.stdout.take();
        let rest = on_thread(move || {
            let mut bytes = Vec::new();
            if let Some(mut stdout) = stdout {
                stdout.read_to_end(&mut bytes).unwrap();
            }
            bytes
        });
        // Stderr ends when the process does, since it starts no other.
        let stderr = self.stderr.recv_timeout(DEADLINE).expect("the client did not end in time");
        let stdout = within_deadline(rest);
        Ended { code: self.child.wait().unwrap().code(), stdout, stderr }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Does nothing where it has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The client, with all three standard streams in the test's hands.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
    command.env_remove("SHOUT_CONNECT").stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// Does `work` on a thread whose result can be waited for with a deadline.
pub(crate) fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (send, result) = mpsc::channel();
    thread::spawn(move || {
        // Nobody waits any more where the test has failed already.
        let _ = send.send(work());
    });
    result
}

/// The result of [`on_thread`]; fails if there is none in time.
pub(crate) fn within_deadline<T>(result: Receiver<T>) -> T {
    result.recv_timeout(DEADLINE).expect("a wait of this test failed or took too long")
}

/// Fails if `began` is longer ago than `most`.
pub(crate) fn assert_within(began: Instant, most: Duration) {
    assert!(began.elapsed() < most, "took {:?}, not {most:?}", began.elapsed());
}

/// A server for any number of clients; its threads end with the test.
pub(crate) fn server() -> SocketAddr {
    endless(shout)
}

/// A server that takes everything and says nothing.
pub(crate) fn mute_server() -> SocketAddr {
    endless(|mut stream| {
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    })
}

fn endless(serve: fn(TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || serve(stream.unwrap()));
        }
    });
    address
}

/// An address where somebody listens and accepts nobody, with a queue that is full as long as what
/// comes with it lives.
pub(crate) fn deaf_server() -> (SocketAddr, (TcpListener, Vec<TcpStream>)) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // A second call makes the queue as short as it can be (listen(2)).
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let soon = Duration::from_millis(100);
    let queued = (0..3).filter_map(|_| TcpStream::connect_timeout(&address, soon).ok()).collect();
    (address, (listener, queued))
}
