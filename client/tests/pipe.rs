//! Promises of `client pipe`, kept by the real binary against servers that behave and that do not.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use crate::support::{
    Client, DEADLINE, Server, command, nobody, on_thread, read_exactly, read_to_end, shout, within_deadline,
};

/// Pseudo-random bytes, the same each time (xorshift64, Marsaglia 2003): enough of a mixture of
/// letters and other bytes.
struct Noise(u64);

impl Noise {
    fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for word in bytes.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            word.copy_from_slice(&self.0.to_le_bytes()[..word.len()]);
        }
    }
}

#[test]
fn every_byte_of_64_mib_comes_back_in_order_in_constant_memory() {
    const CHUNKS: usize = 1024;
    const CHUNK_BYTES: usize = 64 * 1024;
    const MOST_MEMORY_KIB: u64 = 32 * 1024;

    let server = Server::shouting(1);
    let mut client = Client::start(["pipe", &server.address.to_string()]);
    let mut input = client.stdin();
    let writer = on_thread(move || {
        let (mut noise, mut chunk) = (Noise::new(), vec![0; CHUNK_BYTES]);
        for _ in 0..CHUNKS {
            noise.fill(&mut chunk);
            input.write_all(&chunk).unwrap();
        }
        input
    });
    let mut output = client.stdout();
    let reader = on_thread(move || {
        let (mut noise, mut expected, mut got) = (Noise::new(), vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
        for index in 0..CHUNKS {
            noise.fill(&mut expected);
            expected.make_ascii_uppercase();
            output.read_exact(&mut got).unwrap();
            assert!(got == expected, "chunk {index} differs");
        }
        output
    });
    let input = within_deadline(writer);
    let mut output = within_deadline(reader);
    let memory = client.peak_memory_kib();
    assert!(memory < MOST_MEMORY_KIB, "{memory} KiB");
    drop(input);
    let surplus = within_deadline(on_thread(move || {
        let mut surplus = Vec::new();
        output.read_to_end(&mut surplus).unwrap();
        surplus
    }));
    let ended = client.finish();
    // No progress either: stderr is not a terminal here.
    assert_eq!((surplus.len(), ended.stderr.as_str(), ended.code), (0, "", Some(0)));
    server.finish();
}

#[test]
fn a_file_becomes_a_file() {
    let server = Server::shouting(1);
    let folder = tempfile::tempdir().unwrap();
    let (book, shouted) = (folder.path().join("book.txt"), folder.path().join("BOOK.txt"));
    let text = "It was a dark and stormy night; 那是一个风雨交加的夜晚。\r\n\0".repeat(10_000);
    std::fs::write(&book, &text).unwrap();
    let mut client = command();
    client.args(["pipe", &server.address.to_string()]);
    client.stdin(File::open(&book).unwrap()).stdout(File::create(&shouted).unwrap());
    let ended = Client::spawn(&mut client).finish();
    assert_eq!((ended.stderr.as_str(), ended.code), ("", Some(0)));
    assert_eq!(std::fs::read_to_string(&shouted).unwrap(), text.to_ascii_uppercase());
    server.finish();
}

#[test]
fn an_empty_input_is_answered_with_nothing() {
    let server = Server::shouting(1);
    let mut client = command();
    client.args(["pipe", &server.address.to_string()]).stdin(Stdio::null());
    let ended = Client::spawn(&mut client).finish();
    assert_eq!((ended.stdout.len(), ended.stderr.as_str(), ended.code), (0, "", Some(0)));
    server.finish();
}

/// A client that was given `input`, and whose input ends only when the returned value is dropped.
fn given(server: &Server, input: &[u8], timeout: &str) -> (Client, std::process::ChildStdin) {
    let mut client = Client::start(["pipe", &server.address.to_string(), "--timeout", timeout]);
    let mut stdin = client.stdin();
    stdin.write_all(input).unwrap();
    (client, stdin)
}

#[test]
fn a_server_that_closes_early_is_an_error_that_names_both_counts() {
    let server = Server::start(1, |_, mut stream| {
        let reply = read_exactly(&mut stream, 1000).to_ascii_uppercase();
        stream.write_all(&reply[..600]).unwrap();
    });
    let (client, _input) = given(&server, &[b'a'; 1000], "0s");
    let ended = client.finish();
    assert_eq!(ended.stdout, [b'A'; 600]);
    let expected = format!(
        "error: {} closed the connection before the input ended: 1000 bytes sent, 600 came back\n",
        server.address
    );
    assert_eq!((ended.stderr, ended.code), (expected, Some(1)));
    server.finish();
}

#[test]
fn a_connection_that_is_reset_is_an_error_that_names_both_counts() {
    let server = Server::start(1, |_, mut stream| {
        // Closing with unread bytes resets the connection (RFC 1122, 4.2.2.13).
        assert_eq!(stream.peek(&mut [0; 1]).unwrap(), 1);
        stream.write_all(b"").unwrap();
    });
    let (client, _input) = given(&server, &[b'a'; 1000], "0s");
    let ended = client.finish();
    assert!(ended.stderr.contains("broke: Connection reset by peer"), "{}", ended.stderr);
    assert!(ended.stderr.ends_with("1000 bytes sent, 0 came back\n"), "{}", ended.stderr);
    assert_eq!(ended.code, Some(1));
    server.finish();
}

#[test]
fn fewer_bytes_at_a_clean_end_are_an_error() {
    let server = Server::start(1, |_, mut stream| {
        let reply = read_to_end(&mut stream).to_ascii_uppercase();
        stream.write_all(&reply[1..]).unwrap();
    });
    let (client, input) = given(&server, &[b'a'; 1000], "0s");
    drop(input);
    let ended = client.finish();
    assert!(ended.stderr.contains("before everything was answered: 1000 bytes sent, 999 came back"));
    assert_eq!(ended.code, Some(1));
    server.finish();
}

#[test]
fn more_bytes_than_were_sent_are_an_error_and_are_not_delivered() {
    let server = Server::start(1, |_, mut stream| {
        let mut reply = read_exactly(&mut stream, 1000).to_ascii_uppercase();
        reply.push(b'!');
        stream.write_all(&reply).unwrap();
        // The surplus ends the conversation, although the input has not ended.
        read_to_end(&mut stream);
    });
    let (client, _input) = given(&server, &[b'a'; 1000], "0s");
    let ended = client.finish();
    assert_eq!(ended.stdout, [b'A'; 1000]);
    assert!(
        ended.stderr.contains("more than it was given: 1000 bytes sent, 1001 came back"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.code, Some(1));
    server.finish();
}

#[test]
fn a_server_that_never_answers_is_given_up_after_the_timeout() {
    let server = Server::start(1, |_, mut stream| {
        read_to_end(&mut stream);
    });
    let (client, _input) = given(&server, b"hello", "100ms");
    let ended = client.finish();
    assert!(ended.stderr.contains("for 100ms: 5 bytes sent, 0 came back; "), "{}", ended.stderr);
    assert_eq!(ended.code, Some(1));
    server.finish();
}

#[test]
fn a_pause_of_the_input_is_no_silence_of_the_server() {
    let server = Server::shouting(1);
    let (mut client, mut input) = given(&server, b"hello\n", "1s");
    assert_eq!(client.line(), "HELLO");
    assert!(client.goes_on_for(Duration::from_millis(2500)));
    input.write_all(b"baby\n").unwrap();
    drop(input);
    let ended = client.finish();
    assert_eq!(
        (ended.stdout.as_slice(), ended.stderr.as_str(), ended.code),
        (b"BABY\n".as_slice(), "", Some(0))
    );
    server.finish();
}

#[test]
fn a_server_that_answers_all_but_does_not_close_is_enough() {
    let (done, is_done) = mpsc::channel();
    let is_done = Mutex::new(is_done);
    let server = Server::start(1, move |_, mut stream| {
        let reply = read_to_end(&mut stream).to_ascii_uppercase();
        stream.write_all(&reply).unwrap();
        is_done.lock().unwrap().recv_timeout(DEADLINE).unwrap();
    });
    let (client, input) = given(&server, b"hello", "2s");
    drop(input);
    let ended = client.finish();
    assert_eq!(
        (ended.stdout.as_slice(), ended.stderr.as_str(), ended.code),
        (b"HELLO".as_slice(), "", Some(0))
    );
    done.send(()).unwrap();
    server.finish();
}

#[test]
fn a_stop_signal_still_delivers_what_was_sent() {
    for signal in ["INT", "TERM"] {
        let (asked, is_asked) = mpsc::channel();
        let server = Server::start(1, move |_, mut stream| {
            let reply = read_exactly(&mut stream, 1000).to_ascii_uppercase();
            asked.send(()).unwrap();
            // The stop ends the input, and only then comes the reply.
            assert!(read_to_end(&mut stream).is_empty());
            stream.write_all(&reply).unwrap();
        });
        let (client, _input) = given(&server, &[b'a'; 1000], "0s");
        is_asked.recv_timeout(DEADLINE).unwrap();
        client.signal(signal);
        let ended = client.finish();
        assert_eq!(ended.stdout, [b'A'; 1000]);
        let expected = "error: interrupted: 1000 bytes sent, 1000 came back; the output is incomplete\n";
        assert_eq!((ended.stderr.as_str(), ended.code), (expected, Some(1)));
        server.finish();
    }
}

#[test]
fn a_reader_who_leaves_ends_it_quietly_and_is_no_error() {
    let server = Server::start(1, |_, stream| shout(stream));
    let mut client = Client::start(["pipe", &server.address.to_string()]);
    let mut input = client.stdin();
    // Fails when the client is gone, which is what it waits for.
    let writer = on_thread(move || while input.write_all(b"hello\n").is_ok() {});
    assert_eq!(client.line(), "HELLO");
    drop(client.stdout());
    let ended = client.finish();
    assert_eq!((ended.stderr.as_str(), ended.code), ("", Some(0)));
    within_deadline(writer);
    server.finish();
}

#[test]
fn an_input_that_cannot_be_read_is_an_error() {
    let server = Server::shouting(1);
    let mut client = command();
    client.args(["pipe", &server.address.to_string()]).stdin(File::open("/").unwrap());
    let ended = Client::spawn(&mut client).finish();
    assert!(ended.stderr.starts_with("error: cannot read the input: Is a directory"), "{}", ended.stderr);
    assert_eq!(ended.code, Some(1));
    server.finish();
}

#[test]
fn an_output_that_cannot_be_written_is_an_error() {
    let server = Server::shouting(1);
    let mut client = command();
    client.args(["pipe", &server.address.to_string()]).stdout(File::create("/dev/full").unwrap());
    let mut client = Client::spawn(&mut client);
    client.stdin().write_all(b"hello").unwrap();
    let ended = client.finish();
    assert!(ended.stderr.starts_with("error: cannot write the output: No space left"), "{}", ended.stderr);
    assert_eq!(ended.code, Some(1));
    server.finish();
}

#[test]
fn a_refused_connection_is_one_line_with_a_remedy() {
    let address = nobody().to_string();
    let ended = Client::start(["pipe", &address]).finish();
    assert!(ended.stderr.contains("connection refused; "), "{}", ended.stderr);
    assert_eq!((ended.stderr.lines().count(), ended.code), (1, Some(1)));
}
