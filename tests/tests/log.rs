//! Promises about the log, and about standard streams that are not there.

use std::io::{ErrorKind, Write};

use tests::{Client, Launch, Model, Server, promises};

promises!(
    the_log_shows_nothing_of_what_clients_send,
    the_log_shows_on_request_what_clients_send_escaped_and_cut,
    a_quiet_server_logs_nothing,
    the_variable_rust_log_wins,
    broken_clients_do_not_flood_the_log,
    a_server_without_stdout_serves,
    a_server_without_stderr_serves,
    a_server_whose_output_nobody_reads_serves,
    a_server_without_standard_streams_sends_its_log_to_no_client,
);

/// What a hostile client might send to whoever reads the log: it clears the screen, and forges a
/// line.
const HOSTILE: &[u8] = b"secret\x1b[2J\r\n[ERROR] forged\0\xff";

fn converse(server: &Server, request: &[u8]) {
    let client = Client::connect(server.address());
    client.ask(request);
    client.finish();
}

fn the_log_shows_nothing_of_what_clients_send(model: Model) {
    for options in [&[][..], &["-v"]] {
        let server = Server::start(model, options);
        converse(&server, HOSTILE);
        server.eventually_counts("it is over", |tally| tally.completed == 1);
        let log = server.log().so_far().join("\n").to_lowercase();
        assert!(!log.contains("secret") && !log.contains("forged"), "{log}");
        server.stop();
    }
}

fn the_log_shows_on_request_what_clients_send_escaped_and_cut(model: Model) {
    const LONG: usize = 5000;
    let server = Server::start(model, &["-vv"]);
    converse(&server, HOSTILE);
    converse(&server, &[b'q'; LONG]);
    let shown = server.log().wait_for_line("line of what was sent", |line| line.contains("secret"));
    assert!(shown.contains(r"secret\x1b[2J\r\n[ERROR] forged\x00\xff"), "{shown}");
    let long = server.log().wait_for_line("line of the long one", |line| line.contains("qqqq"));
    let marks = long.matches('q').count();
    assert!(marks > 0 && marks < 200 && long.len() < 300, "it is not cut: {long}");
    assert!(long.ends_with("q\"...") && shown.ends_with('"'), "only what is cut is marked: {long} {shown}");
    let log = server.log().so_far();
    assert!(!log.iter().any(|line| line.contains('\u{1b}') || line.contains('\r')), "{log:?}");
    assert!(!log.iter().any(|line| line.starts_with("[ERROR]")), "{log:?}");
    server.stop();
}

fn a_quiet_server_logs_nothing(model: Model) {
    for options in [["-q"], ["-qq"]] {
        let server = Server::start(model, &options);
        converse(&server, b"hello");
        server.signal(tests::Signal::SIGTERM);
        let exit = server.wait_exit();
        assert_eq!((exit.code, exit.log.len(), exit.output.len()), (Some(0), 0, 1), "{exit:?}");
    }
}

fn the_variable_rust_log_wins(model: Model) {
    let server = Launch::of(model).options(&["-q"]).variable("RUST_LOG", "debug").start();
    converse(&server, b"hello");
    server.log().wait_for_line("line of the conversation", |line| line.contains("serving 127.0.0.1:"));
    server.stop();
    let server = Launch::of(model).options(&["-vv"]).variable("RUST_LOG", "off").start();
    converse(&server, b"hello");
    server.signal(tests::Signal::SIGTERM);
    let exit = server.wait_exit();
    assert_eq!((exit.code, exit.log.len()), (Some(0), 0), "{exit:?}");
}

fn broken_clients_do_not_flood_the_log(model: Model) {
    let server = Server::start(model, &[]);
    for _ in 0..50 {
        let client = Client::connect(server.address());
        client.send(b"hello");
        client.reset();
    }
    server.eventually_counts("all are over", |tally| tally.accepted > 0 && tally.open == 0);
    converse(&server, b"still there?");
    let lines = server.log().so_far();
    let other = lines.iter().filter(|line| !line.contains("status: ")).count();
    assert!(other <= 3, "a stranger writes this log: {lines:?}");
    server.stop();
}

fn a_server_without_stdout_serves(model: Model) {
    let server = Launch::of(model).script("exec \"$0\" \"$@\" >&-").start_unheard();
    converse(&server, b"hello");
    server.stop();
}

fn a_server_without_stderr_serves(model: Model) {
    let server = Launch::of(model).options(&["-vv"]).script("exec \"$0\" \"$@\" 2>&-").start();
    converse(&server, b"hello");
    server.signal(tests::Signal::SIGTERM);
    assert_eq!(server.wait_exit().code, Some(0));
}

/// A reader that has gone, as in `server | head -0`: writing fails then, and would end a careless
/// program by SIGPIPE or a panic.
fn a_server_whose_output_nobody_reads_serves(model: Model) {
    let (reader, mut writer) = std::io::pipe().expect("there is a pipe");
    drop(reader);
    let broken = writer.write(b"?").expect_err("nobody reads it");
    assert_eq!(broken.kind(), ErrorKind::BrokenPipe);
    let script = "exec \"$0\" \"$@\" >&0 2>&0 </dev/null";
    let server = Launch::of(model).options(&["-vv"]).script(script).stdin(writer).start_unheard();
    for _ in 0..5 {
        converse(&server, b"hello");
    }
    server.signal(tests::Signal::SIGTERM);
    assert_eq!(server.wait_exit().code, Some(0));
}

/// Without care a client's socket becomes descriptor 1 or 2.
fn a_server_without_standard_streams_sends_its_log_to_no_client(model: Model) {
    let script = "exec \"$0\" \"$@\" <&- >&- 2>&-";
    let server = Launch::of(model).options(&["-vv"]).script(script).start_unheard();
    for _ in 0..3 {
        converse(&server, b"hello");
    }
    server.signal(tests::Signal::SIGTERM);
    assert_eq!(server.wait_exit().code, Some(0));
}
