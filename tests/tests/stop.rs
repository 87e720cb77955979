//! Promises about a stop: what has arrived is answered, nobody is waited for longer than allowed, nothing stays behind.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tests::{Client, DEADLINE, Launch, Model, Server, Signal, eventually, promises, shouted};

promises!(
    each_stop_signal_ends_an_idle_server_with_exit_code_0,
    silent_clients_see_a_clean_end_and_do_not_hold_the_stop,
    what_had_arrived_before_the_stop_is_answered,
    a_client_that_was_slow_to_read_still_gets_every_answer_to_what_had_arrived,
    a_client_that_never_reads_is_cut_at_the_drain_timeout,
    a_client_that_reads_only_when_it_must_is_cut_at_the_drain_timeout,
    a_second_signal_cuts_at_once,
    a_client_that_breaks_during_the_stop_does_not_hold_it,
    a_greedy_client_does_not_hold_the_stop,
    nobody_can_connect_once_the_stop_has_begun,
    the_port_can_be_bound_again_at_once,
    a_stop_amid_requests_loses_no_answer,
);

/// Longer than any test waits: where it holds a stop, the test fails.
const LONG_DRAIN: [&str; 2] = ["--drain-timeout", "60s"];

/// Bytes that fit into the server's own socket buffer, so that it has nothing left to do, and yet into no small client's.
const UNREAD_BYTES: usize = 300_000;

/// A client whose answers the server has written, and that has not read them.
fn client_with_unread_answers(address: SocketAddr) -> Client {
    let client = Client::connect_small(address);
    client.send(&[b'x'; UNREAD_BYTES]);
    client.wait_arrived();
    client
}

/// A client to which the server cannot even write.
fn client_that_blocks_the_server(address: SocketAddr) -> Client {
    let client = Client::connect_small(address);
    client.send_until_held_back(&[b'x'; 50_000], usize::MAX);
    client
}

/// The two ways not to take one's answers.
const STUCK: [fn(SocketAddr) -> Client; 2] = [client_with_unread_answers, client_that_blocks_the_server];

fn each_stop_signal_ends_an_idle_server_with_exit_code_0(model: Model) {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let server = Server::start(model, &LONG_DRAIN);
        server.signal(signal);
        assert_eq!(server.stopped().accepted, 0, "{signal}");
    }
}

fn silent_clients_see_a_clean_end_and_do_not_hold_the_stop(model: Model) {
    let server = Server::start(model, &LONG_DRAIN);
    let clients: Vec<Client> = (0..model.at_once(20)).map(|_| Client::connect(server.address())).collect();
    for (number, client) in clients.iter().enumerate() {
        // Some have never said a word.
        if number % 2 == 0 {
            client.ask(b"hello");
        }
    }
    server.eventually_counts("all are open", |tally| tally.open == clients.len() as u64);
    server.begin_stop();
    clients.iter().for_each(Client::expect_end);
    let tally = server.stopped();
    assert_eq!(tally.completed, clients.len() as u64, "{tally:?}");
}

fn what_had_arrived_before_the_stop_is_answered(model: Model) {
    let request = vec![b'y'; 30_000];
    for _ in 0..5 {
        let server = Server::start(model, &LONG_DRAIN);
        let clients: Vec<Client> =
            (0..model.at_once(10)).map(|_| Client::connect(server.address())).collect();
        clients.iter().for_each(|client| client.ask(b"hello"));
        clients.iter().for_each(|client| client.send(&request));
        clients.iter().for_each(Client::wait_arrived);
        server.signal(Signal::SIGTERM);
        for client in &clients {
            assert_eq!(client.receive_to_end().len(), request.len());
        }
        let tally = server.stopped();
        assert_eq!(tally.completed, clients.len() as u64, "{tally:?}");
    }
}

fn a_client_that_was_slow_to_read_still_gets_every_answer_to_what_had_arrived(model: Model) {
    for stuck in STUCK {
        let server = Server::start(model, &LONG_DRAIN);
        let client = stuck(server.address());
        // What is still in the client's own system is lost if it comes after the end; who sends at that moment knows no better.
        let under_way = client.bytes_under_way();
        server.begin_stop();
        let (answer, end) = client.receive_to_any_end();
        if under_way == 0 {
            assert!(answer.len() == UNREAD_BYTES && end.is_ok(), "{} bytes, then {end:?}", answer.len());
        }
        assert!(answer.iter().all(|&byte| byte == b'X'));
        server.stopped();
    }
}

fn stuck_client_is_cut_at_the_drain_timeout(model: Model, stuck: fn(SocketAddr) -> Client) {
    const DRAIN: Duration = Duration::from_millis(600);
    let server = Server::start(model, &["--drain-timeout", "600ms"]);
    let client = stuck(server.address());
    let begun = Instant::now();
    server.begin_stop();
    let tally = server.stopped();
    let taken = begun.elapsed();
    assert_eq!((tally.accepted, tally.failed), (1, 1), "it is counted as failed: {tally:?}");
    assert!(taken >= DRAIN, "it was cut after only {taken:?}");
    assert!(taken < DRAIN + DEADLINE / 4, "it held the stop for {taken:?}");
    drop(client);
}

fn a_client_that_never_reads_is_cut_at_the_drain_timeout(model: Model) {
    stuck_client_is_cut_at_the_drain_timeout(model, client_that_blocks_the_server);
}

fn a_client_that_reads_only_when_it_must_is_cut_at_the_drain_timeout(model: Model) {
    stuck_client_is_cut_at_the_drain_timeout(model, client_with_unread_answers);
}

fn a_second_signal_cuts_at_once(model: Model) {
    for stuck in STUCK {
        let server = Server::start(model, &LONG_DRAIN);
        let client = stuck(server.address());
        server.begin_stop();
        server.signal(Signal::SIGINT);
        let tally = server.stopped();
        assert_eq!((tally.accepted, tally.failed), (1, 1), "it is counted as failed: {tally:?}");
        drop(client);
    }
}

fn a_client_that_breaks_during_the_stop_does_not_hold_it(model: Model) {
    for stuck in STUCK {
        let server = Server::start(model, &LONG_DRAIN);
        let client = stuck(server.address());
        server.begin_stop();
        client.reset();
        assert_eq!(server.stopped().accepted, 1);
    }
}

fn a_greedy_client_does_not_hold_the_stop(model: Model) {
    let server = Server::start(model, &LONG_DRAIN);
    let client = &Client::connect(server.address());
    client.ask(b"hello");
    thread::scope(|scope| {
        // Both until the server ends it, in whatever way: it was in the middle of a sentence.
        let begun = Instant::now();
        let in_time = move || begun.elapsed() < DEADLINE;
        scope.spawn(move || while in_time() && client.stream().write(&[b'x'; 50_000]).is_ok() {});
        let reader = scope.spawn(move || {
            let mut buffer = vec![0; 50_000];
            while in_time() && client.stream().read(&mut buffer).is_ok_and(|count| count > 0) {}
        });
        thread::sleep(Duration::from_millis(100));
        server.begin_stop();
        server.stopped();
        reader.join().expect("the reader ends");
        // Ends the writer, should the end not have.
        let _ = client.stream().shutdown(std::net::Shutdown::Both);
    });
}

fn nobody_can_connect_once_the_stop_has_begun(model: Model) {
    let server = Server::start(model, &LONG_DRAIN);
    let address = server.address();
    let client = client_with_unread_answers(address);
    server.begin_stop();
    eventually("new clients are refused while old ones are finished", || {
        TcpStream::connect(address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
    let successor = Launch::of(model).listen(Some(&address.to_string())).start();
    let next = Client::connect(address);
    next.ask(b"the next server has the port already");
    assert_eq!(client.receive_to_end().len(), UNREAD_BYTES);
    server.stopped();
    next.ask(b"and keeps it");
    next.finish();
    successor.stop();
}

fn the_port_can_be_bound_again_at_once(model: Model) {
    let server = Server::start(model, &[]);
    let address = server.address();
    let client = Client::connect(address);
    client.ask(b"hello");
    // The server ends the connection first, so it is the server's address that lingers in TIME_WAIT.
    server.signal(Signal::SIGTERM);
    client.expect_end();
    drop(client);
    server.stopped();
    let again = Launch::of(model).listen(Some(&address.to_string())).start();
    assert_eq!(again.address(), address);
    let client = Client::connect(address);
    client.ask(b"hello again");
    client.finish();
    again.stop();
}

/// What was sent before the signal has arrived before it too, on this one machine, and must be answered.
fn a_stop_amid_requests_loses_no_answer(model: Model) {
    const REQUEST: &[u8] = b"ping pong, again and again, until somebody stops it";
    for _ in 0..3 {
        let server = Server::start(model, &LONG_DRAIN);
        let address = server.address();
        let clients = model.at_once(8);
        let unanswered = Mutex::new(Vec::new());
        let warm = AtomicUsize::new(0);
        let begun = Instant::now();
        let signalled = thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| {
                    let client = Client::connect(address);
                    client.ask(REQUEST);
                    warm.fetch_add(1, Ordering::SeqCst);
                    let sent = loop {
                        assert!(begun.elapsed() < 2 * DEADLINE, "the server never stopped");
                        let before = Instant::now();
                        if client.stream().write_all(REQUEST).is_err() {
                            break before;
                        }
                        let sent = Instant::now();
                        let mut answer = [0; REQUEST.len()];
                        if client.stream().read_exact(&mut answer).is_err() {
                            break sent;
                        }
                        assert_eq!(answer[..], shouted(REQUEST));
                    };
                    unanswered.lock().expect("no client has failed").push(sent);
                });
            }
            eventually("all are answered", || warm.load(Ordering::SeqCst) == clients);
            let signalled = Instant::now();
            server.signal(Signal::SIGTERM);
            signalled
        });
        let unanswered = unanswered.into_inner().expect("no client has failed");
        assert_eq!(unanswered.len(), clients);
        let lost = unanswered.iter().filter(|&&sent| sent < signalled).count();
        assert_eq!(
            lost, 0,
            "of {clients} clients, so many had a request in the server that was not answered"
        );
        let tally = server.stopped();
        assert_eq!(tally.completed, clients as u64, "{tally:?}");
    }
}
