//! Promises about calls that fail for lack of something: the server waits, hears its signals, and
//! goes on. The program `faults` looks for more of that kind.

use std::process::Command;

use tests::{Client, Launch, Model, Server, eventually, processes, promises};

promises!(
    a_descriptor_limit_below_what_is_watched_is_a_pause,
    a_stop_is_heard_although_no_byte_can_be_sent,
    a_look_that_the_kernel_refuses_is_a_pause_and_no_reason_to_spin,
);
promises!(only [fork prefork hybrid]: a_child_that_may_not_be_killed_does_not_hold_the_stop);
promises!(only [hybrid]: a_worker_that_cannot_be_passed_a_socket_is_no_reason_to_spin);

/// poll(2) itself fails with EINVAL then.
fn a_descriptor_limit_below_what_is_watched_is_a_pause(model: Model) {
    let server = Server::start(model, &["--idle-timeout=0s", "--max-connections=100"]);
    let (client, all) = server.starve_of_descriptors(0);
    processes::assert_stands_still(server.pid());
    processes::limit_all_descriptors(&all, 1024);
    client.expect_answer(b"anybody there?");
    client.finish();
    let lines = server.log().so_far().len();
    assert!(lines <= 5 + 5 * all.len(), "{lines} lines in the log");
    server.stop();
}

/// Runs the server under a filter in which these calls fail, where that can be done.
fn start_forbidden(model: Model, error: &str, calls: &str) -> Option<Server> {
    if Command::new("python3").arg("--version").output().is_err() {
        tests::skip("there is no python3 to set a filter");
        return None;
    }
    let forbid = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/forbid.py");
    let script = format!("exec python3 {forbid} {error} {calls} -- \"$0\" \"$@\"");
    Some(Launch::of(model).options(&["--idle-timeout=0s", "--drain-timeout=1s"]).script(&script).start())
}

/// A signal handler's byte into a pipe or socket needs memory: a lost one was a lost signal.
fn a_stop_is_heard_although_no_byte_can_be_sent(model: Model) {
    let Some(server) = start_forbidden(model, "ENOBUFS", "sendto sendmsg") else { return };
    server.eventually_rests();
    assert_eq!(server.status().open, 0);
    server.stop();
}

/// Also where an event loop only makes sure that nobody waits any more.
fn a_look_that_the_kernel_refuses_is_a_pause_and_no_reason_to_spin(model: Model) {
    let Some(server) = start_forbidden(model, "ENOMEM", "poll") else { return };
    let client = Client::connect(server.address());
    client.ask(b"hello");
    processes::assert_stands_still(server.pid());
    client.ask(b"hello again");
    client.finish();
    let lines = server.log().so_far().len();
    let most = 10 + 5 * processes::tree(server.pid()).len();
    assert!(lines <= most, "{lines} lines in the log");
    server.stop();
}

fn a_worker_that_cannot_be_passed_a_socket_is_no_reason_to_spin(model: Model) {
    for (error, call) in [("ETOOMANYREFS", "sendmsg"), ("ENOMEM", "recvmsg")] {
        let Some(server) = start_forbidden(model, error, call) else { return };
        let clients: Vec<_> = (0..4).map(|_| Client::connect(server.address())).collect();
        clients.iter().for_each(|client| client.send(b"anybody there?"));
        server.log().wait_for_line("word of it", |line| line.contains("trying again in"));
        processes::assert_stands_still(server.pid());
        let lines = server.log().so_far().len();
        assert!(lines <= 20, "{call}: {lines} lines in the log");
        drop(clients);
        server.stop();
    }
}

/// It dies with its parent, who must not wait for an end that does not come.
fn a_child_that_may_not_be_killed_does_not_hold_the_stop(model: Model) {
    let Some(server) = start_forbidden(model, "EPERM", "kill") else { return };
    let client = Client::connect(server.address());
    client.ask(b"hello");
    let children = processes::children(server.pid());
    server.stop();
    eventually("no child is left", || children.iter().all(|&child| !processes::runs(child)));
}
