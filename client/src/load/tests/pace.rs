//! When a load asks: at a rate, in stages, after a time to think, on connections that do not last;
//! and what it tells meanwhile.

use super::*;

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
fn what_has_been_told_can_be_forgotten() {
    let mut options = options(good_server());
    (options.intervals, options.forgets) = (true, true);
    (options.interval, options.duration) = (Duration::from_millis(100), Duration::from_millis(800));
    let mut load = Load::connect(&options).unwrap();
    let mut told = Vec::new();
    load.measure_and_tell(&mut |_, interval| told.push(interval.clone()));
    let results = load.finish();
    assert!(told.iter().any(|interval| !interval.response.is_empty()), "what is told is whole");
    for (told, kept) in told.iter().zip(&results.intervals) {
        assert!(kept.response.is_empty() && kept.sent == told.sent);
    }
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
