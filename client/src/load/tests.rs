//! Loads against small servers of the tests' own, each with a fault that must be found.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::nobody::nobody;

mod pace;

/// Starts a server on a free port that converses with each client in a thread of its own, as
/// `conversation` does. The threads end with their clients.
fn server(conversation: impl Fn(u64, TcpStream) -> io::Result<()> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let conversation = Arc::new(conversation);
    thread::spawn(move || {
        for (number, stream) in (0..).zip(listener.incoming()) {
            let conversation = Arc::clone(&conversation);
            let stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || conversation(number, stream));
        }
    });
    address
}

/// The right conversation, with `change` applied to each answer.
fn answer(mut stream: TcpStream, mut change: impl FnMut(&mut Vec<u8>)) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        let mut answer = buffer[..length].to_vec();
        common::shout(&mut answer);
        change(&mut answer);
        stream.write_all(&answer)?;
    }
}

fn good_server() -> SocketAddr {
    server(|_, stream| answer(stream, |_| {}))
}

/// A short load, which the tests change.
fn options(address: SocketAddr) -> LoadOptions {
    let mut options = LoadOptions::new(address);
    options.connections = 4;
    options.duration = Duration::from_millis(300);
    options
}

fn load(options: &LoadOptions) -> Results {
    let mut load = Load::connect(options).unwrap();
    load.warm_up();
    load.measure();
    load.finish()
}

#[test]
fn every_answer_of_a_good_server_is_counted_once() {
    for (threads, pipeline, size) in [(1, 1, 64), (2, 8, 1), (1, 3, 5000), (3, 50, 200)] {
        let mut options = options(good_server());
        (options.threads, options.pipeline, options.size) = (threads, pipeline, size);
        (options.requests, options.duration) = (Some(501), Duration::from_secs(20));
        let results = load(&options);
        assert!(results.ok(), "{results:?}");
        assert_eq!(
            (results.requests, results.late, results.unanswered),
            (501, 0, 0),
            "{threads} {pipeline} {size}"
        );
        assert_eq!(
            (results.bytes, results.response.len(), results.connect.len()),
            (501 * size as u64, 501, 4)
        );
        assert!(results.elapsed < Duration::from_secs(20));
    }
}

#[test]
fn large_requests_come_back_whole() {
    let mut options = options(good_server());
    (options.size, options.connections, options.pipeline) = (5 * 1024 * 1024, 2, 2);
    (options.requests, options.duration) = (Some(6), Duration::from_secs(30));
    let results = load(&options);
    assert!(results.ok() && results.requests == 6, "{results:?}");
}

#[test]
fn a_message_is_sent_as_it_is_and_an_echo_is_expected_only_on_request() {
    let echo = server(|_, mut stream| {
        let mut reader = stream.try_clone()?;
        io::copy(&mut reader, &mut stream).map(drop)
    });
    let mut options = options(echo);
    (options.message, options.requests) = (Some("hello baby".into()), Some(20));
    let shouted = load(&options);
    assert!(!shouted.ok() && shouted.errors.wrong_bytes >= 4, "{shouted:?}");
    let first = shouted.first_error.unwrap();
    assert!(
        first.contains("byte 0 of the reply to request 0 is 'h' instead of 'H'") && first.contains("--echo")
    );
    options.echo = true;
    let echoed = load(&options);
    assert!(echoed.ok() && echoed.requests == 20 && echoed.bytes == 200, "{echoed:?}");
}

#[test]
fn one_wrong_byte_is_found_and_its_place_is_told() {
    let address = server(move |number, stream| {
        let mut answers = 0;
        answer(stream, |answer| {
            answers += 1;
            if (number, answers) == (2, 3) {
                answer[40] ^= 1;
            }
        })
    });
    let mut options = options(address);
    options.connections = 3;
    let results = load(&options);
    assert!(!results.ok());
    assert_eq!((results.errors.wrong_bytes, results.errors.total()), (1, 1), "{results:?}");
    let first = results.first_error.unwrap();
    assert!(first.contains("byte 40 of the reply to request 2 is "), "{first}");
}

#[test]
fn replies_of_two_conversations_that_are_swapped_are_found() {
    let (sender, receiver) = std::sync::mpsc::channel::<TcpStream>();
    let address = server(move |_, stream| sender.send(stream).map_err(|_| ErrorKind::Other.into()));
    thread::spawn(move || {
        let mut pair = [receiver.recv().unwrap(), receiver.recv().unwrap()];
        let mut answers = [[0; 64]; 2];
        for (stream, answer) in pair.iter_mut().zip(&mut answers) {
            stream.read_exact(answer).unwrap();
            common::shout(answer);
        }
        pair[0].write_all(&answers[1]).unwrap();
        pair[1].write_all(&answers[0]).unwrap();
    });
    let mut options = options(address);
    options.connections = 2;
    let results = load(&options);
    assert_eq!((results.errors.wrong_bytes, results.requests), (2, 0), "{results:?}");
}

#[test]
fn bytes_that_nobody_asked_for_are_found() {
    let address = server(|_, stream| answer(stream, |answer| answer.push(b'!')));
    let results = load(&options(address));
    assert!(results.errors.wrong_bytes > 0 && results.first_error.unwrap().contains("1 bytes more"));
}

#[test]
fn a_connection_that_the_server_closes_early_is_counted_and_opened_again() {
    let address = server(|number, mut stream| match number {
        0 => stream.read(&mut [0; 64]).map(drop),
        _ => answer(stream, |_| {}),
    });
    let mut options = options(address);
    (options.connections, options.duration) = (2, Duration::from_secs(30));
    let mut load = Load::connect(&options).unwrap();
    let (stop, monitor) = (load.stop_handle(), load.monitor());
    let stopper = thread::spawn(move || {
        for open in [1, 2] {
            while monitor.progress().open != open {
                thread::sleep(Duration::from_millis(5));
            }
        }
        stop.stop();
    });
    load.measure();
    stopper.join().unwrap();
    let results = load.finish();
    assert!(!results.ok());
    assert_eq!((results.errors.total(), results.errors.closed_early), (1, 1), "{results:?}");
    assert_eq!(results.connect.len(), 3);
    assert!(results.requests > 0);
}

#[test]
fn a_server_that_never_answers_does_not_hold_the_load() {
    let address = server(|_, mut stream| io::copy(&mut stream, &mut io::sink()).map(drop));
    let begun = Instant::now();
    let results = load(&options(address));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(!results.ok() && results.errors.total() == 0);
    assert_eq!((results.requests, results.unanswered), (0, 4));
    assert!(results.doubts(&options(address)).contains(&Doubt::NothingAnswered));
}

#[test]
fn a_server_that_never_accepts_does_not_hold_the_load() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let begun = Instant::now();
    let error = Load::connect(&options(address)).unwrap_err().to_string();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(error.contains("of 4 connections") && !error.contains('\n'), "{error}");
}

#[test]
fn a_refused_connection_is_one_line() {
    let address = nobody();
    for new_connection_each in [false, true] {
        let mut options = options(address);
        options.new_connection_each = new_connection_each;
        let error = Load::connect(&options).unwrap_err().to_string();
        assert!(
            error.contains(&address.to_string()) && error.contains("refused") && !error.contains('\n'),
            "{error}"
        );
    }
}

#[test]
fn each_request_can_have_a_connection_of_its_own() {
    let seen = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&seen);
    let address = server(move |_, stream| {
        let mut answers = 0;
        let result = answer(stream, |_| answers += 1);
        // The connection that looks whether there is a server asks nothing.
        counter.fetch_add(u64::from(answers == 1), Ordering::SeqCst);
        result
    });
    for rate in [None, Some(400.0)] {
        seen.store(0, Ordering::SeqCst);
        let mut options = options(address);
        (options.new_connection_each, options.rate) = (true, rate);
        (options.requests, options.duration) = (Some(100), Duration::from_secs(10));
        let results = load(&options);
        assert!(results.ok(), "{results:?}");
        assert_eq!((results.requests, results.connect.len(), results.unanswered), (100, 100, 0));
        // Each is counted when the server's thread has seen its end.
        let deadline = Instant::now() + Duration::from_secs(10);
        while seen.load(Ordering::SeqCst) < 100 && Instant::now() < deadline {
            thread::yield_now();
        }
        assert_eq!(seen.load(Ordering::SeqCst), 100);
    }
}

#[test]
fn a_stop_from_another_thread_ends_the_measurement() {
    let mut options = options(good_server());
    options.duration = Duration::from_secs(60);
    let mut load = Load::connect(&options).unwrap();
    let (stop, monitor) = (load.stop_handle(), load.monitor());
    let stopper = thread::spawn(move || {
        while monitor.progress().answered < 10 {
            thread::yield_now();
        }
        stop.stop();
    });
    load.measure();
    stopper.join().unwrap();
    let results = load.finish();
    assert!(results.ok() && results.requests >= 10 && results.elapsed < Duration::from_secs(30));
}

#[test]
fn connections_can_be_opened_at_a_rate_and_from_other_addresses() {
    let address = server(|_, stream| {
        assert!(["127.0.0.2", "127.0.0.3"].contains(&stream.peer_addr()?.ip().to_string().as_str()));
        answer(stream, |_| {})
    });
    let mut options = options(address);
    (options.connections, options.connect_rate) = (10, Some(50.0));
    options.source = vec!["127.0.0.2".parse().unwrap(), "127.0.0.3".parse().unwrap()];
    let begun = Instant::now();
    let load = Load::connect(&options).unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(180), "{:?}", begun.elapsed());
    assert_eq!(load.progress().open, 10);
}

#[test]
fn the_warm_up_leaves_no_trace() {
    let mut options = options(good_server());
    options.warm_up = Duration::from_millis(100);
    options.intervals = true;
    let mut load = Load::connect(&options).unwrap();
    load.warm_up();
    assert!(load.progress().answered > 0);
    load.measure();
    let results = load.finish();
    assert_eq!(results.response.len(), results.requests + results.late);
    let in_intervals: u64 =
        results.intervals.iter().flat_map(|interval| &interval.response).map(|(_, count)| count).sum();
    assert_eq!(in_intervals, results.response.len());
}

#[test]
fn contradictions_are_usage_errors() {
    let address = good_server();
    let refused = |change: fn(&mut LoadOptions)| {
        let mut options = options(address);
        change(&mut options);
        Load::connect(&options).unwrap_err().is::<serving::UsageError>()
    };
    assert!(refused(|options| options.message = Some(std::ffi::OsString::new())));
    assert!(refused(|options| options.size = 0));
    assert!(refused(|options| options.duration = Duration::ZERO));
    assert!(refused(|options| options.source = vec!["::1".parse().unwrap()]));
    assert!(refused(|options| options.source = vec!["192.0.2.1".parse().unwrap()]));
    assert!(refused(|options| options.connections = 900_000));
    assert!(refused(|options| (options.new_connection_each, options.pipeline) = (true, 2)));
}

#[test]
fn a_greeting_asks_once_on_every_connection_and_waits_for_all_answers() {
    let asked: Arc<[AtomicU64; 5]> = Arc::default();
    let seen = Arc::clone(&asked);
    let slow_to_begin = server(move |number, stream| {
        thread::sleep(Duration::from_millis(20 * number));
        let own = usize::try_from(number).unwrap();
        answer(stream, |answer| {
            seen[own].fetch_add(answer.len() as u64 / 64, Ordering::SeqCst);
        })
    });
    let mut options = options(slow_to_begin);
    (options.connections, options.threads, options.pipeline) = (5, 2, 4);
    let mut load = Load::connect(&options).unwrap();
    load.greet(Duration::from_secs(20));
    let greeted: Vec<u64> = asked.iter().map(|asked| asked.load(Ordering::SeqCst)).collect();
    assert_eq!(greeted, [1; 5]);
    load.measure();
    let results = load.finish();
    assert!(results.ok() && results.unanswered == 0, "{results:?}");
}

#[test]
fn a_greeting_that_not_all_answer_ends_when_patience_does() {
    let mut options = options(server(|number, stream| {
        if number > 0 {
            thread::park_timeout(Duration::from_secs(5));
        }
        answer(stream, |_| {})
    }));
    options.connections = 2;
    let mut load = Load::connect(&options).unwrap();
    let begun = Instant::now();
    load.greet(Duration::from_millis(100));
    assert!(begun.elapsed() >= Duration::from_millis(100) && begun.elapsed() < Duration::from_secs(4));
    load.measure();
    assert!(load.finish().requests > 0);
}
