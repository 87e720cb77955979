//! Promises about how a server is called: what it accepts, how it refuses, and the exit codes that
//! go with that.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use tests::{Client, Exit, Launch, Model, Server, promises};

promises!(
    wrong_usage_is_refused_with_exit_code_2_and_names_the_option,
    a_taken_port_is_refused_with_exit_code_1_and_advice,
    an_address_of_another_machine_is_refused_with_exit_code_1_and_advice,
    the_environment_can_say_what_an_option_says,
    help_and_version_are_told_on_stdout,
    the_address_is_told_once_and_when_clients_can_connect,
    ipv6_is_served,
    both_families_are_served_on_the_unspecified_ipv6_address,
    a_name_that_resolves_can_be_listened_on,
);
promises!(only [prefork pool tokio]: wrong_numbers_of_workers_are_refused);

/// One line that begins with `error: ` and says all of `words`, and nothing on stdout.
#[track_caller]
fn assert_refused(exit: &Exit, code: i32, words: &[&str]) {
    assert_eq!((exit.code, exit.output.len()), (Some(code), 0), "{exit:?}");
    let errors = exit.lines_with("error: ");
    assert_eq!(errors.len(), 1, "{:?}", exit.log);
    assert!(errors[0].starts_with("error: "), "{:?}", errors[0]);
    let told = if code == 2 { exit.log.join("\n") } else { errors[0].clone() };
    for word in words {
        assert!(told.contains(word), "{word:?} is not in {told:?}");
    }
    assert!(exit.lines_with("panicked").is_empty(), "{:?}", exit.log);
}

fn wrong_usage_is_refused_with_exit_code_2_and_names_the_option(model: Model) {
    let wrong = [
        ["--idle-timeout", "5"],
        ["--idle-timeout", "-5s"],
        ["--idle-timeout", "1000y"],
        ["--drain-timeout", "soon"],
        ["--max-connections", "0"],
        ["--max-connections", "-1"],
        ["--max-connections", "99999999999999999999"],
        ["--backlog", "0"],
        ["--backlog", "70000"],
    ];
    for [option, value] in wrong {
        let exit = Launch::of(model).options(&[&format!("{option}={value}")]).run();
        assert_refused(&exit, 2, &[option, value]);
    }
    for address in ["nonsense", "127.0.0.1", "127.0.0.1:99999", ":::", ""] {
        let exit = Launch::of(model).listen(Some(address)).run();
        assert_refused(&exit, 2, &["--listen", "127.0.0.1:8080"]);
    }
    for options in [&["--colour"][..], &["surplus"], &["-v", "-q"]] {
        assert_refused(&Launch::of(model).options(options).run(), 2, &["Usage"]);
    }
}

fn wrong_numbers_of_workers_are_refused(model: Model) {
    for workers in ["0", "-1", "many", "99999999999"] {
        // The harness says --workers itself where the model needs it, and an option may be said
        // only once.
        let exit = Launch::of(Model { kind: tests::Kind::Fork, ..model })
            .options(&[&format!("--workers={workers}")])
            .run();
        assert_refused(&exit, 2, &["--workers", workers]);
    }
}

fn a_taken_port_is_refused_with_exit_code_1_and_advice(model: Model) {
    let server = Server::start(model, &[]);
    let address = server.address().to_string();
    let exit = Launch::of(model).listen(Some(&address)).run();
    assert_refused(&exit, 1, &[&address, "in use", "--listen"]);
    assert!(!exit.log.join(" ").contains("os error"), "a number that tells the user nothing: {:?}", exit.log);
    // It is refused to a server of any kind; the first one has not noticed.
    let client = Client::connect(server.address());
    client.ask(b"hello");
    client.finish();
    assert_eq!(server.stop().accepted, 1);
}

fn an_address_of_another_machine_is_refused_with_exit_code_1_and_advice(model: Model) {
    // A documentation address (RFC 5737), which no machine has.
    let exit = Launch::of(model).listen(Some("192.0.2.1:0")).run();
    assert_refused(&exit, 1, &["192.0.2.1:0", "this machine"]);
}

fn the_environment_can_say_what_an_option_says(model: Model) {
    let server = Launch::of(model)
        .listen(None)
        .variable("SHOUT_LISTEN", "127.0.0.1:0")
        .variable("SHOUT_IDLE_TIMEOUT", "150ms")
        .variable("SHOUT_DRAIN_TIMEOUT", "5s")
        .variable("SHOUT_BACKLOG", "10")
        .variable("SHOUT_MAX_CONNECTIONS", "1")
        .start();
    let client = Client::connect(server.address());
    client.ask(b"hello");
    client.expect_end();
    server.eventually_counts("it is timed out", |tally| tally.timed_out == 1);
    server.stop();
    // A variable that is empty is one that is not set.
    Launch::of(model).variable("SHOUT_IDLE_TIMEOUT", "").variable("SHOUT_MAX_CONNECTIONS", "").start().stop();
    // An option wins; a wrong variable is as wrong as a wrong option.
    Launch::of(model).variable("SHOUT_LISTEN", "192.0.2.1:0").start().stop();
    let exit = Launch::of(model).variable("SHOUT_IDLE_TIMEOUT", "5").run();
    assert_refused(&exit, 2, &["--idle-timeout", "5"]);
}

fn help_and_version_are_told_on_stdout(model: Model) {
    let help = Launch::of(model).options(&["--help"]).run();
    assert_eq!((help.code, help.log.len()), (Some(0), 0), "{help:?}");
    let text = help.output.join("\n");
    for word in
        ["Listening:", "Limits:", "Log:", "--listen", "--idle-timeout", "SHOUT_LISTEN", "127.0.0.1:8080"]
    {
        assert!(text.contains(word), "{word:?} is not in the help:\n{text}");
    }
    let version = Launch::of(model).options(&["--version"]).run();
    assert_eq!((version.code, version.output.len(), version.log.len()), (Some(0), 1, 0), "{version:?}");
    assert!(version.output[0].starts_with("server-"), "{version:?}");
}

/// That the line is exact, and the only one, is checked at every start and every stop.
fn the_address_is_told_once_and_when_clients_can_connect(model: Model) {
    for _ in 0..10 {
        let server = Server::start(model, &[]);
        assert_ne!(server.address().port(), 0);
        let stream = TcpStream::connect_timeout(&server.address(), Duration::from_secs(1));
        Client::over(stream.expect("the address was told, so it can be connected to")).finish();
        server.stop();
    }
}

/// Whether there is an IPv6 loopback address; says so where not.
fn ipv6_is_missing() -> bool {
    let missing = TcpListener::bind("[::1]:0").is_err();
    if missing {
        tests::skip("there is no ::1 here");
    }
    missing
}

fn ipv6_is_served(model: Model) {
    if ipv6_is_missing() {
        return;
    }
    let server = Launch::of(model).listen(Some("[::1]:0")).start();
    assert!(server.address().is_ipv6());
    let client = Client::connect(server.address());
    client.ask(b"hello");
    client.finish();
    server.stop();
}

fn both_families_are_served_on_the_unspecified_ipv6_address(model: Model) {
    if ipv6_is_missing() {
        return;
    }
    let server = Launch::of(model).listen(Some("[::]:0")).start();
    for host in ["127.0.0.1", "[::1]"] {
        let address: SocketAddr =
            format!("{host}:{}", server.address().port()).parse().expect("that is an address");
        let client = Client::connect(address);
        client.ask(b"hello");
        client.finish();
    }
    assert_eq!(server.stop().completed, 2);
}

fn a_name_that_resolves_can_be_listened_on(model: Model) {
    let server = Launch::of(model).listen(Some("localhost:0")).start();
    let client = Client::connect(server.address());
    client.ask(b"hello");
    client.finish();
    server.stop();
}
