//! English.

mod coroutines;
mod counter;
mod deadlock;
mod event;
mod gil;
mod levels;
mod pool;
mod queue;
mod semaphore;
mod servers;
mod spawn;
mod starve;
mod submit;
mod threads;
mod tickets;

use super::{Frame, Lanes, Page, Texts};
use crate::trace::State;

pub(super) const TEXTS: Texts = Texts {
    frame: Frame {
        title: |title| format!("{title}:"),
        titled: |title, words| format!("{title}: {words}"),
        claim: |expected, observed| format!("{expected}: {observed}"),
        verdict: "verdict",
        no_claims: "none: one variant alone proves nothing",
        as_expected: "as expected",
        not_as_expected: "NOT as expected",
        variant: "variant",
        figure: |name, value| format!("{name} {value}"),
        comma: ", ",
        why: "why",
        sentence: |phrases| match phrases {
            [] => String::new(),
            phrases => format!("{}.", phrases.join("; ")),
        },
        reasons: |reasons| reasons.join(" "),
        no_reason: |expected| {
            format!("That does not fit what was expected, \"{expected}\"; the reason is not known.")
        },
    },
    lanes: Lanes {
        state: State::name,
        running_or_ready: "running or ready (not known which)",
        partly_ready: "a part of it ready (not known when)",
        ready: |time| format!("{time} of it ready"),
        nothing: "(nothing was recorded)",
        sample: |shown, all| format!("({shown} of {all} lanes, evenly chosen)"),
        holding: |lock| format!("holding {lock}"),
        hold_and_wait: |lock| format!("holding {lock}, waiting"),
        in_hand: |locks| format!("holding {}", locks.join(" and ")),
        most: |most| format!("most {most}"),
        band: |name, most| format!("{name}: at most {most}"),
        lane: |name, pid, tid| {
            let thread = tid.map_or_else(String::new, |tid| format!(", thread {tid}"));
            format!("{name}, process {pid}{thread}")
        },
        doing: |state, what, hand| {
            let what = if what.is_empty() { String::new() } else { format!(" ({what})") };
            let hand = if hand.is_empty() { String::new() } else { format!(", {hand}") };
            format!("{state}{what}{hand}")
        },
        span: |lane, doing, from, length, ready| {
            let ready = if ready.is_empty() { String::new() } else { format!(", {ready}") };
            format!("{lane}: {doing}, from {from} for {length}{ready}")
        },
        mark: |lane, label, value, at| {
            let gap = if value.is_empty() { "" } else { " " };
            format!("{lane}: {label}{gap}{value}, at {at}")
        },
    },
    page: Page {
        title: "The course, experiment by experiment",
        contents: "Contents",
        figures: "Figures",
        debug_build: "Recorded by a debug build.",
    },
    word: |_, _| None,
    servers: servers::SERVERS,
    tickets: tickets::TICKETS,
    spawn: spawn::SPAWN,
    threads: threads::THREADS,
    alive: threads::ALIVE,
    counter: counter::COUNTER,
    gil: gil::GIL,
    gil_table: gil::GIL_TABLE,
    deadlock: deadlock::DEADLOCK,
    cycle: deadlock::CIRCLE,
    semaphore: semaphore::SEMAPHORE,
    event: event::EVENT,
    pool: pool::POOL,
    submit: submit::SUBMIT,
    queue: queue::QUEUE,
    coroutines: coroutines::COROUTINES,
    starve: starve::STARVE,
    waits: starve::WAITS,
    levels: levels::LEVELS,
};
