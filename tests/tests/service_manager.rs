//! Promises about service managers: a socket that is handed over (LISTEN_FDS), and what they are
//! told (NOTIFY_SOCKET).

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tempfile::TempDir;
use tests::{Client, DEADLINE, HAND_OVER, Launch, Model, Server, eventually, processes, promises};

promises!(
    a_socket_that_is_handed_over_is_served,
    a_socket_that_is_meant_for_another_process_is_left_alone,
    something_else_than_a_listening_socket_is_refused,
    the_manager_is_told_when_clients_can_connect_and_when_the_server_stops,
    the_manager_is_told_the_tally_once_a_second_and_only_when_it_has_changed,
    a_manager_that_is_not_there_harms_nobody,
    a_manager_that_does_not_listen_holds_nobody_up,
    a_second_socket_that_is_handed_over_is_refused,
);
promises!(only [fork prefork thread pool mio tokio tokio_workers uring hybrid]:
    whoever_has_the_listener_too_may_make_it_block_or_not,
    a_stop_is_heard_beside_a_server_that_makes_the_listener_block,
);
promises!(only [prefork]: a_listener_that_a_predecessor_has_used_blocks_again);

fn a_socket_that_is_handed_over_is_served(model: Model) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = listener.local_addr().expect("it has an address");
    // Clients that came before the server was started wait in the socket's queue.
    let early = Client::connect(address);
    early.send(b"early");
    // The option is not what is listened on, and is not even looked at.
    let server = Launch::of(model).listen(Some("192.0.2.1:0")).handed_over(listener).start();
    assert_eq!(server.address(), address);
    early.expect_answer(b"early");
    early.finish();
    let client = Client::connect(address);
    client.ask(b"hello");
    client.finish();
    assert_eq!(server.stop().completed, 2);
}

/// Two servers that share a listener share this state of it, and each model wants its own.
fn whoever_has_the_listener_too_may_make_it_block_or_not(model: Model) {
    let (server, client, rival) = beside_a_rival(model);
    rival.over.store(true, Ordering::Relaxed);
    rival.listener.set_nonblocking(true).expect("it is a socket");
    for _ in 0..3 {
        let other = Client::connect(server.address());
        other.ask(b"hello");
        other.finish();
    }
    client.ask(b"not held up");
    processes::assert_stands_still(server.pid());
    client.finish();
    server.stop();
}

/// No client comes any more who could wake a server from `accept`.
fn a_stop_is_heard_beside_a_server_that_makes_the_listener_block(model: Model) {
    let (server, client, _rival) = beside_a_rival(model);
    client.finish();
    // Who comes together with others is more likely to be seen by both and taken by the rival.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let other = Client::connect(server.address());
                    other.ask(b"to one of the two");
                    other.finish();
                }
            });
        }
    });
    server.stop();
}

/// How often a rival looks whether it is over.
const LOOK: Duration = Duration::from_millis(10);

/// Or workers would look at it ten times a second for ever, and all wake for each client. Until one
/// comes, that is what they do.
fn a_listener_that_a_predecessor_has_used_blocks_again(model: Model) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let predecessors = listener.try_clone().expect("there is a descriptor");
    let server = Launch::of(model).listen(None).handed_over(listener).start();
    predecessors.set_nonblocking(true).expect("it is a socket");
    processes::assert_stands_still(server.pid());
    for _ in 0..3 {
        let client = Client::connect(server.address());
        client.ask(b"hello");
        client.finish();
    }
    eventually("it blocks", || !SockRef::from(&predecessors).nonblocking().expect("it is a socket"));
    server.stop();
}

/// Another server that has the same listener.
struct Rival {
    listener: TcpListener,
    over: AtomicBool,
}

impl Rival {
    /// Serves one client after the other, and sleeps in `accept` where the listener blocks.
    fn serve(&self) {
        while !self.over.load(Ordering::Relaxed) {
            let Ok((mut stream, _)) = self.listener.accept() else {
                let _ = serving::wait([Some(self.listener.as_fd())], Some(Instant::now() + LOOK));
                continue;
            };
            let mut buffer = [0; 64];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                buffer.make_ascii_uppercase();
                if stream.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
        }
    }
}

/// A server that has lost clients to a rival who sleeps in `accept`, and a client whom it serves
/// all the while.
fn beside_a_rival(model: Model) -> (Server, Client, Arc<Rival>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let shared = listener.try_clone().expect("there is a descriptor");
    let options = ["--idle-timeout=0s"];
    let server = Launch::of(model).listen(None).handed_over(listener).options(&options).start();
    let client = Client::connect(server.address());
    client.ask(b"hello");
    let rival = Arc::new(Rival { listener: shared, over: AtomicBool::new(false) });
    // Not while the server is between making the listener not block and accepting: that has no
    // remedy but the next client.
    thread::sleep(LOOK);
    rival.listener.set_nonblocking(false).expect("it is a socket");
    let itself = Arc::clone(&rival);
    // It may sleep there beyond the end of this test: not every server leaves it a client.
    thread::spawn(move || itself.serve());
    for _ in 0..30 {
        let other = Client::connect(server.address());
        other.ask(b"to one of the two");
        other.finish();
        client.ask(b"not held up");
    }
    (server, client, rival)
}

fn a_socket_that_is_meant_for_another_process_is_left_alone(model: Model) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = listener.local_addr().expect("it has an address");
    let script = HAND_OVER.replace("LISTEN_PID=$$", "LISTEN_PID=1");
    let server = Launch::of(model).script(&script).stdin(OwnedFd::from(listener)).start();
    assert_ne!(server.address(), address);
    let client = Client::connect(server.address());
    client.ask(b"hello");
    client.finish();
    server.stop();
}

fn something_else_than_a_listening_socket_is_refused(model: Model) {
    let datagrams = OwnedFd::from(UdpSocket::bind("127.0.0.1:0").expect("there is a port"));
    let file = OwnedFd::from(std::fs::File::open("/dev/null").expect("it is always there"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = listener.local_addr().expect("it has an address");
    let connected = OwnedFd::from(std::net::TcpStream::connect(address).expect("it listens"));
    for other in [datagrams, file, connected] {
        let exit = Launch::of(model).handed_over(other).run();
        assert_eq!((exit.code, exit.output.len()), (Some(1), 0), "{exit:?}");
        let errors = exit.lines_with("error: ");
        assert!(errors.len() == 1 && errors[0].contains("LISTEN_FDS"), "{:?}", exit.log);
    }
}

/// Where a manager listens, and the directory that ends with it.
fn manager() -> (UnixDatagram, String, TempDir) {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket can be bound there");
    socket.set_read_timeout(Some(DEADLINE)).expect("a deadline can be set");
    (socket, path.to_str().expect("the path is text").to_owned(), directory)
}

/// The next datagram about the server's state, whatever is told of its tally meanwhile.
fn told_state(manager: &UnixDatagram) -> String {
    std::iter::repeat_with(|| told(manager)).find(|words| !words.starts_with("STATUS=")).expect("it goes on")
}

/// The next datagram.
fn told(manager: &UnixDatagram) -> String {
    let mut bytes = [0; 4096];
    let count = tests::uninterrupted(|| manager.recv(&mut bytes))
        .expect("the manager is told something by the deadline");
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

fn the_manager_is_told_when_clients_can_connect_and_when_the_server_stops(model: Model) {
    let (manager, path, _directory) = manager();
    let server = Launch::of(model).variable("NOTIFY_SOCKET", &path).start();
    assert_eq!(told(&manager), "READY=1");
    // Held open, so that it can be seen that the word of stopping does not wait for the end of the
    // last conversation.
    let client = Client::connect_small(server.address());
    client.send(&[b'x'; 300_000]);
    client.wait_arrived();
    server.begin_stop();
    assert_eq!(told_state(&manager), "STOPPING=1");
    assert_eq!(client.receive_to_end().len(), 300_000);
    server.stopped();
    manager.set_nonblocking(true).expect("it can be looked at without waiting");
    let mut bytes = [0; 100];
    while let Ok(count) = manager.recv(&mut bytes) {
        assert!(bytes[..count].starts_with(b"STATUS="), "told more than that");
    }
}

fn the_manager_is_told_the_tally_once_a_second_and_only_when_it_has_changed(model: Model) {
    let (manager, path, _directory) = manager();
    let server = Launch::of(model).variable("NOTIFY_SOCKET", &path).start();
    assert_eq!(told(&manager), "READY=1");
    let begin = Instant::now();
    // Without a pause, until it is told of the first of them.
    manager.set_nonblocking(true).expect("it can be tried without waiting");
    let mut served = 0;
    while manager.recv(&mut [0; 100]).is_err() {
        assert!(begin.elapsed() < DEADLINE, "it is told nothing while clients come and go");
        let client = Client::connect(server.address());
        client.ask(b"hello");
        client.finish();
        served += 1;
    }
    manager.set_nonblocking(false).expect("it can be waited for");
    // While a conversation goes on, also where it is the only one that is looked at.
    let client = Client::connect(server.address());
    client.ask(b"hello");
    let mut count = 1;
    let mut tallies = std::iter::repeat_with(|| told(&manager)).inspect(|_| count += 1);
    let expected = format!("STATUS=open=1 accepted={} completed={served} ", served + 1);
    let last = tallies.find(|words| words.starts_with(&expected));
    drop(tallies);
    assert!(last.is_some_and(|words| words.ends_with(" failed=0 timed_out=0")));
    assert!(Instant::now() >= begin + count * Duration::from_millis(900), "{count} times");
    // Nothing changes, and nothing is told.
    manager.set_read_timeout(Some(Duration::from_millis(1_200))).expect("a deadline can be set");
    let silence = tests::uninterrupted(|| manager.recv(&mut [0; 100]));
    assert!(silence.is_err(), "told again what was told");
    client.finish();
    server.stop();
}

fn a_manager_that_is_not_there_harms_nobody(model: Model) {
    let server = Launch::of(model).variable("NOTIFY_SOCKET", "/nonexistent/notify").start();
    let told = "READY=1: No such file or directory (os error 2)";
    server.log().wait_for_line("word of it", |line| line.ends_with(told));
    let client = Client::connect(server.address());
    client.ask(b"hello");
    client.finish();
    server.stop();
}

fn a_manager_that_does_not_listen_holds_nobody_up(model: Model) {
    let (_manager, path, _directory) = manager();
    let other = UnixDatagram::unbound().expect("there is a socket");
    other.set_nonblocking(true).expect("it can be tried without waiting");
    while other.send_to(b"more than anybody reads", &path).is_ok() {}
    let server = Launch::of(model).variable("NOTIFY_SOCKET", &path).start();
    server.log().wait_for_line("word of it", |line| line.ends_with("READY=1: it reads nothing"));
    let client = Client::connect(server.address());
    client.ask(b"hello");
    client.finish();
    server.stop();
}

/// Its clients would wait for ever.
fn a_second_socket_that_is_handed_over_is_refused(model: Model) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let script = HAND_OVER.replace("exec 3<&0", "exec 4<&0 3<&0").replace("LISTEN_FDS=1", "LISTEN_FDS=2");
    let exit = Launch::of(model).script(&script).stdin(OwnedFd::from(listener)).run();
    assert_eq!((exit.code, exit.output.len()), (Some(1), 0), "{exit:?}");
    let errors = exit.lines_with("error: ");
    assert!(errors.len() == 1 && errors[0].contains("LISTEN_FDS"), "{:?}", exit.log);
}
