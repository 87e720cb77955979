//! What is done, one thing after the other: prepare, open, rest, ask, close, stop.
//!
//! Where the machine runs out of something while connections are opened, the client that meets it
//! opens no more; the rest goes on with what there is, and the run fails.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use client::hold::{Step, StepResult};
use client::progress::Progress;
use harness::interrupt::Interrupt;
use harness::models::Model;
use harness::sample;
use harness::server::Server;
use harness::units::grouped;
use serving::limit::raise_descriptors;

use super::crowd::Crowd;
use super::document::{Document, Workers};
use super::layout::spreads;
use super::weigh::{Growth, weigh};

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
    for index in 0..document.plan.layout.client_processes {
        crowd.start(&client(document, &server, index))?;
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
) -> Result<StepResult> {
    let before = weigh(server.tree(), &crowd.pids(), interrupt)?;
    let descriptors = sample::descriptors(server.tree())?;

    // Open.
    let planned = document.plan.layout.connections;
    let opened = take(Step::Open, planned, crowd, server, document)?;
    ensure!(opened.done > 0, "no connection could be opened");

    // Rest.
    let with = weigh(server.tree(), &crowd.pids(), interrupt)?;
    document.growth = Some(Growth::between(&before, &with, opened.done));
    document.workers = Workers::of(&descriptors, &sample::descriptors(server.tree())?);

    // Ask.
    let asked = take(Step::Ask, opened.done, crowd, server, document)?;
    ensure!(asked.done == opened.done, "the server has stopped answering, so nothing more is asked of it");

    // Close.
    take(Step::Close, opened.done, crowd, server, document)?;
    Ok(opened)
}

/// Lets all clients take a step, shows how far they have come, and writes down what came of it.
fn take(
    step: Step,
    total: u64,
    crowd: &mut Crowd<'_>,
    server: &mut Server<'_>,
    document: &mut Document,
) -> Result<StepResult> {
    let what = step.participle();
    let mut progress = Progress::begin(what, total);
    let taken = crowd.take(step, |done| progress.show(done));
    drop(progress);
    let so_far = |done: u64| format!("{what}, {} of {} done", grouped(done), grouped(total));
    let result = taken.with_context(|| so_far(crowd.done()))?;
    *document.of(step) = Some(result.clone());
    if result.done < total || result.failed > 0 {
        // That it has died says more than what its clients saw of it.
        server.check_alive().with_context(|| so_far(result.done))?;
        let first = result.failures.first().map_or("", String::as_str);
        document.failures.push(format!("{}: {first}", so_far(result.done)));
    }
    Ok(result)
}

/// How the server is started. It never closes a silent peer: silence is what is measured.
fn arguments(document: &Document, model: Model) -> Vec<String> {
    let mut arguments = vec![model.name().to_owned(), "--idle-timeout=0s".to_owned()];
    if spreads(model) {
        arguments.push(format!("--processes={}", document.plan.layout.server_processes));
    }
    arguments
}

/// How client process `index` is started.
fn client(document: &Document, server: &Server<'_>, index: u64) -> Vec<String> {
    let layout = &document.plan.layout;
    let (first, connections) = layout.share(index);
    let mut arguments = vec![
        server.address().to_string(),
        "--orders".to_owned(),
        format!("--first={first}"),
        format!("--connections={connections}"),
        format!("--opening={}", layout.opening_per_client),
        format!("--in-flight={}", layout.asking_per_client),
        format!("--seed={}", document.seed),
    ];
    let sources = (0..layout.sources_per_client).map(|source| index * layout.sources_per_client + source);
    // What the plan allows fits into 127.0.0.0/8.
    let address = |source| Ipv4Addr::from(u32::from(FIRST_SOURCE) + u32::try_from(source).unwrap_or(0));
    arguments.extend(sources.map(|source| format!("--source={}", address(source))));
    arguments
}

/// # Errors
/// If the server has not counted as many conversations as there were, or not all as completed.
fn check_status(status: &str, opened: &StepResult) -> Result<(), String> {
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
        let opened = StepResult {
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
