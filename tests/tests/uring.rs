//! Promises about completions: where there is no io_uring, the server says so, and buffers that all
//! share are used up by nobody.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use tests::{Client, Launch, Model, Random, Server, Signal, processes, promises, shouted};

promises!(only [uring]:
    a_server_that_may_not_use_io_uring_says_what_to_do,
    a_kernel_that_takes_no_requests_makes_the_server_neither_spin_nor_end_nor_deaf,
    a_successor_can_bind_as_soon_as_the_server_has_ended,
    a_limit_is_kept_where_one_request_accepts_more_than_there_are_places,
    who_comes_when_all_places_are_taken_is_not_even_accepted,
    no_thread_of_the_kernel_works_for_the_server,
);
promises!(only [mio uring]: clients_of_every_temper_get_every_byte_right);

/// What starts a server in which a system call fails; `None`, and a word about it, where nothing
/// can be forbidden.
fn forbidding(call: &str, error: &str) -> Option<String> {
    let forbid = concat!("python3 ", env!("CARGO_MANIFEST_DIR"), "/programs/forbid.py");
    let works = Command::new("sh").args(["-c", &format!("{forbid} EPERM {call} -- /bin/true")]).output();
    if !works.is_ok_and(|output| output.status.success()) {
        tests::skip("io_uring cannot be forbidden here: there is no python3, or no seccomp");
        return None;
    }
    Some(format!("exec {forbid} {error} {call} -- \"$0\" \"$@\""))
}

fn a_server_that_may_not_use_io_uring_says_what_to_do(model: Model) {
    let words = [
        ("EPERM", "kernel.io_uring_disabled"),
        ("ENOSYS", "has none"),
        ("EINVAL", "Linux 6.1"),
        ("ENOMEM", "ulimit -l"),
    ];
    for (error, word) in words {
        let Some(script) = forbidding("io_uring_setup", error) else { return };
        let exit = Launch::of(model).script(&script).run();
        assert_eq!((exit.code, exit.output.len()), (Some(1), 0), "{exit:?}");
        assert_eq!(exit.log.len(), 1, "{:?}", exit.log);
        let line = &exit.log[0];
        assert!(line.starts_with("error: cannot use io_uring: "), "{line}");
        assert!(line.contains(word) && line.contains("server-mio"), "{line}");
    }
}

/// For lack of memory. It tries again, and still hears signals, although no request tells of them.
fn a_kernel_that_takes_no_requests_makes_the_server_neither_spin_nor_end_nor_deaf(model: Model) {
    for error in ["EAGAIN", "EBUSY", "ENOMEM", "EBADR"] {
        let Some(script) = forbidding("io_uring_enter", error) else { return };
        let server = Launch::of(model).script(&script).start();
        let told = |line: &str| line.contains("cannot hand requests to the kernel");
        server.log().wait_for_line("word of it", told);
        processes::assert_stands_still(server.pid());
        assert!(server.log().count(told) <= 3);
        assert_eq!(server.status().accepted, 0);
        server.stop();
    }
}

/// Requests to accept hold the listener open, until they have ended.
fn a_successor_can_bind_as_soon_as_the_server_has_ended(model: Model) {
    for limit in ["10", "100"] {
        let options = ["--max-connections", limit, "--backlog", "50"];
        let mut server = Server::start(model, &options);
        for _ in 0..20 {
            let address = server.address();
            server.stop();
            let successor = Launch::of(model).options(&options).listen(Some(&address.to_string()));
            server = successor.start();
        }
        server.stop();
    }
}

/// While there are more places than the queue is long, one request accepts whoever comes, and does
/// not know the limit.
fn a_limit_is_kept_where_one_request_accepts_more_than_there_are_places(model: Model) {
    const PLACES: u64 = 50;
    const CLIENTS: u64 = 80;
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let server = Launch::of(model).limit(50).options(&["--backlog", "1"]).handed_over(listener).start();
    // They are all in the queue when the server looks at it again.
    assert_eq!(server.status().open, 0);
    server.signal(Signal::SIGSTOP);
    let clients: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(server.address())).collect();
    clients.iter().for_each(|client| client.send(b"hello"));
    server.signal(Signal::SIGCONT);
    let tally = server.eventually_counts("all places are taken", |tally| tally.open == PLACES);
    assert_eq!(tally.accepted, PLACES, "{tally:?}");
    let (first, surplus) = clients.split_at(50);
    first.iter().for_each(|client| client.expect_answer(b"hello"));
    assert!(surplus[0].hears_nothing_for(Duration::from_millis(100)), "a client over the limit is answered");
    for client in clients {
        client.end_input();
        let answer = client.receive_to_end();
        assert!(answer.is_empty() || answer == b"HELLO", "{answer:?}");
    }
    assert_eq!(server.stop().completed, CLIENTS);
}

fn who_comes_when_all_places_are_taken_is_not_even_accepted(model: Model) {
    const PLACES: usize = 50;
    const PATIENCE: Duration = Duration::from_millis(20);
    let server = Launch::of(model).limit(PLACES).options(&["--backlog", "1"]).start();
    let next = |_| {
        let client = Client::connect(server.address());
        client.ask(b"hello");
        client
    };
    let clients: Vec<Client> = (0..PLACES).map(next).collect();
    let surplus: Vec<_> = (0..40).map(|_| TcpStream::connect_timeout(&server.address(), PATIENCE)).collect();
    assert_eq!(processes::tcp_peers(server.pid()).len(), PLACES);
    drop(surplus);
    clients.into_iter().for_each(Client::finish);
    server.stop();
}

/// A request that cannot be waited for otherwise is given to a thread of the kernel, which counts
/// as one of the server's.
fn no_thread_of_the_kernel_works_for_the_server(model: Model) {
    let server = Server::start(model, &[]);
    for bytes in [1, 1000, 100_000] {
        let clients: Vec<Client> = (0..20).map(|_| Client::connect(server.address())).collect();
        let request = vec![b'x'; bytes];
        clients.iter().for_each(|client| client.send(&request));
        assert_eq!(processes::threads(server.pid()), 1);
        clients.iter().for_each(|client| client.expect_answer(&request));
        clients.into_iter().for_each(Client::finish);
    }
    let stuck = Client::connect_small(server.address());
    stuck.send_until_held_back(&[b'x'; 50_000], usize::MAX);
    assert_eq!(processes::threads(server.pid()), 1);
    stuck.reset();
    server.stop();
}

/// One conversation of random sizes: some read at once, some late and in small pieces, some break
/// off.
fn converse_at_random(server: &Server, seed: u64) {
    const LARGEST: usize = 400_000;
    let mut random = Random::new(seed);
    let client = if seed.is_multiple_of(2) {
        Client::connect_small(server.address())
    } else {
        Client::connect(server.address())
    };
    for _ in 0..random.up_to(8) {
        let largest = if random.up_to(3) == 1 { LARGEST } else { 2000 };
        let count = random.up_to(largest);
        let request = random.bytes(count);
        let late = random.up_to(3) == 1;
        let breaks = random.up_to(12) == 1;
        thread::scope(|scope| {
            scope.spawn(|| {
                let sent = client.stream().write_all(&request);
                assert!(breaks || sent.is_ok(), "{sent:?}");
            });
            if breaks {
                let _ = client.stream().read(&mut [0; 100]);
                let _ = client.stream().shutdown(std::net::Shutdown::Both);
                return;
            }
            if late {
                thread::sleep(Duration::from_millis(20));
            }
            let mut answer = Vec::new();
            while answer.len() < count {
                let piece = random.up_to(30_000).min(count - answer.len());
                answer.extend(client.receive(piece));
            }
            assert!(answer == shouted(&request), "of {count} bytes some are wrong");
        });
        if breaks {
            return client.reset();
        }
    }
    client.finish();
}

fn clients_of_every_temper_get_every_byte_right(model: Model) {
    const THREADS: u64 = 6;
    const CONVERSATIONS: u64 = 15;
    let server = Server::start(model, &[]);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let server = &server;
            scope.spawn(move || {
                let seeds = number * CONVERSATIONS..(number + 1) * CONVERSATIONS;
                seeds.for_each(|seed| converse_at_random(server, seed));
            });
        }
    });
    let tally = server.eventually_counts("all are over", |tally| tally.open == 0);
    assert_eq!(tally.accepted, THREADS * CONVERSATIONS, "{tally:?}");
    assert!(tally.completed > tally.failed, "{tally:?}");
    server.stop();
}
