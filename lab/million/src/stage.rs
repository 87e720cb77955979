//! What is done, one thing after the other: prepare, open, rest, ask, close, stop.
//!
//! Where the machine runs out of something while connections are opened, the client that meets it
//! opens no more; the rest goes on with what there is, and the run fails.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use harness::interrupt::Interrupt;
use harness::models::Model;
use harness::sample;
use harness::server::Server;
use harness::units::grouped;
use serving::limit::raise_descriptors;

use super::crowd::{Crowd, Phase};
use super::document::{Document, Workers};
use super::layout::spreads;
use super::progress::Progress;
use super::weigh::{Growth, weigh};
use super::words::{Order, Part};

/// The clients' source addresses begin here.
const FIRST_SOURCE: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 0);

/// A server that takes longer to stop is killed. Nobody is connected by then, but where something
/// has looked into /proc/PID/fd, the kernel takes a tenth of a second to forget a process that had
/// 20,000 descriptors.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// Carries the plan out, and writes down what is found as soon as it is.
///
/// # Errors
/// What ended it before its time. What went wrong with single connections is in the document.
pub(super) fn carry_out(document: &mut Document, model: Model, interrupt: &Interrupt) -> Result<()> {
    // Prepare.
    raise_descriptors()?;
    // Declared in this order, so that where this ends early the server is killed first: it need not
    // serve the clients' ends.
    let mut crowd = Crowd::new(interrupt);
    let mut server = Server::start_talking(&arguments(document, model), interrupt)?;
    for part in parts(document, &server) {
        crowd.start(&part)?;
    }
    crowd.gather()?;
    let driven = drive(document, &mut crowd, &mut server, interrupt);
    if driven.is_err() {
        // That the server has died says more than what others saw of it.
        server.check_alive()?;
    }
    let opened = driven?;
    crowd.dismiss()?;

    // Stop.
    let status = server.stop_within(STOP_TIMEOUT)?.last_line().context("the server said nothing")?;
    document.status = Some(status.clone());
    check_status(&status, &opened).map_err(|why| anyhow!("{why}: {status}"))
}

/// What is done with a server and clients that are there. Returns how the connections were opened.
fn drive(
    document: &mut Document,
    crowd: &mut Crowd<'_>,
    server: &mut Server<'_>,
    interrupt: &Interrupt,
) -> Result<Phase> {
    let before = weigh(server.tree(), &crowd.pids(), interrupt)?;
    let descriptors = sample::descriptors(server.tree())?;

    // Open.
    let planned = document.plan.layout.connections;
    let opened = order(Order::Open, planned, crowd, server, document)?;
    ensure!(opened.done > 0, "no connection could be opened");

    // Rest.
    let with = weigh(server.tree(), &crowd.pids(), interrupt)?;
    document.growth = Some(Growth::between(&before, &with, opened.done));
    document.workers = Workers::of(&descriptors, &sample::descriptors(server.tree())?);

    // Ask.
    let asked = order(Order::Ask, opened.done, crowd, server, document)?;
    ensure!(asked.done == opened.done, "the server has stopped answering, so nothing more is asked of it");

    // Close.
    order(Order::Close, opened.done, crowd, server, document)?;
    Ok(opened)
}

/// Gives an order to all clients, shows how far they have come, and writes down what came of it.
fn order(
    order: Order,
    total: u64,
    crowd: &mut Crowd<'_>,
    server: &mut Server<'_>,
    document: &mut Document,
) -> Result<Phase> {
    let (what, found) = match order {
        Order::Open => ("opening", &mut document.opened),
        Order::Ask => ("asking", &mut document.asked),
        Order::Close => ("closing", &mut document.closed),
    };
    let mut progress = Progress::begin(what, total);
    let carried_out = crowd.carry_out(order, |done| progress.show(done));
    drop(progress);
    let so_far = |done: u64| format!("{what}, {} of {} done", grouped(done), grouped(total));
    let phase = carried_out.with_context(|| so_far(crowd.done()))?;
    *found = Some(phase.clone());
    if phase.done < total || phase.failed > 0 {
        // That it has died says more than what its clients saw of it.
        server.check_alive().with_context(|| so_far(phase.done))?;
        let first = phase.failures.first().map_or("", String::as_str);
        document.failures.push(format!("{}: {first}", so_far(phase.done)));
    }
    Ok(phase)
}

/// How the server is started. It never closes a silent peer: silence is what is measured.
fn arguments(document: &Document, model: Model) -> Vec<String> {
    let mut arguments = vec![model.name().to_owned(), "--idle-timeout=0s".to_owned()];
    if spreads(model) {
        arguments.push(format!("--processes={}", document.plan.layout.server_processes));
    }
    arguments
}

/// What each client process is told.
fn parts(document: &Document, server: &Server<'_>) -> Vec<Part> {
    let layout = &document.plan.layout;
    // What the plan allows fits: addresses of 127.0.0.0/8, and connections that one process can
    // hold.
    let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    let several = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let part = |index: u64| {
        let (first, connections) = layout.share(index);
        Part {
            address: server.address(),
            source: Ipv4Addr::from(u32::from(FIRST_SOURCE) + small(index * layout.sources_per_client)),
            sources: small(layout.sources_per_client),
            first,
            connections: small(connections),
            opening: several(layout.opening_per_client),
            asking: several(layout.asking_per_client),
            seed: document.seed,
        }
    };
    (0..layout.client_processes).map(part).collect()
}

/// # Errors
/// If the server has not counted as many conversations as there were, or not all as completed.
fn check_status(status: &str, opened: &Phase) -> Result<(), String> {
    let count = |name: &str| {
        let value = status.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value
            .and_then(|value| value.parse::<u64>().ok())
            .ok_or(format!("the server's last line has no {name}"))
    };
    let (accepted, completed) = (count("accepted")?, count("completed")?);
    if accepted != completed || count("open")? + count("failed")? + count("timed_out")? > 0 {
        return Err("the server has not completed all that it accepted".to_owned());
    }
    if opened.failed == 0 && accepted != opened.done {
        return Err(format!("the server has accepted other than {} connections", opened.done));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_does_not_add_up_is_seen() {
        let opened = Phase {
            done: 5,
            failed: 0,
            failures: Vec::new(),
            took_s: 1.0,
            per_s: 5.0,
            p50_ns: 1,
            p99_ns: 1,
            max_ns: 1,
        };
        let check = |line: &str| check_status(line, &opened);
        assert_eq!(check("status: open=0 accepted=5 completed=5 failed=0 timed_out=0"), Ok(()));
        for wrong in [
            "status: open=0 accepted=5 completed=4 failed=1 timed_out=0",
            "status: open=0 accepted=5 completed=4 failed=0 timed_out=1",
            "status: open=1 accepted=5 completed=4 failed=0 timed_out=0",
            "status: open=0 accepted=6 completed=6 failed=0 timed_out=0",
            "cut 3 open conversations",
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
