//! The ring against a real kernel; where there is no io_uring, each test says that it is skipped.

use std::io::{Read, Write};
use std::net::TcpListener;

use common::Tally;

use super::*;
use crate::conversations::Conversations;

/// A ring, if there can be one.
fn ring() -> Option<Ring> {
    let ring = Ring::new();
    if let Err(error) = &ring {
        // Not by `eprintln`, whose words the test harness keeps to itself when a test passes.
        let _ = writeln!(io::stderr(), "skipped: {:?}: {error}", std::thread::current().name());
    }
    ring.ok()
}

/// Both ends of a connection.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Waits until there are `count` completions.
fn completions(ring: &mut Ring, count: usize) -> Vec<Completion> {
    let mut completions = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(10);
    while completions.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} completions", completions.len());
        ring.wait(Some(Duration::from_secs(1)), &mut completions).unwrap();
    }
    completions
}

#[test]
fn more_requests_than_the_queues_have_places_for_all_complete() {
    const REQUESTS: u64 = 10_000;
    let Some(mut ring) = ring() else { return };
    let (_client, server) = connection();
    for number in 0..REQUESTS {
        ring.wait_for_room(&server, Key::new(0, number));
    }
    let completions = completions(&mut ring, 10_000);
    for (number, completion) in (0..).zip(completions) {
        let expected = Key::new(0, number);
        assert!(matches!(completion, Completion::Room { key } if key == expected), "{completion:?}");
    }
}

#[test]
fn buffers_go_round_and_round() {
    let Some(mut ring) = ring() else { return };
    let (mut client, server) = connection();
    let key = Key::new(0, 0);
    ring.receive(&server, key);
    for round in 0..3 * u32::from(BUFFERS) {
        client.write_all(&round.to_be_bytes()).unwrap();
        let Some(Completion::Received { result: Ok(Some(mut filled)), more: true, .. }) =
            completions(&mut ring, 1).pop()
        else {
            panic!("nothing received in round {round}")
        };
        ring.bytes_mut(&mut filled).reverse();
        ring.send(&server, key, filled);
        let Some(Completion::Sent { buffer, result: Ok(4), .. }) = completions(&mut ring, 1).pop() else {
            panic!("nothing sent in round {round}")
        };
        ring.give_back(buffer);
        let mut answer = [0; 4];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(u32::from_le_bytes(answer), round);
    }
    assert_eq!(ring.busy, 1, "only the request to receive is left");
}

#[test]
fn a_dropped_ring_waits_for_the_end_of_its_requests_and_not_longer() {
    let Some(mut ring) = ring() else { return };
    let connections: Vec<_> = (0..50).map(|_| connection()).collect();
    for (number, (_, server)) in (0..).zip(&connections) {
        ring.receive(server, Key::new(0, number));
    }
    ring.wait(Some(Duration::ZERO), &mut Vec::new()).unwrap();
    // One more is not even with the kernel yet.
    ring.receive(&connections[0].1, Key::new(1, 0));
    assert_eq!(ring.busy, 51);
    let begun = Instant::now();
    drop(ring);
    assert!(begun.elapsed() < LAST_WAIT, "the requests did not end");
}

#[test]
fn a_completion_for_a_predecessor_harms_nobody_and_its_buffer_comes_back() {
    let Some(mut ring) = ring() else { return };
    let ((mut predecessor, first), (mut client, second)) = (connection(), connection());
    let mut tally = Tally::default();
    ring.receive(&first, Key::new(0, 7));
    predecessor.write_all(b"from the past").unwrap();
    let Some(Completion::Received { key, result, more }) = completions(&mut ring, 1).pop() else {
        panic!("nothing received")
    };
    // The place has another owner by now.
    let mut open = Conversations::new(&mut ring, Duration::ZERO);
    tally.accept();
    open.begin(&mut ring, second);
    let idle = ring.lending.idle();
    open.received(&mut ring, key, result, more, &mut tally);
    assert_eq!(ring.lending.idle(), idle + 1);
    open.room(&mut ring, key, &mut tally);

    let mut receive = |ring: &mut Ring, tally: &mut Tally| {
        let Some(Completion::Received { key, result, more }) = completions(ring, 1).pop() else {
            panic!("nothing received")
        };
        open.received(ring, key, result, more, tally);
    };
    client.write_all(b"hello").unwrap();
    receive(&mut ring, &mut tally);
    let mut answer = [0; 5];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HELLO");
    client.shutdown(std::net::Shutdown::Write).unwrap();
    receive(&mut ring, &mut tally);
    assert_eq!(tally.open(), 0);
    assert_eq!(ring.busy, 1, "the predecessor's request alone is left");
}
