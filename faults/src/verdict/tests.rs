use super::*;

fn row(call: &'static str, errno: &'static str, ever: bool) -> Row {
    Row { server: "mio".to_owned(), call, errno, nth: 1, ever, phase: Phase::Serve }
}

/// What is seen of a server that nothing harms.
fn fine() -> Observation {
    Observation {
        injected: 1,
        listened: true,
        conversations: vec![Said::Served; 5],
        afterwards: vec![Said::Served; 3],
        stopped: Some(End::Code(0)),
        told_to_stop: true,
        most_log_lines: 10,
        ..Observation::default()
    }
}

fn verdict(row: &Row, seen: &Observation) -> Verdict {
    judge(row, seen, true, Duration::from_secs(2)).0
}

fn lost() -> Said {
    Said::Lost("reset".to_owned())
}

#[test]
fn what_nobody_notices_is_clean_and_what_never_happened_is_unreached() {
    let row = row("recvfrom", "ECONNRESET", false);
    assert_eq!(verdict(&row, &fine()), Verdict::Clean);
    assert_eq!(verdict(&row, &Observation { injected: 0, ..fine() }), Verdict::Unreached);
    assert_eq!(verdict(&row, &Observation { paused: true, ..fine() }), Verdict::Paused);
}

#[test]
fn an_error_on_one_socket_may_cost_one_conversation_and_no_other() {
    let row = row("recvfrom", "ECONNRESET", false);
    let seen = |conversations| Observation { conversations, ..fine() };
    assert_eq!(verdict(&row, &seen(vec![Said::Served, lost()])), Verdict::ClientLost);
    assert_eq!(verdict(&row, &seen(vec![lost(), Said::Served, lost()])), Verdict::LostAnother);
    let (many, _) = judge(&row, &seen(vec![lost(), lost()]), false, Duration::from_secs(2));
    assert_eq!(many, Verdict::ClientLost, "each thread's call has failed");
}

#[test]
fn a_failed_accept_costs_nobody_a_connection() {
    let seen = Observation { conversations: vec![lost()], ..fine() };
    assert_eq!(verdict(&row("accept4", "EMFILE", false), &seen), Verdict::LostAnother);
    assert_eq!(verdict(&row("accept4", "EMFILE", true), &seen), Verdict::ClientLost);
}

#[test]
fn who_comes_when_nothing_fails_any_more_must_be_served() {
    for ever in [false, true] {
        let seen = Observation { afterwards: vec![Said::Served, Said::Stuck], ..fine() };
        assert_eq!(verdict(&row("accept4", "EMFILE", ever), &seen), Verdict::Hung);
    }
}

#[test]
fn an_end_is_a_death_unless_the_kernel_calls_the_servers_own_call_wrong() {
    let gone = Observation { ended_early: Some(End::Code(1)), error_lines: 1, ..fine() };
    assert_eq!(verdict(&row("accept4", "EBADF", false), &gone), Verdict::GaveUp);
    assert_eq!(verdict(&row("accept4", "EMFILE", false), &gone), Verdict::Died);
    assert_eq!(verdict(&row("recvfrom", "EBADF", false), &gone), Verdict::Died, "a client's socket");
    let wordless = Observation { error_lines: 0, ..gone.clone() };
    assert_eq!(verdict(&row("accept4", "EBADF", false), &wordless), Verdict::Died);
    let killed = Observation { ended_early: Some(End::Signal(11)), ..gone };
    assert_eq!(verdict(&row("accept4", "EBADF", false), &killed), Verdict::Died);
}

#[test]
fn a_refusal_needs_a_line_and_a_code() {
    let refused = Observation { listened: false, ended_early: Some(End::Code(1)), error_lines: 1, ..fine() };
    let row = row("socket", "EMFILE", false);
    assert_eq!(verdict(&row, &refused), Verdict::Refused);
    assert_eq!(verdict(&row, &Observation { error_lines: 0, ..refused.clone() }), Verdict::Died);
    assert_eq!(
        verdict(&row, &Observation { ended_early: Some(End::Code(0)), ..refused.clone() }),
        Verdict::Died
    );
    assert_eq!(verdict(&row, &Observation { ended_early: None, ..refused }), Verdict::Hung);
}

#[test]
fn a_quiet_server_is_not_busy() {
    let row = row("accept4", "EMFILE", true);
    let busy = Observation { quiet_cpu: Duration::from_millis(400), ..fine() };
    assert_eq!(verdict(&row, &busy), Verdict::Spun);
    let asking = Observation { quiet_injected: 5000, ..fine() };
    assert_eq!(verdict(&row, &asking), Verdict::Spun);
    let pausing = Observation { quiet_injected: 40, ..fine() };
    assert_eq!(verdict(&row, &pausing), Verdict::Clean);
}

#[test]
fn a_stop_is_in_time_with_code_0_and_leaves_nothing() {
    let row = row("poll", "ENOMEM", false);
    for stopped in [None, Some(End::Code(1)), Some(End::Signal(15))] {
        assert_eq!(verdict(&row, &Observation { stopped, ..fine() }), Verdict::SlowStop);
    }
    let late = Observation { stop_time: Duration::from_secs(3), ..fine() };
    assert_eq!(verdict(&row, &late), Verdict::SlowStop);
    assert_eq!(verdict(&row, &Observation { left_behind: 1, ..fine() }), Verdict::LeftBehind);
}

#[test]
fn wrong_bytes_are_the_worst() {
    let wrong = Said::Wrong("the byte at 7".to_owned());
    let seen = Observation { conversations: vec![wrong], ended_early: Some(End::Code(3)), ..fine() };
    assert_eq!(verdict(&row("recvfrom", "EINTR", false), &seen), Verdict::WrongBytes);
    assert_eq!(
        verdict(&row("recvfrom", "EINTR", false), &Observation { log_lines: 99, ..fine() }),
        Verdict::LogFlood
    );
}
