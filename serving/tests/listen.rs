//! A listening socket shares its address with nobody.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use serving::options::parse_listen_address;
use serving::{LogOptions, ServerOptions, listen};

fn options(listen: SocketAddr) -> ServerOptions {
    ServerOptions {
        listen,
        backlog: 128,
        max_connections: None,
        idle_timeout: Duration::from_secs(1),
        drain_timeout: Duration::ZERO,
        work: Duration::ZERO,
        log: LogOptions::default(),
    }
}

/// Between bind and listen several may have the same address, and the kernel asks again at listen.
#[test]
fn of_those_that_come_at_the_same_moment_only_one_gets_the_address() {
    const SERVERS: usize = 4;
    const ROUNDS: usize = 300;
    // A free port on an address that no other test uses.
    let free = TcpListener::bind((Ipv4Addr::new(127, 78, 0, 2), 0)).expect("all of 127/8 is this machine");
    let address = free.local_addr().expect("it has an address");
    drop(free);
    let (start, end) = (Barrier::new(SERVERS), Barrier::new(SERVERS));
    let won = thread::scope(|scope| {
        let compete = || {
            (0..ROUNDS)
                .map(|_| {
                    start.wait();
                    let listener = listen(&options(address));
                    end.wait();
                    listener.is_ok()
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

#[test]
fn addresses_are_read_as_people_write_them() {
    for text in ["127.0.0.1:80", "[::1]:8080", "0.0.0.0:0", "[::]:65535"] {
        assert_eq!(parse_listen_address(text).map(|address| address.to_string()), Ok(text.to_owned()));
    }
    for (text, why) in [
        ("", "has no port"),
        ("nonsense", "has no port"),
        ("127.0.0.1", "has no port"),
        ("127.0.0.1:99999", "from 0 to 65535"),
        ("[::1]", "from 0 to 65535"),
        ("[::1]:x", "from 0 to 65535"),
        (":::", "from 0 to 65535"),
        ("::1:80", "takes IP:PORT"),
        (":80", "takes IP:PORT"),
        ("http://127.0.0.1:80/", "is a URL"),
        ("[fe80::1%nowhere]:80", "cannot find the address of fe80::1%nowhere"),
        ("no-such-name.invalid:80", "cannot find the address of no-such-name.invalid"),
    ] {
        let error = parse_listen_address(text).unwrap_err();
        assert!(error.contains(why) && !error.contains('\n'), "{text}: {error}");
    }
    // The interface `lo` has the number 1 on every Linux.
    let scoped = parse_listen_address("[fe80::1%lo]:80");
    match scoped {
        Ok(SocketAddr::V6(address)) => assert_eq!((address.scope_id(), address.port()), (1, 80)),
        other => panic!("{other:?}"),
    }
}
