//! Loads against small servers of the tests' own, each with a fault that must be found.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::*;

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
    (options.connections, options.duration) = (2, Duration::from_millis(1_500));
    let results = load(&options);
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
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
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

/// The server of one connection that stalls once, for [`STALL`], after it has answered for a while.
const STALL: Duration = Duration::from_millis(300);

fn stalling_server() -> SocketAddr {
    server(|_, stream| {
        let mut answers = 0;
        answer(stream, |_| {
            answers += 1;
            if answers == 30 {
                thread::sleep(STALL);
            }
        })
    })
}

#[test]
fn in_an_open_loop_the_response_time_counts_from_when_a_request_was_due() {
    let mut options = options(stalling_server());
    (options.connections, options.rate, options.duration) = (1, Some(500.0), Duration::from_millis(800));
    let results = load(&options);
    let service = results.service.as_ref().unwrap();
    assert!(results.ok() && results.unanswered == 0, "{results:?}");
    // All that were due in the stall have waited: about 150 of 400. But only one of them has met
    // the stall after it was sent.
    let stalled =
        |histogram: &hdrhistogram::Histogram<u64>| histogram.count_between(50_000_000, u64::MAX / 2);
    assert!(stalled(&results.response) >= 100, "{}", stalled(&results.response));
    assert!(stalled(service) < 50, "{}", stalled(service));
    assert!(service.max() >= nanos(STALL) && results.response.max() >= nanos(STALL));
    assert!(results.response.len() >= 395, "{}", results.response.len());
}

#[test]
fn what_was_due_and_could_not_be_sent_in_time_is_asked_after_the_end() {
    let address = server(|_, stream| answer(stream, |_| thread::sleep(Duration::from_millis(10))));
    let mut options = options(address);
    // It can answer 100 a second, and 150 are due: 30 of the 45 in time, the rest in the time of
    // grace.
    (options.connections, options.rate, options.requests) = (1, Some(150.0), Some(45));
    let results = load(&options);
    assert_eq!((results.requests + results.late, results.unanswered), (45, 0), "{results:?}");
    assert!(results.late >= 5, "{results:?}");
}

#[test]
fn the_open_loop_keeps_its_rate_and_its_number() {
    let mut options = options(good_server());
    (options.rate, options.threads, options.duration) = (Some(1000.0), 2, Duration::from_secs(5));
    options.requests = Some(400);
    let results = load(&options);
    assert_eq!((results.requests, results.unanswered), (400, 0));
    assert!(results.elapsed >= Duration::from_millis(395), "{:?}", results.elapsed);
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

#[test]
fn connections_are_replaced_after_their_number_of_requests() {
    let asked: Arc<std::sync::Mutex<Vec<u64>>> = Arc::default();
    let seen = Arc::clone(&asked);
    let address = server(move |_, stream| {
        let mut answers = 0;
        let result = answer(stream, |got| answers += got.len() as u64 / 64);
        seen.lock().unwrap().push(answers);
        result
    });
    for (rate, pipeline) in [(None, 1), (None, 4), (Some(400.0), 1)] {
        asked.lock().unwrap().clear();
        let mut options = options(address);
        (options.rate, options.pipeline) = (rate, pipeline);
        options.requests_per_connection = std::num::NonZeroU64::new(7);
        (options.requests, options.duration) = (Some(98), Duration::from_secs(10));
        let results = load(&options);
        assert!(results.ok() && results.requests == 98, "{results:?}");
        // The server's threads see the end a little later than the load.
        let end = Instant::now() + Duration::from_secs(10);
        while asked.lock().unwrap().iter().sum::<u64>() < 98 && Instant::now() < end {
            thread::yield_now();
        }
        let mut asked = asked.lock().unwrap().clone();
        asked.retain(|answers| *answers > 0);
        assert_eq!(asked.iter().sum::<u64>(), 98, "{asked:?}");
        assert!(asked.iter().all(|answers| *answers <= 7) && asked.len() >= 14, "{asked:?}");
    }
}

#[test]
fn a_connection_thinks_between_an_answer_and_its_next_request() {
    let mut options = options(good_server());
    (options.connections, options.threads) = (6, 2);
    options.think_time = Some(Think::new(Duration::from_millis(20), Duration::from_millis(40)));
    options.duration = Duration::from_millis(600);
    let results = load(&options);
    // 30 ms on average: 20 requests of each connection, and fewer on a machine that is busy.
    assert!(results.ok() && (30..=150).contains(&results.requests), "{}", results.requests);
}

#[test]
fn stages_change_the_rate_and_end_with_the_last_one() {
    let mut options = options(good_server());
    let stage = |milliseconds, from, to| Stage { length: Duration::from_millis(milliseconds), from, to };
    options.stages = vec![stage(200, 100.0, 100.0), stage(200, 0.0, 0.0), stage(200, 0.0, 600.0)];
    options.intervals = true;
    options.interval = Duration::from_millis(200);
    let results = load(&options);
    assert!(results.ok() && results.requests + results.late == 80, "{results:?}");
    let sent: Vec<u64> = results.intervals.iter().map(|interval| interval.sent).collect();
    // A busy machine may send a few of the first stage in the second.
    assert!(sent[0] <= 21 && sent[0] + sent[1] <= 25 && sent[2] >= 40, "{sent:?}");
    assert!(results.elapsed >= Duration::from_millis(600));
}

#[test]
fn the_lines_of_a_file_are_asked_one_by_one() {
    let lines: Arc<std::sync::Mutex<Vec<u8>>> = Arc::default();
    let seen = Arc::clone(&lines);
    let address = server(move |_, stream| answer(stream, |got| seen.lock().unwrap().extend(got.iter())));
    let mut options = options(address);
    options.connections = 1;
    options.payload = Some((*b"alpha\nb\n\ngamma ray\n").into());
    (options.payload_lines, options.pipeline, options.requests) = (true, 3, Some(8));
    let results = load(&options);
    assert!(results.ok() && results.bytes == 38, "{results:?}");
    assert_eq!(String::from_utf8_lossy(&lines.lock().unwrap()), "ALPHA\nB\n\nGAMMA RAY\n".repeat(2));
}

#[test]
fn connections_that_nobody_serves_are_a_doubt() {
    let address = server(|number, stream| match number {
        0..3 => answer(stream, |_| {}),
        _ => io::copy(&mut &stream, &mut io::sink()).map(drop),
    });
    let mut options = options(address);
    options.timeout = Duration::from_millis(50);
    let results = load(&options);
    assert_eq!((results.unserved, results.unanswered), (1, 1), "{results:?}");
    assert!(results.doubts(&options).contains(&Doubt::Unserved(1)));
}

#[test]
fn each_interval_is_told_while_the_load_goes_on() {
    let mut options = options(good_server());
    (options.intervals, options.interval) = (true, Duration::from_millis(100));
    (options.threads, options.duration) = (2, Duration::from_millis(450));
    let mut load = Load::connect(&options).unwrap();
    let mut told = Vec::new();
    load.measure_and_tell(&mut |_, interval| told.push(interval.clone()));
    let results = load.finish();
    assert!((2..=4).contains(&told.len()), "{}", told.len());
    assert_eq!(told, results.intervals[..told.len()]);
    assert!(
        told.iter().all(|interval| interval.open == 4 && interval.length == options.interval),
        "{told:?}"
    );
    let sent: u64 = results.intervals.iter().map(|interval| interval.sent).sum();
    assert_eq!(sent, results.requests + results.late + results.unanswered);
}
