//! Promises about what a server takes from the system: it gives everything back, and survives when
//! there is no more.

use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use tests::{Client, Exit, Kind, Launch, Model, Server, eventually, processes, promises};

promises!(
    two_thousand_connections_leave_no_descriptor_thread_or_process_behind,
    no_zombie_is_left_when_a_hundred_end_at_once,
    two_hundred_clients_are_served_with_sixty_four_descriptors,
    a_server_that_runs_out_of_descriptors_waits_and_then_goes_on,
    a_pause_ends_by_itself_without_any_other_event,
    a_client_for_whom_there_is_no_descriptor_does_not_hold_a_stop,
    a_server_with_clients_of_every_kind_stands_still,
    a_client_that_does_not_read_costs_little_more_than_a_buffer,
    a_server_with_too_few_descriptors_says_what_to_do,
    a_soft_limit_on_descriptors_does_not_count,
);
promises!(only [iterative thread pool mio tokio tokio_workers uring hybrid]: a_limit_beyond_the_descriptors_is_refused_with_the_remedy);
promises!(only [iterative fork prefork thread pool mio tokio tokio_workers hybrid]:
    an_accept_that_is_forbidden_neither_spins_nor_makes_the_server_deaf,
);
promises!(only [mio tokio tokio_workers uring hybrid]:
    slow_readers_for_whom_there_is_no_memory_are_ended_and_the_server_goes_on,
);
promises!(only [mio tokio tokio_workers uring hybrid]: four_thousand_idle_conversations_cost_next_to_no_memory);
promises!(only [fork prefork]: a_limit_beyond_the_descriptors_costs_the_parent_nothing);
promises!(only [thread]: a_server_that_cannot_start_a_thread_survives);
promises!(only [hybrid]: more_loops_than_descriptors_are_refused_with_the_remedy);
promises!(only [tokio_workers]: threads_that_the_system_does_not_give_are_told_of);

fn two_thousand_connections_leave_no_descriptor_thread_or_process_behind(model: Model) {
    const THREADS: u64 = 4;
    const CONNECTIONS: u64 = 500;
    let server = Server::start(model, &[]);
    let address = server.address();
    Client::connect(address).finish();
    server.eventually_counts("the first is over", |tally| tally.completed == 1);
    server.eventually_rests();
    let before = processes::holdings(server.pid());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(move || {
                for number in 0..CONNECTIONS {
                    let client = Client::connect(address);
                    client.ask(b"hello");
                    // Every way to leave.
                    match number % 3 {
                        0 => client.finish(),
                        1 => client.reset(),
                        _ => drop(client),
                    }
                }
            });
        }
    });
    let all = THREADS * CONNECTIONS + 1;
    server.eventually_counts("all are over", |tally| tally.accepted == all && tally.open == 0);
    // A thread or child may still be on its last steps.
    eventually("it has what it had before", || processes::holdings(server.pid()) == before);
    assert_eq!(processes::zombies(server.pid()), 0);
    server.stop();
}

/// SIGCHLD tells of many ends at once.
fn no_zombie_is_left_when_a_hundred_end_at_once(model: Model) {
    let server = Server::start(model, &[]);
    let clients: Vec<Client> = (0..100).map(|_| Client::connect(server.address())).collect();
    let served = model.at_once(clients.len());
    clients[..served].iter().for_each(|client| client.ask(b"hello"));
    drop(clients);
    let tally = server.eventually_counts("all are over", |tally| tally.accepted == 100 && tally.open == 0);
    assert_eq!(tally.completed, 100, "{tally:?}");
    assert_eq!(processes::zombies(server.pid()), 0);
    server.stop();
}

fn two_hundred_clients_are_served_with_sixty_four_descriptors(model: Model) {
    const CLIENTS: usize = 200;
    let server = Launch::of(model).script("ulimit -n 64; exec \"$0\" \"$@\"").start();
    let clients: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(server.address())).collect();
    clients.iter().for_each(|client| client.send(b"me too"));
    clients[0].expect_answer(b"me too");
    processes::assert_stands_still(server.pid());
    let mut clients = clients.into_iter();
    clients.next().expect("there are some").finish();
    for client in clients {
        client.expect_answer(b"me too");
        client.finish();
    }
    let tally = server.stop();
    assert_eq!(tally.completed, CLIENTS as u64, "{tally:?}");
}

/// Its limit is lowered below what it has open already, so that every accept fails.
fn a_server_that_runs_out_of_descriptors_waits_and_then_goes_on(model: Model) {
    /// How many connections server-uring asks for at once.
    const URING_REQUESTS: usize = 32;
    /// How long it has none to give.
    const LACK: Duration = Duration::from_millis(1500);
    // With few places server-uring asks for one connection at a time, and each request has the
    // limit of when it was made.
    let few_places: &[&str] = if model.kind == Kind::Uring { &["--max-connections", "100"] } else { &[] };
    let server = Server::start(model, few_places);
    // The iterative server would not look for another.
    let open = model.serves_several().then(|| Client::connect(server.address()));
    open.iter().for_each(|client| client.ask(b"hello"));
    server.eventually_rests();
    // What accepts: the one process, or the workers. A child that serves one client, or many,
    // accepts none.
    let accepting = match model.kind {
        Kind::Prefork => processes::children(server.pid()),
        _ => vec![server.pid()],
    };
    processes::limit_all_descriptors(&accepting, 3);
    // A worker that sleeps in accept has its next descriptor already (accept(2) takes it first):
    // each spends it on a client. So do the requests of server-uring that were made before.
    let already = match model.kind {
        Kind::Prefork => accepting.len() - 1,
        Kind::Uring => URING_REQUESTS,
        _ => 0,
    };
    for _ in 0..already {
        let client = Client::connect(server.address());
        client.ask(b"the last one for now");
        client.finish();
    }

    let begun = Instant::now();
    let client = Client::connect(server.address());
    client.send(b"anybody there?");
    let told = "Too many open files";
    server.log().wait_for_line("word of the lack", |line| line.contains(told));
    let used = processes::cpu_time_of(server.pid(), || {
        assert!(client.hears_nothing_for(LACK));
        open.iter().for_each(|client| client.ask(b"you are still served"));
    });
    assert!(used < LACK / 5, "it spins: {used:?} of processor time");

    processes::limit_all_descriptors(&accepting, 1024);
    client.expect_answer(b"anybody there?");
    let lasted = begun.elapsed();
    client.finish();
    drop(open);
    let lines = server.log().count(|line| line.contains(told));
    let allowed = (lasted.as_secs_f64().ceil() + 1.0) * accepting.len() as f64;
    assert!(lines as f64 <= allowed, "{lines} lines in the log in {lasted:?}");
    server.stop();
}

/// No tick of the idle timeout wakes the server, and nobody comes or leaves.
fn a_pause_ends_by_itself_without_any_other_event(model: Model) {
    const SOON: Duration = Duration::from_secs(2);
    // With few places server-uring asks for one connection at a time, and each request has the
    // limit of when it was made.
    let server = Server::start(model, &["--idle-timeout=0s", "--max-connections=100"]);
    let (client, all) = server.starve_of_descriptors(3);
    let raised = Instant::now();
    processes::limit_all_descriptors(&all, 1024);
    client.expect_answer(b"anybody there?");
    assert!(raised.elapsed() <= SOON, "only after {:?}", raised.elapsed());
    client.finish();
    server.stop();
}

fn a_client_for_whom_there_is_no_descriptor_does_not_hold_a_stop(model: Model) {
    const SOON: Duration = Duration::from_secs(4);
    let server = Server::start(model, &["--max-connections=100"]);
    let (_client, _) = server.starve_of_descriptors(3);
    let asked = Instant::now();
    server.stop();
    assert!(asked.elapsed() <= SOON, "only after {:?}", asked.elapsed());
}

/// Silent, stuck, with its input ended and its answers unread, and gone: none gives the server
/// work.
fn a_server_with_clients_of_every_kind_stands_still(model: Model) {
    let server = Server::start(model, &[]);
    // A signal that has been heard wakes nobody again.
    server.status();
    processes::assert_stands_still(server.pid());
    let silent = model.serves_several().then(|| Client::connect(server.address()));
    silent.iter().for_each(|client| client.ask(b"hello"));
    let ended = Client::connect_small(server.address());
    ended.send(&vec![b'x'; 300_000]);
    ended.end_input();
    let stuck = model.serves_several().then(|| Client::connect_small(server.address()));
    if let Some(client) = &stuck {
        client.send_until_held_back(&[b'x'; 50_000], usize::MAX);
        client.end_input();
    }
    Client::connect(server.address()).reset();
    processes::assert_stands_still(server.pid());
    assert_eq!(ended.receive_to_end().len(), 300_000);
    if let Some(client) = stuck {
        assert!(client.receive_to_end().iter().all(|&byte| byte == b'X'));
    }
    drop(silent);
    server.eventually_counts("all are over", |tally| tally.open == 0);
    server.stop();
}

/// However much it sends at a time. In the server's own memory, with the processes and threads that
/// it has for that client alone; what the kernel keeps for sockets and requests is not in it.
fn a_client_that_does_not_read_costs_little_more_than_a_buffer(model: Model) {
    const READERS: usize = 20;
    // A new process also writes to pages that its parent has already.
    let most_kibibytes = if model.kind == Kind::Fork { 160 } else { 128 };
    for bytes_at_a_time in [1000, 16 * 1024, 1024 * 1024] {
        let server = Server::start(model, &["--idle-timeout=0s"]);
        server.serves_one_and_rests();
        let before = processes::memory_bytes(server.pid());
        // Together, so that nobody is held back before the others have begun.
        let readers: Vec<Client> =
            (0..model.at_once(READERS)).map(|_| Client::connect(server.address())).collect();
        thread::scope(|scope| {
            for reader in &readers {
                scope.spawn(|| reader.send_until_held_back(&vec![b'x'; bytes_at_a_time], usize::MAX));
            }
        });
        let grown = processes::memory_bytes(server.pid()).saturating_sub(before);
        let kibibytes = grown / 1024 / readers.len() as u64;
        assert!(kibibytes <= most_kibibytes, "{kibibytes} KiB, with {bytes_at_a_time} bytes at a time");
        readers.into_iter().for_each(Client::reset);
        server.eventually_counts("all are over", |tally| tally.open == 0);
        server.stop();
    }
}

/// And what it asks for is enough, and not more than that.
fn a_server_with_too_few_descriptors_says_what_to_do(model: Model) {
    let of = |limit: u64| Launch::of(model).script(&format!("ulimit -n {limit}; exec \"$0\" \"$@\""));
    let least = |exit: Exit| {
        assert_eq!((exit.code, exit.output.len()), (Some(2), 0), "{exit:?}");
        let errors = exit.lines_with("error: ");
        assert!(errors.len() == 1 && errors[0].contains("ulimit"), "{:?}", exit.log);
        let (_, least) = errors[0].split_once(" needs at least ").expect("it says how many");
        least.split(':').next().and_then(|least| least.parse().ok()).expect("it is a number")
    };
    let enough = least(of(20).run());
    assert_eq!(least(of(enough - 1).run()), enough);
    let server = of(enough).start();
    Client::connect(server.address()).finish();
    server.eventually_counts("it is served", |tally| tally.completed == 1);
    assert_eq!(server.log().count(|line| line.contains("raised")), 0, "{:?}", server.log().so_far());
    server.stop();
}

/// As every process may for itself.
fn a_soft_limit_on_descriptors_does_not_count(model: Model) {
    let server = Launch::of(model).script("ulimit -Sn 40; ulimit -Hn 200; exec \"$0\" \"$@\"").start();
    let clients: Vec<Client> = (0..model.at_once(60)).map(|_| Client::connect(server.address())).collect();
    clients.iter().for_each(|client| client.ask(b"hello"));
    clients.into_iter().for_each(Client::finish);
    let raised = "raised the limit on open descriptors from 40 to 200";
    let log = server.log().so_far();
    assert!(log.iter().any(|line| line.ends_with(raised)), "{log:?}");
    server.stop();
}

/// The parent keeps both ends of each loop's inbox.
fn more_loops_than_descriptors_are_refused_with_the_remedy(model: Model) {
    let exit = Launch::of(model).script("ulimit -n 200; exec \"$0\" --processes=50 --threads=2").run();
    assert_eq!((exit.code, exit.output.len()), (Some(2), 0), "{exit:?}");
    let errors = exit.lines_with("error: ");
    assert!(errors.len() == 1 && errors[0].contains("ulimit"), "{:?}", exit.log);
}

/// The pool's workers are fewer; it is the limit that must be refused all the same, since it
/// promises what cannot be had.
fn a_limit_beyond_the_descriptors_is_refused_with_the_remedy(model: Model) {
    let exit = Launch::of(model)
        .script("ulimit -n 1000; exec \"$0\" \"$@\"")
        .options(&["--max-connections", "10000000"])
        .run();
    assert_eq!((exit.code, exit.output.len()), (Some(2), 0), "{exit:?}");
    let errors = exit.lines_with("error: ");
    assert_eq!(errors.len(), 1, "{:?}", exit.log);
    assert!(errors[0].contains("--max-connections") && errors[0].contains("ulimit"), "{}", errors[0]);
}

fn a_limit_beyond_the_descriptors_costs_the_parent_nothing(model: Model) {
    let server = Server::start(model, &["--max-connections", "10000000"]);
    let client = Client::connect(server.address());
    client.ask(b"hello");
    client.finish();
    server.stop();
}

/// What a loop or a runtime keeps for a conversation in which nothing happens is no page, and no
/// buffer.
fn four_thousand_idle_conversations_cost_next_to_no_memory(model: Model) {
    const CONVERSATIONS: usize = 4000;
    // An entry, with what a table that grows by doubling has to spare; or a task, and a runtime's
    // record of its socket.
    let most_bytes_each = match model.kind {
        Kind::Tokio | Kind::TokioWorkers => 2048,
        _ => 512,
    };
    // One model after the other, or their clients would have no descriptors.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock();
    if !processes::may_open(4 * CONVERSATIONS) {
        return;
    }
    let server = Server::start(model, &[]);
    let greet = |count| -> Vec<Client> {
        let clients: Vec<Client> = (0..count).map(|_| Client::connect(server.address())).collect();
        clients.iter().for_each(|client| client.ask(b"hello"));
        clients
    };
    // What the first ones cost is the buffer that all of them share.
    let first = greet(100);
    let before = processes::memory_bytes(server.pid());
    let idle = greet(CONVERSATIONS);
    let grown = processes::memory_bytes(server.pid()).saturating_sub(before);
    processes::assert_stands_still(server.pid());
    let each = grown / CONVERSATIONS as u64;
    assert!(each <= most_bytes_each, "an idle conversation costs {each} bytes");
    // Not closed, which would leave thousands in TIME_WAIT to be looked through by other tests.
    first.into_iter().chain(idle).for_each(Client::reset);
    server.eventually_counts("all are over", |tally| tally.open == 0);
    server.stop();
}

/// Without room for another stack, a client loses its connection; the server and the others go on.
fn a_server_that_cannot_start_a_thread_survives(model: Model) {
    let server = Server::start(model, &[]);
    let first = Client::connect(server.address());
    first.ask(b"hello");
    // One kibibyte: it has far more already, so no mapping is granted any more.
    processes::limit_address_space(server.pid(), Some(1024)).expect("it can be set");
    for _ in 0..3 {
        let unlucky = Client::connect(server.address());
        let (answer, _) = unlucky.receive_to_any_end();
        assert!(answer.is_empty());
        first.ask(b"you are still served");
    }
    let told = server.log().count(|line| line.contains("cannot start a thread"));
    assert!((1..=3).contains(&told), "{told} lines in the log");
    processes::limit_address_space(server.pid(), None).expect("it can be set");
    let next = Client::connect(server.address());
    next.ask(b"there is room again");
    next.finish();
    first.finish();
    let tally = server.stop();
    assert_eq!((tally.accepted, tally.failed), (5, 3), "{tally:?}");
}

/// Their stacks are to be larger than any memory.
fn threads_that_the_system_does_not_give_are_told_of(model: Model) {
    let exit = Launch::of(model).script("RUST_MIN_STACK=200000000000000 exec \"$0\" \"$@\"").run();
    assert_eq!((exit.code, exit.output.len()), (Some(1), 0), "{exit:?}");
    let errors = exit.lines_with("error: ");
    assert!(errors.len() == 1 && errors[0].contains("cannot start 4 threads"), "{:?}", exit.log);
}

/// As by a container's profile. Each error is one that a server cannot know the meaning of.
fn an_accept_that_is_forbidden_neither_spins_nor_makes_the_server_deaf(model: Model) {
    if Command::new("python3").arg("--version").output().is_err() {
        tests::skip("there is no python3 to set a filter");
        return;
    }
    let forbid = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/forbid.py");
    for error in ["EPERM", "ENOSYS"] {
        let script = format!("exec python3 {forbid} {error} accept accept4 -- \"$0\" \"$@\"");
        let server = Launch::of(model).script(&script).start();
        let client = Client::connect(server.address());
        client.send(b"anybody there?");
        let told = |line: &str| line.contains("cannot accept");
        server.log().wait_for_line("word of it", told);
        processes::assert_stands_still(server.pid());
        let lines = server.log().count(told);
        assert!(lines <= 3 * processes::tree(server.pid()).len(), "{lines} lines in the log");
        assert_eq!(server.status().accepted, 0);
        server.stop();
    }
}

/// What is kept for each is a buffer's worth; it must come from somewhere.
fn slow_readers_for_whom_there_is_no_memory_are_ended_and_the_server_goes_on(model: Model) {
    const READERS: usize = 20;
    let server = Server::start(model, &["--idle-timeout=0s"]);
    let polite = Client::connect(server.address());
    polite.ask(b"hello");
    // What one of them needs is there from now on.
    let first = Client::connect_small(server.address());
    first.send_until_held_back(&[b'x'; 50_000], usize::MAX);
    first.reset();
    server.eventually_counts("it is over", |tally| tally.open == 1);
    for pid in processes::tree(server.pid()) {
        let most = processes::address_space_bytes(pid) + 512 * 1024;
        processes::limit_address_space(pid, Some(most)).expect("it can be set");
    }
    let readers: Vec<Client> = (0..READERS).map(|_| Client::connect_small(server.address())).collect();
    for reader in &readers {
        // Until it is held back, or its conversation has ended.
        reader.stream().set_write_timeout(Some(Duration::from_millis(50))).expect("a deadline can be set");
        while std::io::Write::write(&mut reader.stream(), &[b'x'; 50_000]).is_ok() {}
    }
    polite.ask(b"you are still served");
    let tally = server.status();
    assert!(tally.failed > 0, "there was memory for all: {tally:?}");
    readers.into_iter().for_each(Client::reset);
    server.eventually_counts("they are over", |tally| tally.open == 1);
    polite.ask(b"and from now on, too");
    polite.finish();
    server.stop();
}
