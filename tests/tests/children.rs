//! Promises about the models whose conversations have processes of their own.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::{Client, Kind, Launch, Model, Server, Tally, eventually, processes, promises};

promises!(only [fork prefork hybrid]:
    children_die_with_a_killed_parent_and_the_port_is_free,
    a_child_that_a_real_time_signal_ends_is_counted,
    the_parent_alone_is_asked_to_stop,
);
promises!(only [fork prefork]:
    a_child_is_named_after_its_peer,
    a_killed_child_ends_only_its_own_conversation,
    a_child_holds_no_client_but_its_own,
    a_signal_to_the_whole_group_is_the_parents_to_understand,
);
promises!(only [prefork]: a_killed_worker_is_replaced);
promises!(only [prefork hybrid]: workers_that_die_again_and_again_are_replaced_ever_later);

/// The longest name of a process in bytes.
const NAME_BYTES: usize = 15;

fn kill_child(pid: i32) {
    // It may have ended by itself: then nobody has its number yet, since its parent has just been
    // seen with it.
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    // Until it has died it may still take a client, who is then lost with it.
    eventually("the child has died", || !processes::runs(pid));
}

/// The child that serves `client`.
fn child_of(server: &Server, client: &Client) -> i32 {
    let address = client.address().to_string();
    let name = &address[address.len().saturating_sub(NAME_BYTES)..];
    let mut found = None;
    eventually("a child is named after its peer", || {
        let children = processes::children(server.pid());
        found = children.into_iter().find(|&pid| processes::name(pid).as_deref() == Some(name));
        found.is_some()
    });
    found.expect("it was found")
}

fn children_die_with_a_killed_parent_and_the_port_is_free(model: Model) {
    let server = Server::start(model, &[]);
    let address = server.address();
    let clients: Vec<Client> = (0..model.at_once(6)).map(|_| Client::connect(address)).collect();
    clients.iter().for_each(|client| client.ask(b"hello"));
    let children = processes::children(server.pid());
    if model.kind != Kind::Hybrid {
        assert!(children.len() >= clients.len());
    }
    server.signal(Signal::SIGKILL);
    assert_eq!(server.wait_exit().code, None, "a signal killed it");
    eventually("no child runs", || !children.iter().any(|&pid| processes::runs(pid)));
    for client in &clients {
        assert!(client.receive_to_any_end().0.is_empty());
    }
    let refused = TcpStream::connect(address).expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    Launch::of(model).listen(Some(&address.to_string())).start().stop();
}

fn a_child_is_named_after_its_peer(model: Model) {
    let server = Server::start(model, &[]);
    let clients: Vec<Client> = (0..3).map(|_| Client::connect(server.address())).collect();
    clients.iter().for_each(|client| client.ask(b"hello"));
    let named: HashSet<i32> = clients.iter().map(|client| child_of(&server, client)).collect();
    assert_eq!(named.len(), clients.len());
    let last = child_of(&server, &clients[2]);
    clients.into_iter().for_each(Client::finish);
    if model.kind == Kind::Prefork {
        eventually("a worker without a peer is called idle", || {
            processes::name(last).as_deref() == Some("idle")
        });
    }
    server.stop();
}

fn a_killed_child_ends_only_its_own_conversation(model: Model) {
    let server = Server::start(model, &[]);
    let clients: Vec<Client> = (0..4).map(|_| Client::connect(server.address())).collect();
    clients.iter().for_each(|client| client.ask(b"hello"));
    let (victim, others) = clients.split_first().expect("there are some");
    kill_child(child_of(&server, victim));
    assert!(victim.receive_to_any_end().0.is_empty());
    others.iter().for_each(|client| client.ask(b"not harmed"));
    let tally = server.eventually_counts("it is counted", |tally| tally.failed == 1);
    assert_eq!(tally, Tally { open: 3, accepted: 4, failed: 1, ..Tally::default() });
    // Its place can be used again.
    let next = Client::connect(server.address());
    next.ask(b"in its place");
    next.finish();
    drop(clients);
    let tally = server.stop();
    assert_eq!((tally.completed, tally.failed), (4, 1), "{tally:?}");
}

/// Such a signal has no name, and libraries take an end by one for an error.
fn a_child_that_a_real_time_signal_ends_is_counted(model: Model) {
    let server = Launch::of(model).limit(1).start();
    let client = Client::connect(server.address());
    client.ask(b"hello");
    for child in processes::children(server.pid()) {
        let killed = Command::new("sh").args(["-c", &format!("kill -40 {child}")]).status();
        assert!(killed.is_ok_and(|status| status.success()));
    }
    assert!(client.receive_to_any_end().0.is_empty());
    let next = Client::connect(server.address());
    next.ask(b"in its place");
    next.finish();
    let tally = server.stop();
    assert_eq!((tally.completed, tally.failed), (1, 1), "{tally:?}");
}

/// A socket that a sibling has inherited stays open when its own child has ended: that client would
/// never see its end.
fn a_child_holds_no_client_but_its_own(model: Model) {
    let server = Server::start(model, &[]);
    let address = server.address();
    let clients: Vec<Client> = (0..4).map(|_| Client::connect(address)).collect();
    clients.iter().for_each(|client| client.ask(b"hello"));
    for client in &clients {
        let child = child_of(&server, client);
        assert_eq!(
            processes::tcp_peers(child),
            HashSet::from([client.address()]),
            "the clients of one child"
        );
        let listens = !processes::listening_addresses(child).is_empty();
        // A prefork worker accepts by itself.
        assert_eq!(
            listens,
            model.kind == Kind::Prefork,
            "a child that serves one client has no use for the listener"
        );
    }
    assert!(processes::tcp_peers(server.pid()).is_empty(), "the parent serves nobody");
    // In the order in which they came: the last one's process would still hold the first one's
    // socket.
    for client in clients {
        client.finish();
    }
    server.stop();
}

fn the_parent_alone_is_asked_to_stop(model: Model) {
    let server = Server::start(model, &[]);
    let clients: Vec<Client> = (0..model.at_once(30)).map(|_| Client::connect(server.address())).collect();
    clients.iter().for_each(|client| client.send(b"goodbye"));
    server.eventually_counts("all are open", |tally| tally.open == clients.len() as u64);
    server.signal(Signal::SIGINT);
    for client in &clients {
        assert_eq!(client.receive_to_end(), b"GOODBYE");
    }
    let tally = server.stopped();
    assert_eq!(tally.completed, clients.len() as u64, "{tally:?}");
}

/// Ctrl-C reaches every process of a terminal's group; only the parent's word counts.
fn a_signal_to_the_whole_group_is_the_parents_to_understand(model: Model) {
    let server = Server::start(model, &[]);
    let client = Client::connect(server.address());
    client.ask(b"hello");
    let child = child_of(&server, &client);
    for signal in [Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1] {
        kill(Pid::from_raw(child), signal).expect("the child runs");
        client.ask(b"not for a child to obey");
    }
    // Told to stop by itself, it finishes its conversation as the parent would have it do; the
    // parent goes on.
    kill(Pid::from_raw(child), Signal::SIGTERM).expect("the child runs");
    client.expect_end();
    let next = Client::connect(server.address());
    next.ask(b"the server still serves");
    next.finish();
    server.stop();
}

fn a_killed_worker_is_replaced(model: Model) {
    let server = Launch::of(model).limit(2).start();
    let busy = Client::connect(server.address());
    busy.ask(b"hello");
    let serving = child_of(&server, &busy);
    let mut idle = None;
    eventually("the other worker has started", || {
        idle = processes::children(server.pid()).into_iter().find(|&pid| pid != serving);
        idle.is_some()
    });
    idle.into_iter().for_each(kill_child);
    busy.ask(b"not harmed");
    let next = Client::connect(server.address());
    next.ask(b"served by the successor");
    assert_ne!(Some(child_of(&server, &next)), idle);
    next.finish();
    busy.finish();
    let tally = server.stop();
    assert_eq!(
        (tally.completed, tally.failed),
        (2, 0),
        "an idle worker takes no conversation with it: {tally:?}"
    );
}

/// The defence against a worker that cannot live: without it the parent forks as fast as it can.
fn workers_that_die_again_and_again_are_replaced_ever_later(model: Model) {
    const KILLING: Duration = Duration::from_millis(1500);
    /// Two places, and 0.1 + 0.2 + 0.4 + 0.8 seconds until their successors; with some to spare.
    const MOST_STARTS: usize = 2 * 6;
    let server = Launch::of(model).limit(2).start();
    let mut seen = HashSet::new();
    let begun = Instant::now();
    while begun.elapsed() < KILLING {
        for child in processes::children(server.pid()) {
            seen.insert(child);
            kill_child(child);
        }
        thread::sleep(Duration::from_millis(2));
    }
    assert!((3..=MOST_STARTS).contains(&seen.len()), "{} workers were started", seen.len());
    assert_eq!(processes::zombies(server.pid()), 0);
    // It recovers by itself.
    let client = Client::connect(server.address());
    client.ask(b"at last");
    client.finish();
    server.stop();
}
