//! One client process's connections, against servers that are wrong in one way each.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use clap::Parser;

use super::connection::MESSAGE_BYTES;
use super::*;
use crate::nobody::nobody;

const MESSAGE: usize = MESSAGE_BYTES as usize;

/// A holder with `connections` to a server that does `serve` with as many.
fn holder<T: Send + 'static>(
    connections: u32,
    serve: impl FnOnce(Vec<TcpStream>) -> T + Send + 'static,
) -> (Holder, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accept = move || serve((0..connections).map(|_| listener.accept().unwrap().0).collect());
    (Holder::new(&options(address, connections)).unwrap(), thread::spawn(accept))
}

/// The options as a command line of their own.
#[derive(Debug, Parser)]
struct Alone {
    #[command(flatten)]
    options: HoldOptions,
}

fn options(address: SocketAddr, connections: u32) -> HoldOptions {
    let line = format!(
        "hold {address} --connections={connections} --first=70 --opening=8 --in-flight=4 \
         --source=127.1.2.0 --source=127.1.2.1 --source=127.1.2.2"
    );
    Alone::parse_from(line.split_whitespace()).options
}

fn carry_out(holder: &mut Holder, step: Step) -> Account {
    holder.carry_out(step, &mut |_| Ok(())).unwrap()
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
    let (mut holder, server) = holder(8, |mut clients| {
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
    for step in [Step::Open, Step::Ask, Step::Close] {
        // All at once, since this server answers in an order of its own.
        holder.options.in_flight = 8;
        let account = carry_out(&mut holder, step);
        assert_eq!((account.done, account.failed), (8, 0), "{account:?}");
        assert_eq!(account.times.iter().map(|(_, count)| count).sum::<u64>(), 8);
        assert!(account.began_ns < account.ended_ns);
    }
    let (sources, messages) = server.join().unwrap();
    assert_eq!((sources, messages), (3, 16), "three source addresses, and no message twice");
}

#[test]
fn the_sweep_is_in_random_order_and_leaves_nobody_out() {
    let (mut holder, server) = holder(100, |_| ());
    for key in 0..100 {
        holder.open_one(key, 0).unwrap();
    }
    server.join().unwrap();
    let keys = holder.keys(Step::Ask);
    holder.options.seed = 2;
    assert!(keys != holder.keys(Step::Ask) && !keys.is_sorted(), "{keys:?}");
    assert_eq!(keys.into_iter().collect::<BTreeSet<_>>(), (0..100).collect());
}

#[test]
fn bytes_that_are_not_in_upper_case_are_wrong() {
    let (mut holder, server) = holder(1, |mut clients| {
        let message = read_message(&mut clients[0]);
        clients[0].write_all(&message).unwrap();
        clients
    });
    let account = carry_out(&mut holder, Step::Open);
    assert_eq!((account.done, account.failed), (0, 1));
    let first = account.first_failure.unwrap();
    assert!(first.starts_with("connection 70: byte ") && first.ends_with("is wrong"), "{first}");
    server.join().unwrap();
}

#[test]
fn a_reply_on_the_wrong_connection_is_seen() {
    let (mut holder, server) = holder(2, |mut clients| {
        let answers: Vec<_> =
            clients.iter_mut().map(|client| read_message(client).to_ascii_uppercase()).collect();
        clients[0].write_all(&answers[1]).unwrap();
        clients[1].write_all(&answers[0]).unwrap();
        clients
    });
    let account = carry_out(&mut holder, Step::Open);
    assert_eq!((account.done, account.failed), (0, 2), "{account:?}");
    server.join().unwrap();
}

#[test]
fn surplus_bytes_are_seen() {
    let (mut holder, server) = holder(1, |mut clients| {
        let mut answer = read_message(&mut clients[0]).to_ascii_uppercase();
        answer.push(b'!');
        clients[0].write_all(&answer).unwrap();
        clients
    });
    let account = carry_out(&mut holder, Step::Open);
    assert!(account.first_failure.unwrap().contains("more bytes"));
    server.join().unwrap();
}

#[test]
fn a_server_that_closes_resting_connections_is_seen_when_it_is_asked() {
    let (mut holder, server) = holder(5, |mut clients| answer(&mut clients));
    assert_eq!(carry_out(&mut holder, Step::Open).done, 5);
    server.join().unwrap();
    let account = carry_out(&mut holder, Step::Ask);
    assert_eq!((account.done, account.failed), (0, 5), "{account:?}");
    assert_eq!(carry_out(&mut holder, Step::Close).done, 0);
}

#[test]
fn a_server_that_falls_silent_is_given_up_and_nobody_is_asked_any_more() {
    let (mut holder, server) = holder(8, |mut clients| {
        answer(&mut clients);
        clients
    });
    assert_eq!(carry_out(&mut holder, Step::Open).done, 8);
    holder.options.timeout = Duration::from_millis(200);
    let account = carry_out(&mut holder, Step::Ask);
    assert_eq!((account.done, account.failed), (0, 8));
    assert!(account.first_failure.unwrap().contains("no answer for 200ms on 4 connections"));
    // Those that were asked are given up, the others still rest.
    assert_eq!(holder.keys(Step::Close).len(), 4);
    drop(server);
}

#[test]
fn who_cannot_open_one_opens_no_more() {
    let mut holder = Holder::new(&HoldOptions { opening: 1, ..options(nobody(), 50) }).unwrap();
    let account = carry_out(&mut holder, Step::Open);
    assert_eq!((account.done, account.failed), (0, 1));
    let first = account.first_failure.unwrap();
    assert!(first.starts_with("connection 70: cannot connect to ") && first.contains("refused"), "{first}");
}
