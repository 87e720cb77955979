//! Promises of `client talk`, kept by the real binary against servers that behave and that do not.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::support::{
    Client, DEADLINE, Server, assert_within, command, nobody, read_exactly, read_to_end, shout,
};

/// The length of the message that is said without `--message`.
const GREETING_BYTES: usize = "hello baby".len();

/// Longer than any test: a pause that only something else can end.
const FOR_EVER: &str = "1h";

#[test]
fn each_reply_is_printed_on_a_line_and_counted() {
    let server = Server::shouting(1);
    let address = server.address.to_string();
    let ended = Client::start(["talk", &address, "--count", "3", "--interval", "0s"]).finish();
    assert_eq!(ended.stdout, b"HELLO BABY\nHELLO BABY\nHELLO BABY\n");
    assert_eq!(ended.stderr, "answered 3 of 3\n");
    assert_eq!(ended.code, Some(0));
    server.finish();
}

#[test]
fn the_address_is_taken_from_the_environment_too() {
    let server = Server::shouting(1);
    let mut client = command();
    client.args(["talk", "--count", "1"]).env("SHOUT_CONNECT", server.address.to_string());
    assert_eq!(Client::spawn(&mut client).finish().stdout, b"HELLO BABY\n");
    server.finish();
}

#[test]
fn several_connections_talk_at_once_and_mark_their_lines() {
    let together = std::sync::Arc::new(std::sync::Barrier::new(12));
    let server = Server::start(12, move |_, mut stream| {
        let mut message = read_exactly(&mut stream, GREETING_BYTES);
        // Nobody is answered before all have spoken: one after the other would hang here.
        together.wait();
        message.make_ascii_uppercase();
        stream.write_all(&message).unwrap();
        shout(stream);
    });
    let address = server.address.to_string();
    let arguments = ["talk", &address, "--connections", "12", "--count", "2", "--interval", "0s"];
    let ended = Client::start(arguments).finish();
    let text = String::from_utf8(ended.stdout).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    let expected: Vec<_> = (1..=12).flat_map(|number| vec![format!("{number:2}: HELLO BABY"); 2]).collect();
    assert_eq!(lines, expected);
    assert_eq!((ended.stderr.as_str(), ended.code), ("answered 24 of 24\n", Some(0)));
    server.finish();
}

#[test]
fn a_reply_may_come_byte_by_byte() {
    let server = Server::start(1, |_, mut stream| {
        for byte in read_exactly(&mut stream, GREETING_BYTES).to_ascii_uppercase() {
            stream.write_all(&[byte]).unwrap();
        }
    });
    let ended = Client::start(["talk", &server.address.to_string(), "--count", "1"]).finish();
    assert_eq!((ended.stdout.as_slice(), ended.code), (b"HELLO BABY\n".as_slice(), Some(0)));
    server.finish();
}

#[test]
fn a_long_message_comes_back_whole() {
    let server = Server::shouting(1);
    let message = "long ".repeat(20_000);
    let address = server.address.to_string();
    let ended =
        Client::start(["talk", &address, "--count", "2", "--interval", "0s", "--message", &message]).finish();
    let line = message.to_uppercase() + "\n";
    assert_eq!(String::from_utf8(ended.stdout).unwrap(), line.repeat(2));
    server.finish();
}

#[test]
fn any_bytes_can_be_said_and_none_of_them_harms_a_terminal() {
    let server = Server::shouting(1);
    let mut client = command();
    let message = std::ffi::OsStr::from_bytes(b"a\x1b[2J\n\xff\xe4\xbd\xa0");
    client.args(["talk", &server.address.to_string(), "--count", "1", "--message"]).arg(message);
    let ended = Client::spawn(&mut client).finish();
    assert_eq!(String::from_utf8(ended.stdout).unwrap(), "A\\u{1b}[2J\\n\\xff你\n");
    assert_eq!(ended.code, Some(0));
    server.finish();
}

#[test]
fn a_wrong_reply_is_shown_escaped_and_makes_the_exit_code_1() {
    let server = Server::start(1, |_, mut stream| {
        for reply in ["HELLO BABY", "HELLO\x1bBABY", "HELLO BABY"] {
            read_exactly(&mut stream, GREETING_BYTES);
            stream.write_all(reply.as_bytes()).unwrap();
        }
    });
    let address = server.address.to_string();
    let ended = Client::start(["talk", &address, "--count", "3", "--interval", "0s"]).finish();
    assert_eq!(ended.stdout, b"HELLO BABY\nHELLO BABY\n");
    let complaint =
        format!("error: {address}: wrong reply: expected \"HELLO BABY\", got \"HELLO\\u{{1b}}BABY\"\n");
    assert_eq!(ended.stderr, complaint + "answered 3 of 3, 1 of them wrong\n");
    assert_eq!(ended.code, Some(1));
    server.finish();
}

#[test]
fn a_long_wrong_reply_is_cut_around_its_first_wrong_byte() {
    let server = Server::start(1, |_, mut stream| {
        let mut reply = read_exactly(&mut stream, 5000).to_ascii_uppercase();
        reply[3000] = b'?';
        stream.write_all(&reply).unwrap();
    });
    let address = server.address.to_string();
    let ended = Client::start(["talk", &address, "--count", "1", "--message", &"a".repeat(5000)]).finish();
    assert!(ended.stderr.contains("A?A") && ended.stderr.len() < 400, "{}", ended.stderr);
    assert_eq!(ended.code, Some(1));
    server.finish();
}

#[test]
fn bytes_that_nobody_asked_for_are_an_error() {
    let server = Server::start(1, |_, mut stream| {
        let mut reply = read_exactly(&mut stream, GREETING_BYTES).to_ascii_uppercase();
        reply.push(b'!');
        stream.write_all(&reply).unwrap();
        // Ends, or is reset: the client leaves the surplus unread.
        let _ = stream.read(&mut [0]);
    });
    let ended = Client::start(["talk", &server.address.to_string(), "--count", "1"]).finish();
    assert!(ended.stderr.contains("nobody asked for"), "{}", ended.stderr);
    assert_eq!(ended.code, Some(1));
    server.finish();
}

#[test]
fn a_lost_connection_is_one_line_and_the_others_go_on() {
    let server = Server::start(3, |index, mut stream| {
        if index == 1 {
            read_exactly(&mut stream, GREETING_BYTES);
            stream.write_all(b"HEL").unwrap();
        } else {
            shout(stream);
        }
    });
    let address = server.address.to_string();
    let arguments = ["talk", &address, "--connections", "3", "--count", "5", "--interval", "0s"];
    let ended = Client::start(arguments).finish();
    assert_eq!(ended.stdout.iter().filter(|&&byte| byte == b'\n').count(), 10);
    let (complaint, summary) = ended.stderr.split_once('\n').unwrap();
    assert!(complaint.starts_with("error: connection "), "{complaint}");
    assert!(complaint.ends_with("closed the connection after 3 of 10 bytes of the reply"), "{complaint}");
    assert_eq!((summary, ended.code), ("answered 10 of 11\n", Some(1)));
    server.finish();
}

#[test]
fn a_server_that_closes_during_a_pause_is_heard_at_once() {
    let server = Server::start(1, |_, mut stream| {
        let reply = read_exactly(&mut stream, GREETING_BYTES).to_ascii_uppercase();
        stream.write_all(&reply).unwrap();
    });
    let address = server.address.to_string();
    let ended = Client::start(["talk", &address, "--interval", FOR_EVER]).finish();
    let complaint = format!("error: {address}: the server closed the connection\n");
    assert_eq!(ended.stderr, complaint + "answered 1 of 1\n");
    assert_eq!(ended.code, Some(1));
    server.finish();
}

#[test]
fn a_server_that_never_answers_is_given_up_after_the_timeout() {
    let server = Server::start(1, |_, mut stream| {
        read_to_end(&mut stream);
    });
    let address = server.address.to_string();
    let ended = Client::start(["talk", &address, "--timeout", "100ms"]).finish();
    assert!(
        ended.stderr.contains("no reply for 100ms") && ended.stderr.contains("--timeout"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.ends_with("answered 0 of 1\n"), "{}", ended.stderr);
    assert_eq!(ended.code, Some(1));
    server.finish();
}

#[test]
fn a_stop_signal_ends_a_pause_at_once_with_exit_code_0() {
    for signal in ["INT", "TERM", "HUP"] {
        let server = Server::shouting(1);
        let address = server.address.to_string();
        let mut client = Client::start(["talk", &address, "--interval", FOR_EVER]);
        assert_eq!(client.line(), "HELLO BABY");
        client.signal(signal);
        let ended = client.finish();
        assert_eq!((ended.stderr.as_str(), ended.code), ("answered 1 of 1\n", Some(0)), "{signal}");
        server.finish();
    }
}

#[test]
fn a_stop_waits_for_the_replies_under_way() {
    let (asked, is_asked) = mpsc::channel();
    let (stopped, is_stopped) = mpsc::channel();
    let is_stopped = Mutex::new(is_stopped);
    let server = Server::start(1, move |_, mut stream| {
        let reply = read_exactly(&mut stream, GREETING_BYTES).to_ascii_uppercase();
        asked.send(()).unwrap();
        is_stopped.lock().unwrap().recv_timeout(DEADLINE).unwrap();
        stream.write_all(&reply).unwrap();
        assert!(read_to_end(&mut stream).is_empty(), "a message after the stop");
    });
    let address = server.address.to_string();
    let client = Client::start(["talk", &address, "--interval", FOR_EVER]);
    is_asked.recv_timeout(DEADLINE).unwrap();
    client.signal("INT");
    stopped.send(()).unwrap();
    let ended = client.finish();
    assert_eq!(ended.stdout, b"HELLO BABY\n");
    assert_eq!((ended.stderr.as_str(), ended.code), ("answered 1 of 1\n", Some(0)));
    server.finish();
}

#[test]
fn a_stop_does_not_wait_for_a_silent_server_for_ever() {
    let (asked, is_asked) = mpsc::channel();
    let server = Server::start(1, move |_, mut stream| {
        read_exactly(&mut stream, GREETING_BYTES);
        asked.send(()).unwrap();
        read_to_end(&mut stream);
    });
    let client = Client::start(["talk", &server.address.to_string(), "--timeout", "0s"]);
    is_asked.recv_timeout(DEADLINE).unwrap();
    let began = Instant::now();
    client.signal("INT");
    let ended = client.finish();
    assert_within(began, DEADLINE / 2);
    assert_eq!((ended.stderr.as_str(), ended.code), ("answered 0 of 1\n", Some(0)));
    server.finish();
}

#[test]
fn a_closed_stdout_ends_it_quietly() {
    let server = Server::shouting(4);
    let address = server.address.to_string();
    let mut client = Client::start(["talk", &address, "--connections", "4", "--interval", "1ms"]);
    // All are connected when each has printed a line.
    let mut lines = BTreeSet::new();
    while lines.len() < 4 {
        lines.insert(client.line());
    }
    assert!(lines.iter().all(|line| line.ends_with(": HELLO BABY")), "{lines:?}");
    drop(client.stdout());
    let ended = client.finish();
    assert_eq!((ended.stderr.as_str(), ended.code), ("", Some(0)));
    server.finish();
}

#[test]
fn a_refused_connection_is_one_line_with_a_remedy_however_many_there_are() {
    let address = nobody().to_string();
    let ended = Client::start(["talk", &address, "--connections", "20"]).finish();
    assert!(ended.stderr.starts_with(&format!("error: cannot connect to {address}: connection refused; ")));
    assert!(ended.stderr.contains("cargo run --release -p server-thread"), "{}", ended.stderr);
    assert_eq!((ended.stderr.lines().count(), ended.code), (1, Some(1)));
}

#[test]
fn too_few_descriptors_are_one_line_with_a_remedy() {
    // Nobody accepts: the connections wait in the kernel's queue.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = format!("ulimit -n 20; exec {} talk \"$0\" --connections 50", env!("CARGO_BIN_EXE_client"));
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &client, &listener.local_addr().unwrap().to_string()]);
    let ended = Client::spawn(&mut shell).finish();
    assert!(ended.stderr.contains("no free descriptor; raise its limit (ulimit -n)"), "{}", ended.stderr);
    assert_eq!((ended.stderr.lines().count(), ended.code), (1, Some(1)));
}

#[test]
fn a_server_that_does_not_close_is_not_waited_for_long() {
    let (done, is_done) = mpsc::channel();
    let is_done = Mutex::new(is_done);
    let server = Server::start(1, move |_, mut stream| {
        let reply = read_exactly(&mut stream, GREETING_BYTES).to_ascii_uppercase();
        stream.write_all(&reply).unwrap();
        is_done.lock().unwrap().recv_timeout(DEADLINE).unwrap();
        let _ = stream.shutdown(Shutdown::Both);
    });
    let began = Instant::now();
    let ended = Client::start(["talk", &server.address.to_string(), "--count", "1"]).finish();
    assert_within(began, DEADLINE - Duration::from_secs(5));
    assert_eq!((ended.stderr.as_str(), ended.code), ("answered 1 of 1\n", Some(0)));
    done.send(()).unwrap();
    server.finish();
}

#[test]
fn nonsense_on_the_command_line_is_exit_code_2() {
    for (option, value) in [
        ("--message", ""),
        ("--count", "0"),
        ("--count", "-1"),
        ("--interval", "5"),
        ("--interval", "99999999999s"),
        ("--connections", "0"),
        ("--connections", "99999999999999999999"),
        ("--timeout", "soon"),
    ] {
        let ended = Client::start(["talk", &format!("{option}={value}")]).finish();
        assert_eq!(ended.code, Some(2), "{option} {value}");
        assert!(ended.stderr.contains(option), "{}", ended.stderr);
    }
    assert_eq!(Client::start(["talk", "nowhere"]).finish().code, Some(2));
}
