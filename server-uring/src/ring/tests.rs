//! The ring against a real kernel; where there is no io_uring, each test says that it is skipped.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use clap::Parser;
use serving::{ServerOptions, Tally};

use super::*;
use crate::Options;
use crate::conversations::Conversations;
use crate::listener::Listener;

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

/// Waits for the next completion.
fn completion(ring: &mut Ring) -> Completion {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(completion) = ring.next() {
            return completion;
        }
        assert!(Instant::now() < deadline, "nothing completes");
        ring.wait(Some(Duration::from_secs(1))).unwrap();
    }
}

/// Waits for the next completion that concerns a conversation.
fn event(ring: &mut Ring) -> (u32, Event) {
    match completion(ring) {
        Completion::Conversation(place, event) => (place, event),
        other => panic!("{other:?}"),
    }
}

/// No idle timeout, any port, and a queue of this length.
fn options(backlog: &str) -> ServerOptions {
    let listen = ["--listen", "127.0.0.1:0", "--idle-timeout", "0s"];
    Options::parse_from(["server-uring", "--backlog", backlog].into_iter().chain(listen)).server
}

/// Ends all requests to accept, and lets in as many as there are `places`.
fn end(ring: &mut Ring, listener: &mut Listener, places: usize) {
    while listener.end(ring, places) {
        let Completion::Accepted { all, result, more } = completion(ring) else { continue };
        listener.take(all, result, more);
    }
}

/// The address of a listener.
fn address(listener: &Listener) -> SocketAddr {
    socket2::SockRef::from(listener).local_addr().unwrap().as_socket().unwrap()
}

#[test]
fn more_requests_than_the_queues_have_places_for_all_complete() {
    let Some(mut ring) = ring() else { return };
    let (_client, server) = connection();
    for place in 0..10_000 {
        ring.wait_for(&server, place, true);
    }
    for expected in 0..10_000 {
        let (place, event) = event(&mut ring);
        assert!(matches!(event, Event::Ready) && place == expected, "{expected}: {event:?} at {place}");
    }
    assert!(!ring.has_lost() && ring.busy == 0);
}

#[test]
fn buffers_go_round_and_round() {
    let Some(mut ring) = ring() else { return };
    let (mut client, server) = connection();
    ring.receive(&server, 0);
    for round in 0..3 * u32::from(BUFFERS) {
        client.write_all(&round.to_be_bytes()).unwrap();
        let (0, Event::Received { result: Ok(Some(mut filled)), more: true }) = event(&mut ring) else {
            panic!("nothing received in round {round}")
        };
        ring.bytes_mut(&mut filled).reverse();
        ring.send(&server, 0, filled);
        let (0, Event::Sent { buffer, result: Ok(4) }) = event(&mut ring) else {
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
    for (place, (_, server)) in (0..).zip(&connections) {
        ring.receive(server, place);
    }
    ring.tell_tick(Some(Duration::from_secs(60)));
    ring.wait(Some(Duration::ZERO)).unwrap();
    // One more is not even with the kernel yet.
    ring.receive(&connections[0].1, 50);
    assert_eq!(ring.busy, 52);
    let begun = Instant::now();
    drop(ring);
    assert!(begun.elapsed() < LAST_WAIT, "the requests did not end");
}

#[test]
fn the_port_is_free_as_soon_as_the_requests_to_accept_have_ended_and_the_listener_is_closed() {
    let Some(mut ring) = ring() else { return };
    for backlog in ["1", "65535"] {
        let mut listener = Listener::new(&options(backlog)).unwrap();
        let address = address(&listener);
        listener.request(&mut ring, 1000);
        ring.wait(Some(Duration::ZERO)).unwrap();
        end(&mut ring, &mut listener, 0);
        drop(listener);
        assert!(TcpListener::bind(address).is_ok(), "something holds the listener");
    }
}

#[test]
fn what_a_cancelled_request_brings_and_who_waits_is_let_in_as_far_as_there_are_places() {
    let Some(mut ring) = ring() else { return };
    let mut listener = Listener::new(&options("20")).unwrap();
    listener.request(&mut ring, 2);
    ring.wait(Some(Duration::ZERO)).unwrap();
    let address = address(&listener);
    let _clients: Vec<_> = (0..10).map(|_| TcpStream::connect(address).unwrap()).collect();
    end(&mut ring, &mut listener, 7);
    assert_eq!((0..10).filter(|_| listener.accept().is_ok()).count(), 7);
}

#[test]
fn when_completions_are_lost_every_conversation_ends_and_the_next_ones_are_served() {
    let Some(mut ring) = ring() else { return };
    let ((mut client, server), mut tally) = (connection(), Tally::default());
    let mut open = Conversations::new(&mut ring, &options("1"));
    tally.accept();
    open.begin(&mut ring, server).unwrap();
    client.write_all(b"lost").unwrap();
    ring.wait(Some(Duration::from_secs(1))).unwrap();
    ring = Ring::new().unwrap();
    open.fail_all(&mut ring);
    open.retire(&mut tally);
    assert_eq!(tally.counts(), [1, 0, 1, 0]);
    assert!(!matches!(client.read(&mut [0]), Ok(1..)), "half an answer is a wrong one");

    let (mut client, server) = connection();
    tally.accept();
    open.begin(&mut ring, server).unwrap();
    client.write_all(b"hello").unwrap();
    let (place, received) = event(&mut ring);
    open.turn(&mut ring, place, received);
    let mut answer = [0; 5];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HELLO");
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let (place, end) = event(&mut ring);
    open.turn(&mut ring, place, end);
    open.retire(&mut tally);
    assert_eq!((tally.counts(), ring.busy), ([2, 1, 1, 0], 0));
}
