//! Promises about peers that neither send nor take bytes: the idle timeout.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use tests::{Client, Launch, Model, Server, promises};

promises!(
    a_silent_client_is_closed_after_the_idle_timeout,
    a_client_that_takes_no_bytes_is_closed_after_the_idle_timeout,
    a_client_that_speaks_now_and_then_is_not_silent,
    a_client_that_takes_its_bytes_slowly_is_not_silent,
    an_idle_timeout_of_zero_means_never,
    a_server_without_an_idle_timeout_hears_signals_all_the_same,
    a_place_that_a_silent_client_held_is_free_again,
);

const IDLE: Duration = Duration::from_millis(500);
const IDLE_OPTIONS: [&str; 2] = ["--idle-timeout", "500ms"];

/// What a loaded machine may add.
const SLACK: Duration = Duration::from_secs(2);

/// The latest time at which a silent client may still be connected.
fn latest() -> Duration {
    IDLE.mul_f64(1.3) + SLACK
}

fn a_silent_client_is_closed_after_the_idle_timeout(model: Model) {
    let server = Server::start(model, &IDLE_OPTIONS);
    // One has spoken before, one never has. The iterative server sees the second when it is done
    // with the first.
    let silent: [fn(&Client); 2] = [|client| client.ask(b"hello"), |_| ()];
    for first_words in silent {
        let client = Client::connect(server.address());
        first_words(&client);
        let taken = client.time_to_end();
        assert!(taken >= IDLE.mul_f64(0.9), "closed after only {taken:?}");
        assert!(taken <= latest(), "closed only after {taken:?}");
    }
    let tally = server.eventually_counts("both are counted", |tally| tally.open == 0);
    assert_eq!((tally.accepted, tally.timed_out), (2, 2), "{tally:?}");
    server.stop();
}

fn a_client_that_takes_no_bytes_is_closed_after_the_idle_timeout(model: Model) {
    let server = Server::start(model, &IDLE_OPTIONS);
    let client = Client::connect_small(server.address());
    // The server stopped taking at the last write that went through, or before; then it closes,
    // with bytes unread.
    let mut last_taken = Instant::now();
    while client.stream().write(&[b'x'; 16 * 1024]).is_ok() {
        last_taken = Instant::now();
    }
    let taken = last_taken.elapsed();
    let tally = server.eventually_counts("it is closed", |tally| tally.open == 0);
    assert!(taken <= latest(), "closed only after {taken:?}");
    assert_eq!((tally.accepted, tally.timed_out), (1, 1), "{tally:?}");
    let (answers, _) = client.receive_to_any_end();
    assert!(answers.iter().all(|&byte| byte == b'X'));
    server.stop();
}

fn a_client_that_speaks_now_and_then_is_not_silent(model: Model) {
    let server = Server::start(model, &["--idle-timeout", "1s"]);
    let client = Client::connect(server.address());
    // Each pause is much shorter than that, and all of them together are much longer.
    for _ in 0..12 {
        client.ask(b"I am here");
        thread::sleep(Duration::from_millis(400));
    }
    client.finish();
    assert_eq!(server.stop().completed, 1);
}

/// Four KiB every twentieth of a second: far less than makes the server's socket writable again.
/// Its system tells the server's of room for a whole segment, which is 64 KiB here, every 0.8
/// seconds.
fn a_client_that_takes_its_bytes_slowly_is_not_silent(model: Model) {
    const STEP: usize = 4 * 1024;
    const STEPS: usize = 90;
    let server = Server::start(model, &["--idle-timeout", "2s"]);
    let client = Client::connect(server.address());
    let sent = client.send_until_held_back(&[b'z'; 50_000], usize::MAX);
    for _ in 0..STEPS {
        thread::sleep(Duration::from_millis(50));
        assert!(client.receive(STEP).iter().all(|&byte| byte == b'Z'), "a byte is wrong");
    }
    client.receive(sent - STEP * STEPS);
    client.ask(b"still here");
    client.finish();
    assert_eq!(server.stop().completed, 1);
}

fn an_idle_timeout_of_zero_means_never(model: Model) {
    let server = Server::start(model, &["--idle-timeout", "0s"]);
    let client = Client::connect(server.address());
    client.ask(b"hello");
    assert!(client.hears_nothing_for(Duration::from_millis(300)));
    client.ask(b"hello again");
    client.finish();
    server.stop();
}

/// Without a timeout nothing but the signal itself ends the server's sleep.
fn a_server_without_an_idle_timeout_hears_signals_all_the_same(model: Model) {
    let server = Server::start(model, &["--idle-timeout", "0s"]);
    let client = Client::connect(server.address());
    client.ask(b"hello");
    for _ in 0..5 {
        assert_eq!(server.status().open, 1);
    }
    client.ask(b"not disturbed");
    server.begin_stop();
    client.expect_end();
    assert_eq!(server.stopped().completed, 1);
}

fn a_place_that_a_silent_client_held_is_free_again(model: Model) {
    let server = Launch::of(model).limit(1).options(&IDLE_OPTIONS).start();
    let silent = Client::connect(server.address());
    // It has the place for certain: who is accepted first is not known where there are several
    // queues.
    silent.ask(b"hello");
    let next = Client::connect(server.address());
    next.send(b"when do I come?");
    // The answer comes when the silent client has been closed, and not much later: its own silence
    // counts from its acceptance.
    next.expect_answer(b"when do I come?");
    silent.expect_end();
    next.finish();
    let tally = server.stop();
    assert_eq!((tally.timed_out, tally.completed), (1, 1), "{tally:?}");
}
