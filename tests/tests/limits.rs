//! Promises about the limit on conversations: surplus clients wait, and every freed place is used.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use tests::{Client, Kind, Launch, Model, eventually, promises};

promises!(
    a_client_over_the_limit_is_held_and_then_served,
    a_freed_place_is_reused_every_time,
    a_place_freed_by_a_broken_connection_is_reused_too,
    hundreds_of_clients_can_wait_in_the_queue,
);

/// For how long a client that must not be answered is watched.
const WATCH: Duration = Duration::from_millis(150);

fn a_client_over_the_limit_is_held_and_then_served(model: Model) {
    let server = Launch::of(model).limit(3).start();
    let places = model.places(3);
    let mut served: Vec<Client> = (0..places).map(|_| Client::connect(server.address())).collect();
    served.iter().for_each(|client| client.ask(b"one of the first"));

    let mut surplus: Vec<Client> = (0..3).map(|_| Client::connect(server.address())).collect();
    surplus.iter().for_each(|client| client.send(b"one too many"));
    assert!(surplus[0].hears_nothing_for(WATCH), "a client over the limit is answered");
    assert!(surplus.iter().all(|client| client.hears_nothing_for(Duration::from_millis(1))));
    served.iter().for_each(|client| client.ask(b"not disturbed by those who wait"));

    // One leaves, one comes.
    while !surplus.is_empty() {
        served.remove(0).finish();
        let next = surplus.remove(next_served(model, &surplus));
        next.expect_answer(b"one too many");
        assert!(surplus.iter().all(|client| client.hears_nothing_for(Duration::from_millis(1))));
        served.push(next);
    }
    let tally = server.status();
    assert_eq!((tally.open, tally.accepted), (places as u64, places as u64 + 3));
    served.into_iter().for_each(Client::finish);
    server.stop();
}

/// Which of those who wait is served next: the first, where they wait in one queue.
fn next_served(model: Model, waiting: &[Client]) -> usize {
    let mut next = 0;
    if model.kind == Kind::Hybrid {
        eventually("one of those who wait is served", || {
            let served = |client: &Client| !client.hears_nothing_for(Duration::from_millis(1));
            waiting.iter().position(served).is_some_and(|index| {
                next = index;
                true
            })
        });
    }
    next
}

/// A lost wake-up at the limit shows as a client that waits for ever.
fn a_freed_place_is_reused_every_time(model: Model) {
    const CLIENTS: u64 = 6;
    const CONVERSATIONS: u64 = 60;
    let server = Launch::of(model).limit(2).start();
    let address = server.address();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(move || {
                for _ in 0..CONVERSATIONS {
                    let client = Client::connect(address);
                    client.ask(b"the next, please");
                    // Half of them leave without ceremony.
                    if client.address().port().is_multiple_of(2) {
                        client.finish();
                    }
                }
            });
        }
    });
    let tally = server.stop();
    assert_eq!((tally.accepted, tally.completed), (CLIENTS * CONVERSATIONS, CLIENTS * CONVERSATIONS));
}

fn a_place_freed_by_a_broken_connection_is_reused_too(model: Model) {
    let server = Launch::of(model).limit(1).start();
    for round in 0..60 {
        let client = Client::connect(server.address());
        client.ask(b"hello");
        if round % 3 > 0 {
            client.send(b"an answer that nobody will read");
        }
        client.reset();
    }
    let client = Client::connect(server.address());
    client.ask(b"there is room");
    client.finish();
    server.stop();
}

/// The kernel drops a connection request that finds the queue full, and the client's system asks
/// again only a second later.
fn hundreds_of_clients_can_wait_in_the_queue(model: Model) {
    const CLIENTS: usize = 300;
    const AT_ONCE: Duration = Duration::from_millis(900);
    let allowed =
        std::fs::read_to_string("/proc/sys/net/core/somaxconn").expect("the kernel tells its limit");
    if allowed.trim().parse::<usize>().expect("it is a number") <= CLIENTS {
        tests::skip(&format!("net.core.somaxconn is only {}", allowed.trim()));
        return;
    }
    let server = Launch::of(model).limit(1).start();
    let waiting: Vec<TcpStream> = (0..CLIENTS)
        .map(|number| {
            TcpStream::connect_timeout(&server.address(), AT_ONCE)
                .unwrap_or_else(|error| panic!("client {number} found no place in the queue: {error}"))
        })
        .collect();
    let waiting: Vec<Client> = waiting.into_iter().map(Client::over).collect();
    // All speak before one is heard: not every model has one queue, so who is next is not known.
    for client in &waiting {
        client.send(b"my turn at last");
        client.end_input();
    }
    for client in waiting {
        assert_eq!(client.receive_to_end(), b"MY TURN AT LAST");
    }
    assert_eq!(server.stop().completed, CLIENTS as u64);
}
