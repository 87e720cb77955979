//! Promises about a stop: what has arrived is answered, nobody is waited for longer than allowed,
//! nothing stays behind.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::kill;
use nix::unistd::Pid;
use tests::{
    Client, DEADLINE, Launch, Model, Random, Server, Signal, eventually, processes, promises, shouted,
};

promises!(
    each_stop_signal_ends_an_idle_server_with_exit_code_0,
    an_idle_server_has_nothing_to_wait_for_at_a_stop,
    silent_clients_see_a_clean_end_and_do_not_hold_the_stop,
    what_had_arrived_before_the_stop_is_answered,
    a_client_that_was_slow_to_read_still_gets_every_answer_to_what_had_arrived,
    a_client_that_never_reads_is_cut_at_the_drain_timeout,
    a_client_that_reads_only_when_it_must_is_cut_at_the_drain_timeout,
    a_second_signal_cuts_at_once,
    a_client_that_breaks_during_the_stop_does_not_hold_it,
    clients_in_the_middle_of_mebibytes_lose_no_byte,
    a_stop_at_any_moment_loses_no_byte,
    a_client_that_sends_for_ever_is_ended_at_the_drain_timeout_after_a_right_prefix,
    those_who_wait_in_the_queue_are_served_where_there_is_room,
    those_who_have_waited_for_a_server_to_start_are_served_although_it_is_to_stop,
    idle_clients_end_soon,
    a_client_that_pauses_for_less_than_a_moment_is_not_cut_off,
    a_stop_needs_no_descriptor,
    nobody_can_connect_once_the_stop_has_begun,
    the_port_can_be_bound_again_at_once,
    a_server_that_has_ended_has_left_its_port,
    a_client_that_is_far_away_has_more_time_to_pause,
    a_stop_amid_requests_loses_no_answer,
);

/// Longer than any test waits: where it holds a stop, the test fails.
const LONG_DRAIN: [&str; 2] = ["--drain-timeout", "60s"];

/// Bytes that fit into the server's own socket buffer, so that it has nothing left to do, and yet
/// into no small client's.
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

/// The machine may be busy, so only the quickest of some stops counts.
fn an_idle_server_has_nothing_to_wait_for_at_a_stop(model: Model) {
    let stop = |_| {
        let server = Server::start(model, &[]);
        server.eventually_rests();
        let told = Instant::now();
        server.stop();
        told.elapsed()
    };
    let quickest = (0..4).map(stop).min().expect("there are some");
    assert!(quickest < Duration::from_millis(90), "the quickest stop took {quickest:?}");
}

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
        Client::wait_all_arrived(&clients);
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
        // What is still in the client's own system is lost if it comes after the end; who sends at
        // that moment knows no better.
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

/// What the clients below send, each: more than all buffers between them and the server hold.
const MUCH: usize = 6 * 1024 * 1024;

/// `count` clients send [`MUCH`] each and read meanwhile, until the server is told to stop when it
/// has answered `moment` bytes in all.
#[track_caller]
fn stop_amid_mebibytes(model: Model, count: usize, request: &[u8], moment: u64) {
    let server = Server::start(model, &[]);
    let clients: Vec<Client> = (0..count).map(|_| Client::connect(server.address())).collect();
    clients.iter().for_each(|client| client.ask(b"hello"));
    let (begun, answered) = (&AtomicUsize::new(0), &AtomicU64::new(0));
    thread::scope(|scope| {
        for client in &clients {
            scope.spawn(move || {
                client.send(request);
                client.end_input();
            });
            scope.spawn(move || {
                for (number, piece) in request.chunks(64 * 1024).enumerate() {
                    client.expect_answer(piece);
                    begun.fetch_add(usize::from(number == 0), Ordering::SeqCst);
                    answered.fetch_add(piece.len() as u64, Ordering::SeqCst);
                }
                client.expect_end();
            });
        }
        // A client that has not begun yet is an idle one.
        eventually("the moment has come", || {
            begun.load(Ordering::SeqCst) == count && answered.load(Ordering::SeqCst) >= moment
        });
        server.signal(Signal::SIGTERM);
    });
    let tally = server.stopped();
    assert_eq!(tally.completed, count as u64, "{tally:?}");
}

fn clients_in_the_middle_of_mebibytes_lose_no_byte(model: Model) {
    let count = model.at_once(8);
    stop_amid_mebibytes(model, count, &Random::new(5).bytes(MUCH), (count * MUCH / 4) as u64);
}

fn a_stop_at_any_moment_loses_no_byte(model: Model) {
    const TIMES: usize = 20;
    let count = model.at_once(8);
    let mut random = Random::new(7);
    let request = random.bytes(MUCH / 4);
    for _ in 0..TIMES {
        stop_amid_mebibytes(model, count, &request, random.up_to(count * request.len()) as u64);
    }
}

/// It also reads, so that nothing but the drain timeout ends it.
fn a_client_that_sends_for_ever_is_ended_at_the_drain_timeout_after_a_right_prefix(model: Model) {
    const DRAIN: Duration = Duration::from_millis(700);
    let server = Server::start(model, &["--drain-timeout", "700ms"]);
    let client = &Client::connect(server.address());
    client.ask(b"hello");
    let pattern = &Random::new(3).bytes(65_521);
    thread::scope(|scope| {
        // Until the server ends it, in whatever way: it was in the middle of a sentence.
        let begun = Instant::now();
        let in_time = move || begun.elapsed() < DEADLINE;
        scope.spawn(move || {
            let mut sent = 0;
            while in_time() {
                match client.stream().write(&pattern[sent % pattern.len()..]) {
                    Ok(count) => sent += count,
                    Err(_) => break,
                }
            }
        });
        let reader = scope.spawn(move || client.receive_to_end());
        thread::sleep(Duration::from_millis(100));
        let stopped = Instant::now();
        server.begin_stop();
        let answer = reader.join().expect("a right prefix, and a clean end");
        let taken = stopped.elapsed();
        assert!(taken >= DRAIN && taken < DRAIN + Duration::from_secs(1) + DEADLINE / 4, "{taken:?}");
        let expected = shouted(pattern);
        let right = answer.chunks(expected.len()).all(|piece| piece == &expected[..piece.len()]);
        assert!(right && answer.len() > pattern.len(), "of {} bytes one is wrong", answer.len());
        let tally = server.stopped();
        assert_eq!((tally.completed, tally.failed), (1, 0), "{tally:?}");
        // Ends the writer, should the end not have.
        let _ = client.stream().shutdown(std::net::Shutdown::Both);
    });
}

/// The server does not run while they come; when it does again, the stop is what it finds first.
fn those_who_wait_in_the_queue_are_served_where_there_is_room(model: Model) {
    const CLIENTS: usize = 32;
    let server = Server::start(model, &[]);
    server.eventually_rests();
    let all: Vec<i32> = processes::tree(server.pid());
    let signal_all = |signal| {
        all.iter().for_each(|&pid| kill(Pid::from_raw(pid), signal).expect("it runs"));
    };
    signal_all(Signal::SIGSTOP);
    eventually("it stands still", || all.iter().all(|&pid| processes::is_stopped(pid)));
    let clients: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(server.address())).collect();
    clients.iter().for_each(|client| client.send(b"still served?"));
    server.signal(Signal::SIGTERM);
    signal_all(Signal::SIGCONT);
    let answers: Vec<Vec<u8>> = clients.iter().map(|client| client.receive_to_any_end().0).collect();
    let served = answers.iter().filter(|answer| !answer.is_empty()).count();
    assert!(answers.iter().all(|answer| answer.is_empty() || answer == b"STILL SERVED?"));
    assert_eq!(served, model.at_once(CLIENTS), "are served, of {CLIENTS} that waited");
    let tally = server.stopped();
    assert_eq!(tally.completed, served as u64, "{tally:?}");
}

/// The stop comes in the moment in which it begins to serve.
fn those_who_have_waited_for_a_server_to_start_are_served_although_it_is_to_stop(model: Model) {
    const CLIENTS: usize = 8;
    for _ in 0..5 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let address = listener.local_addr().expect("it has an address");
        let clients: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(address)).collect();
        clients.iter().for_each(|client| client.send(b"served at all?"));
        let server = Launch::of(model).handed_over(listener).start();
        server.signal(Signal::SIGTERM);
        let answers: Vec<Vec<u8>> = clients.iter().map(|client| client.receive_to_any_end().0).collect();
        let served = answers.iter().filter(|answer| *answer == b"SERVED AT ALL?").count();
        assert_eq!(served, model.at_once(CLIENTS), "are served, of {CLIENTS} that waited: {answers:?}");
        let tally = server.stopped();
        assert_eq!(tally.completed, served as u64, "{tally:?}");
    }
}

fn idle_clients_end_soon(model: Model) {
    /// What is promised, and what a loaded machine may add.
    const SOON: Duration = Duration::from_millis(500 + 1500);
    let server = Server::start(model, &LONG_DRAIN);
    let clients: Vec<Client> = (0..model.at_once(50)).map(|_| Client::connect(server.address())).collect();
    clients.iter().for_each(|client| client.ask(b"hello"));
    let begun = Instant::now();
    server.begin_stop();
    clients.iter().for_each(Client::expect_end);
    server.stopped();
    assert!(begun.elapsed() <= SOON, "only after {:?}", begun.elapsed());
}

fn a_client_that_pauses_for_less_than_a_moment_is_not_cut_off(model: Model) {
    /// Half of what counts as a moment.
    const PAUSE: Duration = Duration::from_millis(100);
    let server = Server::start(model, &LONG_DRAIN);
    let client = Client::connect(server.address());
    client.ask(b"hello");
    server.begin_stop();
    for _ in 0..15 {
        let begun = Instant::now();
        client.ask(b"wait for it");
        thread::sleep(PAUSE.saturating_sub(begun.elapsed()));
    }
    client.finish();
    assert_eq!(server.stopped().completed, 1);
}

fn a_stop_needs_no_descriptor(model: Model) {
    const UNREAD: usize = 15 * 1024 * 1024;
    let server = Server::start(model, &LONG_DRAIN);
    let client = &Client::connect(server.address());
    client.ask(b"hello");
    server.eventually_rests();
    for pid in processes::tree(server.pid()) {
        processes::limit_descriptors(pid, 3).expect("it can be set");
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            client.send(&vec![b'x'; UNREAD]);
            client.end_input();
        });
        eventually("much is under way", || client.bytes_under_way() > 0);
        server.signal(Signal::SIGTERM);
        thread::sleep(Duration::from_millis(50));
        assert_eq!(client.receive_to_end().len(), UNREAD);
    });
    assert_eq!(server.stopped().completed, 1);
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
    // The server ends the connection first, so it is the server's address that lingers in
    // TIME_WAIT.
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

fn a_server_that_has_ended_has_left_its_port(model: Model) {
    let mut address = "127.0.0.1:0".to_owned();
    for _ in 0..20 {
        let server = Launch::of(model).listen(Some(&address)).start();
        address = server.address().to_string();
        server.stop();
    }
}

/// Whether something is missing for a peer at a distance: a name space of the network, and a device
/// that delays packets.
fn distance_is_missing() -> bool {
    tests::skip_without(&[
        (&["unshare", "-n", "true"], "no network namespace can be made"),
        (&["python3", "--version"], "there is no python3"),
        (&["ip", "-V"], "there is no ip (iproute2)"),
        (&["test", "-w", "/dev/net/tun"], "/dev/net/tun cannot be opened"),
    ])
}

/// It is as slow as one that is cut off here (see
/// [`a_client_that_pauses_for_less_than_a_moment_is_not_cut_off`]).
fn a_client_that_is_far_away_has_more_time_to_pause(model: Model) {
    if distance_is_missing() {
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/far.py");
    let output = Command::new("unshare")
        .args(["-n", "python3", script, model.program])
        .output()
        .expect("it was there a moment ago");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.trim() == "ok", "{told}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// What was sent before the signal has arrived before it too, on this one machine, and must be
/// answered.
fn a_stop_amid_requests_loses_no_answer(model: Model) {
    const REQUEST: &[u8] = b"ping pong, again and again, until somebody stops it";
    for _ in 0..3 {
        // They never pause, so it is the drain timeout that ends them.
        let server = Server::start(model, &["--drain-timeout", "300ms"]);
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
