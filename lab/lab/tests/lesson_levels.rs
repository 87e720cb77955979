//! `lab run levels`: what processes, threads and coroutines add to one another.

mod lesson;

use std::collections::BTreeSet;

use lessons::trace::{Kind, State, Trace};

use lesson::lesson;

/// The processes that have clients, and how many clients there are.
fn clients(trace: &Trace) -> (usize, usize) {
    let clients = || trace.lanes.iter().filter(|lane| lane.kind == Kind::Task);
    (clients().map(|lane| lane.pid).collect::<BTreeSet<_>>().len(), clients().count())
}

#[test]
fn all_wait_at_once_and_each_level_computes_on_more() {
    let lesson = lesson(&["levels", "--clients=9", "--processes=3", "--wait=80ms", "--compute=2ms"]);
    assert_eq!(clients(&lesson.trace("coroutines")), (1, 9));
    assert_eq!(clients(&lesson.trace("threads")), (1, 9));
    assert_eq!(clients(&lesson.trace("processes")), (3, 9));
    assert_eq!(lesson.trace("coroutines").most_at_once(State::Holding), 1);
    assert!(lesson.trace("coroutines").most_at_once(State::Sleeping) > 4);
    assert!(lesson.trace("threads").most_at_once(State::Holding) <= 3);
}

#[test]
fn one_client_needs_no_second_process() {
    assert_eq!(clients(&lesson(&["levels", "--clients=1"]).trace("processes")), (1, 1));
}
