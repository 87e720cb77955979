//! `client hold` as a program.

use std::io::Write;
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use crate::support::{Client, DEADLINE, Server, nobody, read_exactly, shout};
use serde_json::Value;

#[test]
fn every_connection_is_opened_left_silent_asked_and_closed() {
    let server = Server::shouting(40);
    let address = server.address.to_string();
    let ended = Client::start(["hold", &address, "-c", "40", "-d", "300ms", "--json", "-"]).finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    server.finish();
    let json: Value = serde_json::from_slice(&ended.stdout).unwrap();
    for step in ["opened", "asked", "closed"] {
        assert_eq!((&json[step]["done"], &json[step]["failed"]), (&40.into(), &0.into()), "{json}");
    }
    assert!(json["silent_s"].as_f64().unwrap() >= 0.3, "{json}");
    assert!(ended.stderr.contains("opening  40 open and greeted"), "{}", ended.stderr);
}

#[test]
fn ctrl_c_ends_the_silence_and_all_are_asked() {
    let (greet, greeted) = mpsc::channel();
    let server = Server::start(5, move |_, mut stream| {
        let greeting = read_exactly(&mut stream, 64).to_ascii_uppercase();
        stream.write_all(&greeting).unwrap();
        greet.send(()).unwrap();
        shout(stream);
    });
    let address = server.address.to_string();
    let client = Client::start(["hold", &address, "-c", "5", "-d", "1h"]);
    for _ in 0..5 {
        greeted.recv_timeout(DEADLINE).unwrap();
    }
    assert!(client.goes_on_for(Duration::from_millis(500)));
    client.signal("INT");
    let ended = client.finish();
    let text = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(text.contains("asking   5 asked") && text.contains("closing  5 ended"), "{text}");
    server.finish();
}

#[test]
fn ctrl_c_while_they_are_opened_says_how_far_it_came() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::start(["hold", &listener.local_addr().unwrap().to_string(), "-c", "5"]);
    assert!(client.goes_on_for(Duration::from_millis(500)));
    client.signal("INT");
    let ended = client.finish();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(ended.stderr, "error: stopped while opening: 0 of 5 done\n");
}

#[test]
fn a_wrong_answer_in_the_end_fails_it() {
    let server = Server::start(3, |_, mut stream| {
        for index in 0..2 {
            let mut answer = read_exactly(&mut stream, 64).to_ascii_uppercase();
            answer[40] ^= index;
            stream.write_all(&answer).unwrap();
        }
    });
    let ended = Client::start(["hold", &server.address.to_string(), "-c", "3", "-d", "0s"]).finish();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("byte 40 of its reply is wrong"), "{}", ended.stderr);
    assert!(ended.stderr.trim_end().lines().count() == 1, "{}", ended.stderr);
    server.finish();
}

#[test]
fn without_a_server_it_says_so_in_one_line() {
    let address = nobody().to_string();
    let ended = Client::start(["hold", &address, "-c", "3"]).finish();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.starts_with("error: no connection is open:"), "{}", ended.stderr);
    assert!(ended.stderr.contains("connection refused; is a server running there?"), "{}", ended.stderr);
    assert!(ended.stdout.is_empty() && ended.stderr.trim_end().lines().count() == 1, "{}", ended.stderr);
}

#[test]
fn a_program_drives_it_by_orders_and_reads_what_came_of_each() {
    let server = Server::shouting(4);
    let address = server.address.to_string();
    let mut client = Client::start(["hold", &address, "-c", "4", "--orders"]);
    let mut stdin = client.stdin();
    assert_eq!(client.line(), "\"ready\"");
    for order in ["open", "ask", "close"] {
        writeln!(stdin, "{order}").unwrap();
        // On a busy machine it also says how far it has come.
        let said = loop {
            let said: Value = serde_json::from_str(&client.line()).unwrap();
            if !said["done"].is_null() {
                break said;
            }
        };
        assert_eq!(said["done"]["done"], 4, "{said}");
    }
    server.finish();
    stdin.write_all(b"dance\n").unwrap();
    let ended = client.finish();
    assert_eq!(
        (ended.code, ended.stderr),
        (Some(1), "error: an order is open, ask or close, not \"dance\"\n".to_owned())
    );
}
