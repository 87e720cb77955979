//! Listening sockets that share an address among themselves, and with nobody else.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use common::{LogOptions, ServerOptions, listen_many};

fn options(listen: SocketAddr) -> ServerOptions {
    ServerOptions {
        listen,
        backlog: 128,
        max_connections: None,
        idle_timeout: Duration::from_secs(1),
        drain_timeout: Duration::ZERO,
        burn: Duration::ZERO,
        log: LogOptions::default(),
    }
}

/// A free port on an address that no other test uses.
fn free(last: u8) -> SocketAddr {
    let listener =
        TcpListener::bind((Ipv4Addr::new(127, 78, 0, last), 0)).expect("all of 127/8 is this machine");
    listener.local_addr().expect("it has an address")
}

#[test]
fn several_listeners_share_one_address_and_each_gets_clients() {
    for address in
        ["127.0.0.1:0", "[::1]:0", "[::]:0"].map(|text| text.parse::<SocketAddr>().expect("an address"))
    {
        if address.is_ipv6() && TcpListener::bind("[::1]:0").is_err() {
            // Not by a macro, whose lines the test harness keeps for itself.
            let _ = writeln!(io::stderr(), "skipped: there is no IPv6 here, so nobody listens on {address}");
            continue;
        }
        let listeners = listen_many(&options(address), 4).expect("there is a port");
        let bound = listeners[0].local_addr().expect("it has an address");
        assert!(listeners.iter().all(|listener| listener.local_addr().is_ok_and(|other| other == bound)));
        let host = if address.is_ipv6() { "[::1]" } else { "127.0.0.1" };
        let clients = (0..64).map(|_| TcpStream::connect(format!("{host}:{}", bound.port())));
        let clients: Vec<TcpStream> = clients.collect::<Result<_, _>>().expect("they listen");
        let accepted: Vec<usize> =
            listeners.iter().map(|listener| std::iter::from_fn(|| listener.accept().ok()).count()).collect();
        assert_eq!(accepted.iter().sum::<usize>(), clients.len());
        assert!(accepted.iter().all(|&count| count > 0), "{accepted:?}");
    }
}

#[test]
fn who_comes_later_is_refused_whoever_was_there() {
    let address = free(1);
    for (first, second) in [(1, 1), (1, 3), (3, 1), (3, 3)] {
        let listeners = listen_many(&options(address), first).expect("the port is free");
        let refused = listen_many(&options(address), second).expect_err("the port is taken");
        assert!(refused.to_string().contains("in use"), "{refused}");
        drop(listeners);
    }
}

/// Between bind and listen several may have the same address, and the kernel asks again at listen. Whoever lets siblings in before
/// that lets strangers in too.
#[test]
fn of_those_that_come_at_the_same_moment_only_one_gets_the_address() {
    const SERVERS: usize = 4;
    const ROUNDS: usize = 300;
    let address = free(2);
    let (start, end) = (Barrier::new(SERVERS), Barrier::new(SERVERS));
    let won = thread::scope(|scope| {
        let compete = || {
            (0..ROUNDS)
                .map(|_| {
                    start.wait();
                    let listeners = listen_many(&options(address), 3);
                    end.wait();
                    listeners.is_ok()
                })
                .collect::<Vec<bool>>()
        };
        let servers: Vec<_> = (0..SERVERS).map(|_| scope.spawn(compete)).collect();
        servers.into_iter().map(|server| server.join().expect("it is tried")).collect::<Vec<_>>()
    });
    for round in 0..ROUNDS {
        let winners = won.iter().filter(|won| won[round]).count();
        assert_eq!(winners, 1, "servers that have the address in round {round}");
    }
}
