//! Promises of the plain servers: the conversation, and that no client harms another.

use std::io::{self, Write};
use std::net::Shutdown;
use std::thread;

use tests::{Client, Launch, Model, Random, Server, Signal, eventually, processes, promises, shouted};

promises!(plain:
    any_bytes_in_any_pieces_come_back_upper_cased,
    every_byte_value_comes_back_as_promised,
    requests_sent_without_waiting_are_answered_in_order,
    a_client_that_ends_its_input_gets_its_answers_and_then_a_clean_end,
    mebibytes_in_one_go_come_back_while_they_are_sent,
    two_hundred_clients_at_once_are_all_served,
    a_client_that_resets_harms_no_other,
    an_address_that_cannot_be_had_is_an_error_in_one_line,
);

// The iterative server has one client at a time, whatever that client does.
promises!(only [plain_fork plain_prefork plain_thread plain_pool plain_mio plain_tokio plain_uring plain_hybrid]:
    a_client_that_does_not_read_holds_up_no_other,
    a_greedy_client_starves_no_other,
);

promises!(only [plain_fork]: a_child_that_has_ended_leaves_nothing_behind);

promises!(only [plain_prefork plain_hybrid]: workers_end_with_their_parent);

/// Clients that come at once.
const CLIENTS: usize = 200;

/// Bytes of the biggest request in the random conversation.
const MOST_BYTES: usize = 6000;

/// More than the system keeps for a client that does not read, in bytes.
const TOO_MUCH: usize = 64 * 1024 * 1024;

fn start(model: Model) -> Server {
    Launch::of(model).plain().start()
}

fn any_bytes_in_any_pieces_come_back_upper_cased(model: Model) {
    let server = start(model);
    let client = Client::connect(server.address());
    let mut random = Random::new(20_260_714);
    for _ in 0..300 {
        let count = random.up_to(MOST_BYTES);
        let request = random.bytes(count);
        let mut unsent = &request[..];
        while !unsent.is_empty() {
            let (piece, rest) = unsent.split_at(random.up_to(unsent.len()));
            client.send(piece);
            unsent = rest;
        }
        client.expect_answer(&request);
    }
    client.finish();
}

fn every_byte_value_comes_back_as_promised(model: Model) {
    let server = start(model);
    let client = Client::connect(server.address());
    let all: Vec<u8> = (0..=u8::MAX).collect();
    client.ask(&all);
    client.ask("größer als ﬁ, ı und ß".as_bytes());
    client.finish();
}

fn requests_sent_without_waiting_are_answered_in_order(model: Model) {
    let server = start(model);
    let client = Client::connect(server.address());
    let requests: Vec<String> = (0..2000).map(|number| format!("request number {number}\n")).collect();
    for request in &requests {
        client.send(request.as_bytes());
    }
    for request in &requests {
        client.expect_answer(request.as_bytes());
    }
    client.finish();
}

fn a_client_that_ends_its_input_gets_its_answers_and_then_a_clean_end(model: Model) {
    let server = start(model);
    for size in [0, 1, 5000, 300_000] {
        let request = vec![b'x'; size];
        let client = Client::connect(server.address());
        thread::scope(|scope| {
            scope.spawn(|| {
                client.send(&request);
                client.end_input();
            });
            assert_eq!(client.receive_to_end(), shouted(&request));
        });
    }
}

fn mebibytes_in_one_go_come_back_while_they_are_sent(model: Model) {
    let server = start(model);
    let client = Client::connect(server.address());
    let request = Random::new(5).bytes(5 * 1024 * 1024);
    thread::scope(|scope| {
        scope.spawn(|| client.send(&request));
        client.expect_answer(&request);
    });
    client.ask(b"and on it goes");
    client.finish();
}

fn two_hundred_clients_at_once_are_all_served(model: Model) {
    let server = start(model);
    let clients: Vec<_> = (0..CLIENTS).map(|_| Client::connect(server.address())).collect();
    let request = |number| format!("client {number}").into_bytes();
    for (number, client) in clients.iter().enumerate() {
        client.send(&request(number));
    }
    if model.at_once(CLIENTS) == CLIENTS {
        (0..CLIENTS).for_each(|number| clients[number].expect_answer(&request(number)));
        clients.iter().for_each(|client| client.send(b"client 0"));
        clients.into_iter().for_each(|client| {
            client.expect_answer(b"client 0");
            client.finish();
        });
    } else {
        // A place is free when a client has left.
        for (number, client) in clients.into_iter().enumerate() {
            client.expect_answer(&request(number));
            client.finish();
        }
    }
}

fn a_client_that_resets_harms_no_other(model: Model) {
    let server = start(model);
    let bystander = model.serves_several().then(|| Client::connect(server.address()));
    let unharmed = || bystander.iter().for_each(|other| other.ask(b"still here?"));
    unharmed();

    // Before a word; then with answers that it has not read; then in the middle of a request.
    Client::connect(server.address()).reset();
    unharmed();
    let client = Client::connect(server.address());
    client.send(b"never read");
    client.wait_arrived();
    client.reset();
    unharmed();
    let client = Client::connect_small(server.address());
    client.ask(b"hello");
    client.send_until_held_back(&[b'x'; 50_000], TOO_MUCH);
    client.reset();
    unharmed();

    let after = Client::connect(server.address());
    after.ask(b"and the next one is served");
    after.finish();
}

fn an_address_that_cannot_be_had_is_an_error_in_one_line(model: Model) {
    let server = start(model);
    let taken = server.address().to_string();
    for address in [taken.as_str(), "nonsense"] {
        let exit = Launch::of(model).plain().listen(Some(address)).variable("RUST_BACKTRACE", "0").run();
        assert_eq!((exit.code, &exit.output[..]), (Some(1), &[][..]), "{address}");
        let clear = |line: &str| line.starts_with("Error: ") && line.contains(address);
        assert!(exit.log.len() == 1 && clear(&exit.log[0]), "{:?}", exit.log);
    }
}

fn a_client_that_does_not_read_holds_up_no_other(model: Model) {
    let server = start(model);
    let slow = Client::connect_small(server.address());
    slow.send_until_held_back(&[b'x'; 50_000], TOO_MUCH);
    let other = Client::connect(server.address());
    for _ in 0..100 {
        other.ask(b"meanwhile");
    }
    other.finish();
}

fn a_greedy_client_starves_no_other(model: Model) {
    let server = start(model);
    let (greedy, other) = (Client::connect(server.address()), Client::connect(server.address()));
    let request = vec![b'x'; 64 * 1024];
    thread::scope(|scope| {
        let sender = scope.spawn(|| while (&mut greedy.stream()).write_all(&request).is_ok() {});
        let taker = scope.spawn(|| io::copy(&mut greedy.stream(), &mut io::sink()));
        let served = scope.spawn(|| (0..20).for_each(|_| other.ask(b"meanwhile"))).join();
        let greedy_to_the_end = !sender.is_finished() && !taker.is_finished();
        // Also where the other one was not served: else the greedy one would go on for ever.
        greedy.stream().shutdown(Shutdown::Both).expect("it is open");
        served.expect("the other one is served");
        assert!(greedy_to_the_end, "the greedy one was at it all the time");
    });
}

fn a_child_that_has_ended_leaves_nothing_behind(model: Model) {
    let server = start(model);
    for _ in 0..10 {
        let client = Client::connect(server.address());
        client.ask(b"hello");
        client.finish();
    }
    eventually("no child is left", || processes::children(server.pid()).is_empty());
    eventually("no zombie is left", || processes::zombies(server.pid()) == 0);
}

fn workers_end_with_their_parent(model: Model) {
    let server = start(model);
    // All have taken their first steps then.
    processes::assert_stands_still(server.pid());
    let workers = processes::children(server.pid());
    assert!(!workers.is_empty(), "it has workers");
    server.signal(Signal::SIGKILL);
    server.wait_exit();
    eventually("no worker runs", || !workers.iter().any(|&worker| processes::runs(worker)));
}
