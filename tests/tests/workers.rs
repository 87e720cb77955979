//! Promises about event loops in several processes: they are one server, also when one of them is
//! killed.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::{Client, DEADLINE, Exit, Launch, Model, Random, Server, Tally, eventually, processes, promises};

promises!(only [hybrid]:
    a_killed_worker_ends_only_its_own_conversations,
    who_waits_in_a_killed_workers_inbox_is_served_by_another,
    who_waits_before_a_full_inbox_is_served_when_it_is_empty,
    workers_killed_at_any_moment_cost_no_place,
    half_a_worker_serves_nobody_and_says_so,
    the_limit_holds_over_all_processes,
    a_few_places_serve_many_who_wait_also_with_many_loops,
    who_waits_for_a_descriptor_gets_it_whichever_worker_has_it,
    conversations_are_spread_evenly,
    processes_and_threads_are_named_and_as_many_as_asked_for,
    a_worker_that_is_told_to_stop_finishes_and_is_replaced,
    a_socket_that_is_handed_over_is_served_by_all_workers,
    wrong_numbers_of_processes_and_threads_are_refused,
);
promises!(only [prefork hybrid]: a_stop_is_heard_although_no_worker_can_be_started);
promises!(of_servers_that_start_at_once_on_one_address_only_one_serves);

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).expect("the worker runs");
}

/// The workers, when all have started.
#[track_caller]
fn workers(server: &Server, count: usize) -> Vec<i32> {
    let mut found = Vec::new();
    eventually("all workers have started", || {
        found = processes::children(server.pid());
        let named = |&pid: &i32| processes::name(pid).is_some_and(|name| name.starts_with("worker "));
        found.len() == count && found.iter().all(named)
    });
    found
}

/// The same program, which is told nothing about processes and threads.
fn without_options(model: Model) -> Model {
    Model { kind: tests::Kind::Mio, ..model }
}

fn open_in(worker: i32) -> usize {
    processes::tcp_peers(worker).len()
}

fn connect(server: &Server, count: usize) -> Vec<Client> {
    let clients: Vec<Client> = (0..count).map(|_| Client::connect(server.address())).collect();
    clients.iter().for_each(|client| client.ask(b"hello"));
    clients
}

/// While others ask without a pause.
fn a_killed_worker_ends_only_its_own_conversations(model: Model) {
    const CLIENTS: usize = 60;
    let server = Server::start(model, &[]);
    let workers = workers(&server, 2);
    let clients = connect(&server, CLIENTS);
    let peers = processes::tcp_peers(workers[0]);
    let (victims, others): (Vec<Client>, Vec<Client>) =
        clients.into_iter().partition(|client| peers.contains(&client.address()));
    assert!(!victims.is_empty() && !others.is_empty());
    let enough = &AtomicBool::new(false);
    thread::scope(|scope| {
        for client in &others {
            scope.spawn(move || {
                let begun = Instant::now();
                while !enough.load(Ordering::SeqCst) && begun.elapsed() < DEADLINE {
                    client.ask(b"not harmed");
                }
            });
        }
        signal(workers[0], Signal::SIGKILL);
        for client in &victims {
            assert!(client.receive_to_any_end().0.is_empty());
        }
        let failed = victims.len() as u64;
        let tally = server.eventually_counts("they are counted", |tally| tally.failed == failed);
        assert_eq!(
            tally,
            Tally { open: others.len() as u64, accepted: CLIENTS as u64, failed, ..Tally::default() }
        );
        self::workers(&server, 2);
        let next = connect(&server, CLIENTS);
        next.into_iter().for_each(Client::finish);
        enough.store(true, Ordering::SeqCst);
    });
    others.into_iter().for_each(Client::finish);
    let tally = server.stop();
    assert_eq!(tally.failed, victims.len() as u64, "{tally:?}");
    assert_eq!(tally.accepted, 2 * CLIENTS as u64, "{tally:?}");
}

/// It stands still, so what the parent passes to it stays in its inbox.
fn who_waits_in_a_killed_workers_inbox_is_served_by_another(model: Model) {
    // More for each loop than one message holds.
    const CLIENTS: usize = 2000;
    if !processes::may_open(4 * CLIENTS) {
        return;
    }
    let server = Server::start(model, &[]);
    let workers = workers(&server, 2);
    server.eventually_rests();
    connect(&server, 4).into_iter().for_each(Client::finish);
    server.eventually_counts("their ends are known", |tally| tally.open == 0);
    // Sleeps until it is killed.
    signal(workers[0], Signal::SIGSTOP);
    eventually("all its threads stand still", || processes::is_stopped(workers[0]));
    let clients: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(server.address())).collect();
    clients.iter().for_each(|client| client.send(b"is anybody there?"));
    let served = |client: &&Client| !client.hears_nothing_for(Duration::from_millis(1));
    eventually("the other worker serves its own", || {
        clients.iter().filter(served).count() == CLIENTS / 2 && server.status().open == CLIENTS as u64
    });
    signal(workers[0], Signal::SIGKILL);
    for client in clients {
        client.expect_answer(b"is anybody there?");
        client.finish();
    }
    let tally = server.stop();
    assert_eq!((tally.completed, tally.failed), (CLIENTS as u64 + 4, 0), "{tally:?}");
}

/// Nothing tells the parent that there is room in it again.
fn who_waits_before_a_full_inbox_is_served_when_it_is_empty(model: Model) {
    const MOST: usize = 1000;
    const A_MOMENT: Duration = Duration::from_millis(300);
    if !processes::may_open(4 * MOST) {
        return;
    }
    let options = ["--processes", "1", "--threads", "1"];
    let server = Launch::of(without_options(model)).options(&options).start();
    let worker = workers(&server, 1)[0];
    connect(&server, 1).into_iter().for_each(Client::finish);
    server.eventually_counts("the worker serves", |tally| tally.completed == 1);
    signal(worker, Signal::SIGSTOP);
    eventually("it stands still", || processes::is_stopped(worker));
    let mut clients = Vec::new();
    let is_full = || open_in(server.pid()) > 0;
    while !is_full() {
        assert!(clients.len() < MOST, "an inbox is never full");
        for _ in 0..50 {
            clients.push(Client::connect(server.address()));
            // A message each.
            thread::sleep(Duration::from_millis(1));
        }
        server.eventually_counts("all are accepted", |tally| tally.open == clients.len() as u64);
        thread::sleep(Duration::from_millis(20));
    }
    let used = processes::cpu_time_of(server.pid(), || thread::sleep(A_MOMENT));
    assert!(used < A_MOMENT / 2, "{used:?} of processor time in {A_MOMENT:?}");
    signal(worker, Signal::SIGCONT);
    for client in &clients {
        client.ask(b"is anybody there?");
    }
    clients.into_iter().for_each(Client::finish);
    assert_eq!(
        server.log().count(|line| line.contains("cannot ")),
        0,
        "it is no failure: {:?}",
        server.log().so_far()
    );
    server.stop();
}

/// While clients come and go, at a limit; a place that is lost each time would soon leave none.
fn workers_killed_at_any_moment_cost_no_place(model: Model) {
    const PLACES: usize = 3;
    const KILLS: usize = 12;
    let server = Launch::of(model).limit(PLACES).start();
    let address = server.address();
    let enough = &AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(move || {
                let begun = Instant::now();
                while !enough.load(Ordering::SeqCst) && begun.elapsed() < 2 * DEADLINE {
                    // Some are broken off.
                    let Ok(stream) = TcpStream::connect_timeout(&address, DEADLINE) else { continue };
                    let client = Client::over(stream);
                    if std::io::Write::write_all(&mut client.stream(), b"hello").is_ok() {
                        let _ = std::io::Read::read(&mut client.stream(), &mut [0; 5]);
                    }
                }
            });
        }
        let mut random = Random::new(1);
        for _ in 0..KILLS {
            let before = server.status().accepted;
            server.eventually_counts("it serves", |tally| tally.accepted > before + 20);
            assert!(server.status().open <= PLACES as u64);
            thread::sleep(Duration::from_micros(random.up_to(20_000) as u64));
            let workers = processes::children(server.pid());
            if let Some(&worker) = workers.get(random.up_to(2) - 1) {
                signal(worker, Signal::SIGKILL);
            }
        }
        enough.store(true, Ordering::SeqCst);
    });
    server.eventually_counts("all are over", |tally| tally.open == 0);
    let clients = connect(&server, PLACES);
    let surplus = Client::connect(address);
    surplus.send(b"one too many");
    assert!(surplus.hears_nothing_for(Duration::from_millis(150)), "more places than there were");
    clients.into_iter().for_each(Client::finish);
    surplus.expect_answer(b"one too many");
    surplus.finish();
    server.stop();
}

/// What a server says that may have no process for a worker.
const NONE: &str = "cannot start a worker: ";

/// A server of a user who may have no process but it, and what changes how many processes and
/// threads that may be; nothing where it cannot be done.
fn start_without_workers(model: Model) -> Option<(Server, impl Fn(usize))> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let id = 1_000_000 + 16 * std::process::id() + NEXT.fetch_add(1, Ordering::Relaxed);
    let user = format!("setpriv --reuid={id} --clear-groups");
    let as_user = user.clone();
    let run = move |command: &str| {
        let run = Command::new("sh").args(["-c", &format!("exec {as_user} {command}")]).output();
        run.is_ok_and(|run| run.status.success())
    };
    if !run(&format!("prlimit --nproc=10 {} --version", model.program)) {
        tests::skip(
            "only root can give a server a limit on threads of its own, and only where others may run it",
        );
        return None;
    }
    let script = format!("exec prlimit --nproc=1:100 {user} \"$0\" \"$@\"");
    let server = Launch::of(model).script(&script).start();
    let pid = server.pid();
    let limit =
        move |most| assert!(run(&format!("prlimit --pid={pid} --nproc={most}:100")), "it may be changed");
    Some((server, limit))
}

/// The processes and threads that there may be are first none for a worker, then too few for its
/// threads, then enough for one.
fn half_a_worker_serves_nobody_and_says_so(model: Model) {
    const HALF: &str = "a worker failed: ";
    let Some((server, limit)) = start_without_workers(model) else { return };
    let begun = Instant::now();
    let client = Client::connect(server.address());
    client.send(b"anybody there?");
    server.log().wait_for_line("word of it", |line| line.contains(NONE));
    processes::assert_stands_still(server.pid());
    limit(3);
    server.log().wait_for_line("word of it", |line| line.contains(HALF));
    assert!(client.hears_nothing_for(Duration::from_secs(1)), "half a worker serves");
    processes::assert_stands_still(server.pid());
    // The parent, a worker with two threads, and half of another.
    limit(6);
    client.expect_answer(b"anybody there?");
    let clients = connect(&server, 40);
    let lines = server.log().count(|line| line.contains(NONE) || line.contains(HALF));
    assert!(lines < 40, "{lines} lines in the log in {:?}", begun.elapsed());
    clients.into_iter().chain([client]).for_each(Client::finish);
    let tally = server.stop();
    assert_eq!((tally.completed, tally.failed), (41, 0), "{tally:?}");
}

fn a_stop_is_heard_although_no_worker_can_be_started(model: Model) {
    let Some((server, _)) = start_without_workers(model) else { return };
    let client = Client::connect(server.address());
    client.send(b"anybody there?");
    server.log().wait_for_line("word of it", |line| line.contains(NONE));
    let begun = Instant::now();
    assert_eq!(server.stop(), Tally::default());
    assert!(begun.elapsed() < DEADLINE / 4, "it took {:?}", begun.elapsed());
    assert!(client.receive_to_any_end().0.is_empty());
}

fn the_limit_holds_over_all_processes(model: Model) {
    const PLACES: usize = 10;
    let server = Launch::of(model).limit(PLACES).start();
    let workers = workers(&server, 2);
    let clients: Vec<Client> = (0..3 * PLACES).map(|_| Client::connect(server.address())).collect();
    for client in &clients {
        client.send(b"hello");
        client.end_input();
    }
    for client in &clients {
        assert_eq!(client.receive_to_end(), b"HELLO");
    }
    let held = connect(&server, PLACES);
    let waiting = Client::connect(server.address());
    waiting.send(b"hello");
    assert!(waiting.hears_nothing_for(Duration::from_millis(150)));
    assert_eq!(workers.iter().map(|&worker| open_in(worker)).sum::<usize>(), PLACES);
    assert_eq!(server.status().open, PLACES as u64);
    drop(held);
    waiting.expect_answer(b"hello");
    waiting.finish();
    server.stop();
}

/// A place that one loop does not need is another's, at once.
fn a_few_places_serve_many_who_wait_also_with_many_loops(model: Model) {
    const PLACES: usize = 4;
    const WAITING: usize = 40;
    let options = ["--processes", "16", "--threads", "1"];
    let server = Launch::of(without_options(model)).limit(PLACES).options(&options).start();
    workers(&server, 16);
    let first = connect(&server, PLACES);
    let waiting: Vec<Client> = (0..WAITING).map(|_| Client::connect(server.address())).collect();
    waiting.iter().for_each(|client| client.send(b"me too"));
    processes::assert_stands_still(server.pid());
    let begun = Instant::now();
    let used = processes::cpu_time_of(server.pid(), || {
        first.into_iter().for_each(Client::finish);
        for client in waiting {
            client.expect_answer(b"me too");
            client.finish();
        }
    });
    assert!(begun.elapsed() < DEADLINE / 4, "it took {:?}", begun.elapsed());
    assert!(used < Duration::from_millis(500), "{used:?} of processor time");
    let tally = server.stop();
    assert_eq!(tally.completed, (PLACES + WAITING) as u64, "{tally:?}");
}

/// Without a limit but that: each worker has its own descriptors.
fn who_waits_for_a_descriptor_gets_it_whichever_worker_has_it(model: Model) {
    let server = Launch::of(model).script("ulimit -n 58; exec \"$0\" \"$@\"").start();
    let workers = workers(&server, 2);
    let clients: Vec<Client> = (0..60).map(|_| Client::connect(server.address())).collect();
    clients.iter().for_each(|client| client.send(b"me too"));
    clients[0].expect_answer(b"me too");
    processes::assert_stands_still(server.pid());
    let open = usize::try_from(server.status().open).expect("it fits");
    assert!(open < clients.len(), "all are open, so none can wait");
    clients[1..open].iter().for_each(|client| client.expect_answer(b"me too"));
    let peers = processes::tcp_peers(workers[0]);
    let (leaving, staying): (Vec<_>, Vec<_>) =
        clients.into_iter().enumerate().partition(|(_, client)| peers.contains(&client.address()));
    assert!(leaving.len() * 2 == open, "{} of {open} are in one worker", leaving.len());
    let left = leaving.len();
    leaving.into_iter().for_each(|(_, client)| client.finish());
    for (number, client) in &staying {
        if (open..open + left).contains(number) {
            client.expect_answer(b"me too");
        }
    }
    staying.into_iter().for_each(|(_, client)| drop(client));
    server.stop();
}

fn conversations_are_spread_evenly(model: Model) {
    for clients in [8, 200] {
        let server = Server::start(model, &[]);
        let workers = workers(&server, 2);
        // A worker that has started gets clients only when it has said that it serves.
        server.eventually_rests();
        let clients = connect(&server, clients);
        let most = workers.iter().map(|&worker| open_in(worker)).max().expect("there are two");
        assert!(most * 2 * 4 <= clients.len() * 5, "{most} of {} are in one of two workers", clients.len());
        clients.into_iter().for_each(Client::finish);
        server.stop();
    }
}

fn processes_and_threads_are_named_and_as_many_as_asked_for(model: Model) {
    let server = Server::start(model, &[]);
    let workers = workers(&server, 2);
    assert_eq!(processes::threads(server.pid()), 1, "it forks, so it must have no other thread");
    for (number, &worker) in workers.iter().enumerate() {
        assert_eq!(processes::name(worker), Some(format!("worker {number}")));
        let expected = [format!("worker {number}"), format!("loop {number}.0"), format!("loop {number}.1")];
        eventually("its threads have started and are named", || {
            processes::thread_names(worker).into_iter().collect::<HashSet<_>>()
                == HashSet::from(expected.clone())
        });
    }
    server.stop();
}

fn a_worker_that_is_told_to_stop_finishes_and_is_replaced(model: Model) {
    let server = Server::start(model, &[]);
    let workers = workers(&server, 2);
    let clients = connect(&server, 20);
    let ended = open_in(workers[0]);
    signal(workers[0], Signal::SIGTERM);
    let tally = server.eventually_counts("its own are ended", |tally| tally.completed == ended as u64);
    assert_eq!(tally.failed, 0, "{tally:?}");
    self::workers(&server, 2);
    connect(&server, 20).into_iter().for_each(Client::finish);
    drop(clients);
    assert_eq!(server.stop().completed, 40);
}

fn a_socket_that_is_handed_over_is_served_by_all_workers(model: Model) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = listener.local_addr().expect("it has an address");
    let server = Launch::of(model).handed_over(listener).start();
    let workers = workers(&server, 2);
    let clients: Vec<Client> = (0..100).map(|_| Client::connect(address)).collect();
    clients.iter().for_each(|client| client.ask(b"hello"));
    assert!(workers.iter().all(|&worker| open_in(worker) > 0));
    clients.into_iter().for_each(Client::finish);
    assert_eq!(server.stop().completed, 100);
}

fn wrong_numbers_of_processes_and_threads_are_refused(model: Model) {
    for option in ["--processes", "--threads"] {
        for value in ["0", "-1", "many", "99999999999"] {
            let exit = Launch::of(without_options(model)).options(&[&format!("{option}={value}")]).run();
            assert_eq!((exit.code, exit.output.len()), (Some(2), 0), "{exit:?}");
            assert!(exit.log.join("\n").contains(option), "{exit:?}");
        }
    }
}

/// Between bind and listen two servers may have the same address; the kernel must be asked again,
/// and refuse one of them.
fn of_servers_that_start_at_once_on_one_address_only_one_serves(model: Model) {
    const SERVERS: usize = 6;
    // A port that was free a moment ago, on an address of its own, so that no other test takes it
    // meanwhile.
    let [.., high, low] = std::process::id().to_be_bytes();
    let free =
        TcpListener::bind((Ipv4Addr::new(127, 77, high, low), 0)).expect("all of 127/8 is this machine");
    let address = free.local_addr().expect("it has an address").to_string();
    drop(free);
    for _ in 0..3 {
        let start = |_: usize| {
            let address = address.clone();
            thread::spawn(move || Launch::of(model).listen(Some(&address)).attempt())
        };
        let attempts: Vec<_> = (0..SERVERS).map(start).collect();
        let results: Vec<Result<Server, Exit>> =
            attempts.into_iter().map(|attempt| attempt.join().expect("it is tried")).collect();
        let (served, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!(served.len(), 1, "{refused:?}");
        for exit in refused.into_iter().filter_map(Result::err) {
            assert_eq!(exit.code, Some(1), "{exit:?}");
            assert_eq!(exit.lines_with("in use").len(), 1, "{exit:?}");
        }
        for server in served.into_iter().flatten() {
            let client = Client::connect(server.address());
            client.ask(b"hello");
            client.finish();
            assert_eq!(server.stop().completed, 1);
        }
    }
}
