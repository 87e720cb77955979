//! Promises about clients that are slower or greedier than others: memory is bounded, and nobody
//! waits for them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tests::model::WORKERS;
use tests::{Client, DEADLINE, Kind, Launch, Model, Random, Server, eventually, processes, promises};

promises!(
    a_slow_reader_is_held_back_and_then_gets_every_byte_right,
    an_answer_for_which_there_is_room_only_bit_by_bit_arrives_whole,
    slow_readers_stop_no_other,
    a_greedy_client_starves_no_other,
    the_status_is_told_while_a_conversation_is_busy,
    the_status_is_told_while_a_client_takes_no_answers,
);

/// What a server itself may keep for a client that does not read, in bytes.
const KEPT_BYTES: u64 = 1024 * 1024;

/// What may be on its way between two sockets, in bytes: the kernel's largest buffers.
fn most_in_socket_buffers() -> usize {
    let largest = |name: &str| {
        let sizes = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}"))
            .expect("the kernel tells its sizes");
        sizes
            .split_whitespace()
            .last()
            .and_then(|size| size.parse::<usize>().ok())
            .expect("the last one is a number")
    };
    2 * (largest("tcp_rmem") + largest("tcp_wmem"))
}

/// What is sent over and over: of a length that no buffer has, so that a lost or doubled piece
/// shows.
fn pattern() -> Vec<u8> {
    const LENGTH: usize = 65_521;
    Random::new(17).bytes(LENGTH)
}

fn a_slow_reader_is_held_back_and_then_gets_every_byte_right(model: Model) {
    let server = Server::start(model, &[]);
    let client = Client::connect_small(server.address());
    client.ask(b"hello");
    server.eventually_rests();
    let before = processes::memory_bytes(server.pid());
    let most = most_in_socket_buffers() + usize::try_from(KEPT_BYTES).expect("it fits");
    let taken = client.send_until_held_back(&pattern(), most);
    let grown = processes::memory_bytes(server.pid()).saturating_sub(before);
    // A task that moves from thread to thread uses the buffers of all, and the C library keeps for
    // each what it has freed.
    let threads = if model.kind == Kind::TokioWorkers { WORKERS as u64 } else { 1 };
    assert!(grown <= threads * KEPT_BYTES, "the server keeps {grown} bytes for a client that does not read");
    processes::assert_stands_still(server.pid());

    let expected: Vec<u8> = pattern().into_iter().cycle().take(taken).collect();
    client.expect_answer(&expected);
    client.ask(b"and on it goes");
    client.finish();
    assert_eq!(server.stop().completed, 1);
}

/// The server has read all that there is, so that nothing tells it to go on but room for more. Each
/// connection has its listener's buffer.
fn an_answer_for_which_there_is_room_only_bit_by_bit_arrives_whole(model: Model) {
    const BUFFER: usize = 4096;
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    SockRef::from(&listener).set_send_buffer_size(BUFFER).expect("it can be small");
    let server = Launch::of(model).handed_over(listener).start();
    let client = Client::connect_small(server.address());
    for pieces in [4, 5, 20] {
        let request: Vec<u8> = pattern().into_iter().cycle().take(pieces * BUFFER).collect();
        client.send(&request);
        thread::sleep(Duration::from_millis(50));
        client.expect_answer(&request);
    }
    client.finish();
    assert_eq!(server.stop().completed, 1);
}

/// One less than there are places; the iterative server, which has one, serves the other
/// afterwards.
fn slow_readers_stop_no_other(model: Model) {
    let server = Server::start(model, &[]);
    let slow: Vec<Client> = (1..model.at_once(3)).map(|_| Client::connect_small(server.address())).collect();
    for client in &slow {
        client.send_until_held_back(&pattern(), usize::MAX);
    }
    let other = Client::connect(server.address());
    for _ in 0..50 {
        other.ask(b"not held up by those who do not read");
    }
    other.finish();
    drop(slow);
    eventually("all are over", || server.status().open == 0);
    server.stop();
}

/// Sends and receives at full speed, never waiting for an answer, until `enough`; counts the bytes
/// received.
fn be_greedy(client: &Client, enough: &AtomicBool, received: &AtomicU64) {
    let begun = Instant::now();
    let go_on = || !enough.load(Ordering::SeqCst) && begun.elapsed() < DEADLINE;
    thread::scope(|scope| {
        scope.spawn(|| {
            let bytes = vec![b'g'; 256 * 1024];
            while go_on() {
                client.stream().write_all(&bytes).expect("the server takes the bytes");
            }
            client.end_input();
        });
        let mut bytes = vec![0; 256 * 1024];
        loop {
            let count = tests::uninterrupted(|| client.stream().read(&mut bytes))
                .expect("the server answers to the end");
            if count == 0 {
                break;
            }
            received.fetch_add(count as u64, Ordering::SeqCst);
        }
    });
}

fn a_greedy_client_starves_no_other(model: Model) {
    /// The longest that a polite client may wait; two processors have four busy threads to run.
    const PATIENCE: Duration = Duration::from_secs(3);
    let server = Server::start(model, &[]);
    let (enough, received) = (AtomicBool::new(false), AtomicU64::new(0));
    let (enough, received) = (&enough, &received);
    let address = server.address();
    let serve_polite = move || {
        let polite = Client::connect(address);
        polite.stream().set_read_timeout(Some(PATIENCE)).expect("a deadline can be set");
        for _ in 0..40 {
            polite.ask(b"if you please");
        }
        polite.finish();
    };
    thread::scope(|scope| {
        let greedy = Client::connect(address);
        greedy.ask(b"me first");
        let eater = scope.spawn(move || be_greedy(&greedy, enough, received));
        eventually("the greedy client is at it", || received.load(Ordering::SeqCst) > 1024 * 1024);
        let served = model.serves_several().then(|| thread::spawn(serve_polite).join());
        let meanwhile = received.load(Ordering::SeqCst);
        enough.store(true, Ordering::SeqCst);
        assert!(
            served.is_none_or(|served| served.is_ok()),
            "the polite client was starved by {meanwhile} bytes"
        );
        eater.join().expect("the greedy client gets all its answers");
    });
    // The iterative server owes the polite client nothing before the greedy one has left, and
    // everything then.
    serve_polite();
    server.stop();
}

fn the_status_is_told_while_a_conversation_is_busy(model: Model) {
    let server = Server::start(model, &[]);
    let client = &Client::connect(server.address());
    let enough = &AtomicBool::new(false);
    thread::scope(|scope| {
        let begun = Instant::now();
        scope.spawn(move || {
            while !enough.load(Ordering::SeqCst) && begun.elapsed() < 2 * DEADLINE {
                client.ask(b"ping");
            }
        });
        server.eventually_counts("it is open", |tally| tally.open == 1);
        for _ in 0..20 {
            assert_eq!(server.status().open, 1);
        }
        enough.store(true, Ordering::SeqCst);
    });
    server.stop();
}

fn the_status_is_told_while_a_client_takes_no_answers(model: Model) {
    let server = Server::start(model, &[]);
    let client = Client::connect_small(server.address());
    client.send_until_held_back(&pattern(), usize::MAX);
    assert_eq!(server.status().open, 1);
    client.reset();
    server.eventually_counts("it is over", |tally| tally.failed == 1);
    server.stop();
}
