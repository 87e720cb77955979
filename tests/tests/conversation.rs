//! Promises about one conversation: what is sent comes back upper-cased, all of it, in order, once.

use std::thread;

use tests::{Client, Model, Random, Server, eventually, processes, promises, shouted};

promises!(
    any_bytes_in_any_pieces_come_back_upper_cased,
    every_byte_value_comes_back_as_promised,
    requests_sent_without_waiting_are_answered_in_order,
    a_client_that_ends_its_input_gets_its_answers_and_then_a_clean_end,
    a_client_that_says_nothing_and_ends_gets_a_clean_end,
    mebibytes_in_one_go_come_back_while_they_are_sent,
    an_answer_of_several_writes_does_not_wait_for_an_acknowledgement,
    conversations_at_once_do_not_mix,
    a_client_that_resets_harms_no_other,
    a_client_that_leaves_at_once_harms_no_other,
    a_client_that_resets_before_it_has_said_a_word_has_not_failed,
    urgent_data_neither_harms_nor_keeps_the_server_busy,
);

/// Bytes of the biggest request in the random conversation.
const MOST_BYTES: usize = 6000;

fn any_bytes_in_any_pieces_come_back_upper_cased(model: Model) {
    let server = Server::start(model, &[]);
    let client = Client::connect(server.address());
    let mut random = Random::new(20_260_714);
    for _ in 0..300 {
        let count = random.up_to(MOST_BYTES);
        let request = match random.up_to(3) {
            1 => random.bytes(count),
            2 => "größer als ﬁ, ı und ß: \u{1b}[2J\0\r\n".bytes().cycle().take(count).collect(),
            _ => random.bytes(count).iter().map(|byte| byte % 26 + b'a').collect(),
        };
        let mut unsent = &request[..];
        while !unsent.is_empty() {
            let (piece, rest) = unsent.split_at(random.up_to(unsent.len()));
            client.send(piece);
            unsent = rest;
        }
        client.expect_answer(&request);
    }
    client.finish();
    let tally = server.stop();
    assert_eq!((tally.accepted, tally.completed), (1, 1));
}

fn every_byte_value_comes_back_as_promised(model: Model) {
    let server = Server::start(model, &[]);
    let client = Client::connect(server.address());
    let all: Vec<u8> = (0..=u8::MAX).collect();
    client.send(&all);
    let answer = client.receive(all.len());
    for (byte, answered) in all.into_iter().zip(answer) {
        let expected = if byte.is_ascii_lowercase() { byte.to_ascii_uppercase() } else { byte };
        assert_eq!(answered, expected, "the answer to byte {byte}");
    }
    client.finish();
}

fn requests_sent_without_waiting_are_answered_in_order(model: Model) {
    let server = Server::start(model, &[]);
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
    let server = Server::start(model, &[]);
    for size in [1, 5000, 300_000] {
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
    assert_eq!(server.stop().completed, 3);
}

fn a_client_that_says_nothing_and_ends_gets_a_clean_end(model: Model) {
    let server = Server::start(model, &[]);
    Client::connect(server.address()).finish();
    server.eventually_counts("the conversation is completed", |tally| tally.completed == 1);
}

fn mebibytes_in_one_go_come_back_while_they_are_sent(model: Model) {
    // Nothing but what it provides for itself wakes it for what a turn has left.
    let server = Server::start(model, &["--idle-timeout=0s"]);
    let client = Client::connect(server.address());
    let request = Random::new(5).bytes(5 * 1024 * 1024);
    thread::scope(|scope| {
        scope.spawn(|| client.send(&request));
        client.expect_answer(&request);
    });
    client.ask(b"and on it goes");
    client.finish();
}

/// Without no-delay nearly every such answer takes 40 ms. The machine may be busy, so only the
/// quicker ones are looked at.
fn an_answer_of_several_writes_does_not_wait_for_an_acknowledgement(model: Model) {
    const ROUNDS: usize = 20;
    let server = Server::start(model, &[]);
    let client = Client::connect(server.address());
    let request = vec![b'a'; 200_000];
    let mut times: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let begun = std::time::Instant::now();
            thread::scope(|scope| {
                scope.spawn(|| client.send(&request));
                client.expect_answer(&request);
            });
            begun.elapsed()
        })
        .collect();
    times.sort();
    let quick = times[ROUNDS / 4];
    assert!(quick.as_millis() < 35, "a quarter of the answers took less than {quick:?}, the others longer");
}

fn conversations_at_once_do_not_mix(model: Model) {
    let server = Server::start(model, &[]);
    let address = server.address();
    // The iterative server serves them one after the other; the promise is the same.
    thread::scope(|scope| {
        for number in 0..12 {
            scope.spawn(move || {
                let client = Client::connect(address);
                for round in 0..40 {
                    client.ask(
                        format!("client {number}, round {round}: {}", "xyz".repeat(number * round))
                            .as_bytes(),
                    );
                }
                client.finish();
            });
        }
    });
    assert_eq!(server.stop().completed, 12);
}

fn a_client_that_resets_harms_no_other(model: Model) {
    let server = Server::start(model, &[]);
    let bystander = model.serves_several().then(|| Client::connect(server.address()));
    let unharmed = || bystander.iter().for_each(|other| other.ask(b"still here?"));
    unharmed();

    // Before a word, perhaps before it is accepted; then with answers that it has not read; then in
    // the middle of a request.
    Client::connect(server.address()).reset();
    unharmed();
    let client = Client::connect(server.address());
    client.send(b"never read");
    client.wait_arrived();
    client.reset();
    unharmed();
    let client = Client::connect_small(server.address());
    client.ask(b"hello");
    client.send_until_held_back(&[b'x'; 50_000], usize::MAX);
    client.reset();
    unharmed();

    let after = Client::connect(server.address());
    after.ask(b"and the next one is served");
    after.finish();
    drop(bystander);
    let others = 1 + u64::from(model.serves_several());
    let tally = server.eventually_counts("all have ended", |tally| tally.open == 0);
    assert_eq!(tally.completed + tally.failed, tally.accepted, "{tally:?}");
    assert!(tally.completed >= others && tally.failed >= 1, "{tally:?}");
    server.stop();
}

fn a_client_that_leaves_at_once_harms_no_other(model: Model) {
    const LEAVERS: u64 = 60;
    let server = Server::start(model, &[]);
    for _ in 0..LEAVERS {
        drop(Client::connect(server.address()));
    }
    let client = Client::connect(server.address());
    client.ask(b"still served");
    client.finish();
    let tally =
        server.eventually_counts("all have ended", |tally| tally.accepted == LEAVERS + 1 && tally.open == 0);
    assert_eq!(tally.completed, LEAVERS + 1, "who leaves between requests has had a whole conversation");
    server.stop();
}

/// As the checks of load balancers do.
fn a_client_that_resets_before_it_has_said_a_word_has_not_failed(model: Model) {
    const CHECKS: u64 = 20;
    let server = Server::start(model, &[]);
    (0..CHECKS).for_each(|_| Client::connect(server.address()).reset());
    let tally = server.eventually_counts("all are over", |tally| tally.accepted == CHECKS && tally.open == 0);
    assert_eq!((tally.completed, tally.failed), (CHECKS, 0), "{tally:?}");
    server.stop();
}

fn urgent_data_neither_harms_nor_keeps_the_server_busy(model: Model) {
    let server = Server::start(model, &[]);
    let client = Client::connect(server.address());
    client.ask(b"before");
    socket2::SockRef::from(client.stream()).send_out_of_band(b"!").expect("urgent data can be sent");
    // The urgent byte travels beside the stream, where nobody asks for it.
    client.ask(b"after");
    processes::assert_stands_still(server.pid());
    client.finish();
    eventually("it is over", || server.status().open == 0);
}
