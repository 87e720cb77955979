//! `lab run servers`: who waits for whom is in what the clients recorded, and who serves whom in
//! what was seen of the server.
#![allow(clippy::unwrap_used, reason = "a test that cannot read is a test that fails")]

mod lesson;

use lessons::trace::{Kind, Lane, State, Trace};

use lesson::{Lesson, lab, lesson};

/// When a client got its first answer, and its last.
fn answers(trace: &Trace, client: usize) -> (u64, u64) {
    let marks = &trace.lanes[client].marks;
    assert_eq!(marks.len(), [4, 2, 3][client], "{marks:?}");
    assert!(marks.iter().all(|mark| mark.value == (client + 1).to_string()), "{marks:?}");
    (marks[0].at_ns, marks[marks.len() - 1].at_ns)
}

/// The lanes of the server that have answered somebody, and whom.
fn servants(trace: &Trace) -> Vec<(&Lane, Vec<String>)> {
    let lanes = trace.lanes[3..].iter().filter(|lane| lane.has("answer"));
    let whom = |lane: &Lane| {
        let mut whom: Vec<_> = lane.marks.iter().map(|mark| mark.value.to_string()).collect();
        whom.sort_unstable();
        whom.dedup();
        whom
    };
    lanes.map(|lane| (lane, whom(lane))).collect()
}

fn show(model: &str) -> (Lesson, Trace) {
    let lesson = lesson(&["servers", "--models", model, "--pace=200ms"]);
    assert_eq!(lesson.variants(), [model]);
    let trace = lesson.trace(model);
    (lesson, trace)
}

#[test]
fn with_one_conversation_at_a_time_each_client_waits_until_the_one_before_has_left() {
    let (_, trace) = show("iterative");
    let [one, two, three] = [0, 1, 2].map(|client| answers(&trace, client));
    assert!(one.1 < two.0 && two.1 < three.0, "{trace:?}");
    let [(server, whom)] = &servants(&trace)[..] else { panic!("{trace:?}") };
    assert_eq!((server.kind, whom.join(" ")), (Kind::Process, "1 2 3".to_owned()));
    // The point of it: while others waited, it slept until client 1 spoke.
    let slept =
        server.spans.iter().filter(|span| span.what == "client 1").map(|span| span.end_ns - span.begin_ns);
    assert!(slept.sum::<u64>() > 400_000_000, "{server:?}");
}

#[test]
fn a_process_or_a_thread_for_each_client_lets_nobody_wait() {
    for (model, kind) in [("fork", Kind::Process), ("thread", Kind::Thread)] {
        let (_, trace) = show(model);
        let [one, two, three] = [0, 1, 2].map(|client| answers(&trace, client));
        assert!(two.0 < one.1 && three.0 < one.1, "{trace:?}");
        let servants = servants(&trace);
        assert_eq!(servants.len(), 3, "{trace:?}");
        for (lane, whom) in servants {
            assert_eq!((lane.kind, whom.len()), (kind, 1), "{lane:?}");
        }
    }
}

#[test]
fn a_pool_of_two_lets_the_third_wait_until_one_has_left() {
    for model in ["pool", "prefork"] {
        let (lesson, trace) = show(model);
        let [one, two, three] = [0, 1, 2].map(|client| answers(&trace, client));
        assert!(two.0 < one.1 && three.0 > one.1.min(two.1), "{trace:?}");
        assert_eq!(lesson.count(model, "servants"), 2);
    }
}

#[test]
fn one_event_loop_serves_all_and_waits_for_whoever_is_next() {
    for model in ["mio", "tokio"] {
        let (_, trace) = show(model);
        let [one, two, three] = [0, 1, 2].map(|client| answers(&trace, client));
        assert!(two.0 < one.1 && three.0 < one.1, "{trace:?}");
        let [(server, whom)] = &servants(&trace)[..] else { panic!("{trace:?}") };
        assert_eq!(whom.join(" "), "1 2 3");
        assert!(server.spans.iter().any(|span| span.state == State::Blocked && span.what == "any client"));
    }
}

#[test]
fn every_model_can_be_shown_and_what_is_none_is_refused() {
    let models = "iterative,fork,prefork,thread,pool,mio,tokio,tokio-workers,uring,hybrid";
    let lesson = lesson(&["servers", "--pace=40ms", "--models", models]);
    assert!(lesson.variants().len() >= 9);
    assert_eq!(lab(&["run", "servers", "--models=spoon"]).code, Some(2));
    assert_eq!(lab(&["run", "servers", "--pace=0s"]).code, Some(2));
}
