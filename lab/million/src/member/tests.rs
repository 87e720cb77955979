//! One client process's connections, against servers that are wrong in one way each.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use super::*;

const MESSAGE: usize = MESSAGE_BYTES as usize;

/// A member with `connections` to a server that does `serve` with as many.
fn member<T: Send + 'static>(
    connections: u32,
    serve: impl FnOnce(Vec<TcpStream>) -> T + Send + 'static,
) -> (Member, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accept = move || serve((0..connections).map(|_| listener.accept().unwrap().0).collect());
    (Member::new(part(address, connections)).unwrap(), thread::spawn(accept))
}

fn part(address: std::net::SocketAddr, connections: u32) -> Part {
    Part {
        address,
        source: Ipv4Addr::new(127, 1, 2, 0),
        sources: 3,
        first: 70,
        connections,
        opening: 8,
        asking: 4,
        seed: 1,
    }
}

fn carry_out(member: &mut Member, order: Order) -> Account {
    member.carry_out(order, &mut |_| Ok(())).unwrap()
}

fn read_message(client: &mut TcpStream) -> Vec<u8> {
    let mut message = vec![0; MESSAGE];
    client.read_exact(&mut message).unwrap();
    message
}

/// Answers one message of each.
fn answer(clients: &mut [TcpStream]) {
    for client in clients {
        let answer = read_message(client).to_ascii_uppercase();
        client.write_all(&answer).unwrap();
    }
}

#[test]
fn each_connection_is_greeted_asked_once_and_read_to_the_end_from_its_source_address() {
    let (mut member, server) = member(8, |mut clients| {
        let sources: BTreeSet<_> = clients.iter().map(|client| client.peer_addr().unwrap().ip()).collect();
        let mut seen = BTreeSet::new();
        for _ in 0..2 {
            for client in &mut clients {
                let message = read_message(client);
                client.write_all(&message.to_ascii_uppercase()).unwrap();
                seen.insert(message);
            }
        }
        for client in &mut clients {
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
        }
        (sources.len(), seen.len())
    });
    for order in [Order::Open, Order::Ask, Order::Close] {
        // All at once, since this server answers in an order of its own.
        member.part.asking = 8;
        let account = carry_out(&mut member, order);
        assert_eq!((account.done, account.failed), (8, 0), "{account:?}");
        assert_eq!(account.times.iter().map(|(_, count)| count).sum::<u64>(), 8);
        assert!(account.began_ns < account.ended_ns);
    }
    let (sources, messages) = server.join().unwrap();
    assert_eq!((sources, messages), (3, 16), "three source addresses, and no message twice");
}

#[test]
fn the_sweep_is_in_random_order_and_leaves_nobody_out() {
    let (mut member, server) = member(100, |_| ());
    for key in 0..100 {
        member.open(key, 0).unwrap();
    }
    server.join().unwrap();
    let keys = member.keys(Order::Ask);
    member.part.seed = 2;
    assert!(keys != member.keys(Order::Ask) && !keys.is_sorted(), "{keys:?}");
    assert_eq!(keys.into_iter().collect::<BTreeSet<_>>(), (0..100).collect());
}

#[test]
fn bytes_that_are_not_in_upper_case_are_wrong() {
    let (mut member, server) = member(1, |mut clients| {
        let message = read_message(&mut clients[0]);
        clients[0].write_all(&message).unwrap();
        clients
    });
    let account = carry_out(&mut member, Order::Open);
    assert_eq!((account.done, account.failed), (0, 1));
    let first = account.first_failure.unwrap();
    assert!(first.starts_with("connection 70: byte ") && first.ends_with("is wrong"), "{first}");
    server.join().unwrap();
}

#[test]
fn a_reply_on_the_wrong_connection_is_seen() {
    let (mut member, server) = member(2, |mut clients| {
        let answers: Vec<_> =
            clients.iter_mut().map(|client| read_message(client).to_ascii_uppercase()).collect();
        clients[0].write_all(&answers[1]).unwrap();
        clients[1].write_all(&answers[0]).unwrap();
        clients
    });
    let account = carry_out(&mut member, Order::Open);
    assert_eq!((account.done, account.failed), (0, 2), "{account:?}");
    server.join().unwrap();
}

#[test]
fn surplus_bytes_are_seen() {
    let (mut member, server) = member(1, |mut clients| {
        let mut answer = read_message(&mut clients[0]).to_ascii_uppercase();
        answer.push(b'!');
        clients[0].write_all(&answer).unwrap();
        clients
    });
    let account = carry_out(&mut member, Order::Open);
    assert!(account.first_failure.unwrap().contains("more bytes"));
    server.join().unwrap();
}

#[test]
fn a_server_that_closes_resting_connections_is_seen_when_it_is_asked() {
    let (mut member, server) = member(5, |mut clients| answer(&mut clients));
    assert_eq!(carry_out(&mut member, Order::Open).done, 5);
    server.join().unwrap();
    let account = carry_out(&mut member, Order::Ask);
    assert_eq!((account.done, account.failed), (0, 5), "{account:?}");
    assert_eq!(carry_out(&mut member, Order::Close).done, 0);
}

#[test]
fn a_server_that_falls_silent_is_given_up_and_nobody_is_asked_any_more() {
    let (mut member, server) = member(8, |mut clients| {
        answer(&mut clients);
        clients
    });
    assert_eq!(carry_out(&mut member, Order::Open).done, 8);
    member.patience = Duration::from_millis(200);
    let account = carry_out(&mut member, Order::Ask);
    assert_eq!((account.done, account.failed), (0, 8));
    assert!(account.first_failure.unwrap().contains("no answer for 200ms on 4 connections"));
    // Those that were asked are given up, the others still rest.
    assert_eq!(member.keys(Order::Close).len(), 4);
    drop(server);
}

#[test]
fn who_cannot_open_one_opens_no_more() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut member = Member::new(Part { opening: 1, ..part(address, 50) }).unwrap();
    let account = carry_out(&mut member, Order::Open);
    assert_eq!((account.done, account.failed), (0, 1));
    let first = account.first_failure.unwrap();
    assert!(first.starts_with("connection 70: cannot connect: ") && first.contains("refused"), "{first}");
}
