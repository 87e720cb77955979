//! Promises about the limit on conversations: surplus clients wait, and every freed place is used.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use tests::{Client, Launch, Model, promises};

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

    let surplus: Vec<Client> = (0..3).map(|_| Client::connect(server.address())).collect();
    surplus.iter().for_each(|client| client.send(b"one too many"));
    assert!(surplus[0].hears_nothing_for(WATCH), "a client over the limit is answered");
    assert!(surplus.iter().all(|client| client.hears_nothing_for(Duration::from_millis(1))));
    served.iter().for_each(|client| client.ask(b"not disturbed by those who wait"));

    // One leaves, one comes, in the order in which they arrived.
    for waiting in surplus {
        served.remove(0).finish();
        waiting.expect_answer(b"one too many");
        served.push(waiting);
    }
    let tally = server.status();
    assert_eq!((tally.open, tally.accepted), (places as u64, places as u64 + 3));
    served.into_iter().for_each(Client::finish);
    server.stop();
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

/// The kernel drops a connection request that finds the queue full, and the client's system asks again only a second later.
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
    for stream in waiting {
        let client = Client::over(stream);
        client.ask(b"my turn at last");
        client.finish();
    }
    assert_eq!(server.stop().completed, CLIENTS as u64);
}
