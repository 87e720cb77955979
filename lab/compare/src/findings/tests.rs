//! Each kind of finding, from invented figures.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::document::Figures;
use crate::document::{IdleRecord, Round};
use crate::profile::Scenario;
use crate::words::say;

fn point(scenario: Scenario, connections: usize, servers: Vec<Server>) -> Point {
    Point {
        scenario,
        connections,
        size_bytes: 64,
        pipeline: 1,
        load: None,
        offered_per_s: None,
        slowest: None,
        servers,
    }
}

fn server(id: &str, connections: usize, figures: Figures, rounds: Vec<Round>) -> Server {
    Server { id: id.to_owned(), connections, figures: Some(figures), rounds, ..Server::default() }
}

/// A server whose rates were these, of which the second is the median.
fn rated(id: &str, connections: usize, rates: [f64; 3]) -> Server {
    let figures = Figures { requests_per_s: rates[1], ..Figures::default() };
    let round = |rate| Round { requests_per_s: rate, elapsed_s: 1.0, ..Round::default() };
    server(id, connections, figures, rates.map(round).to_vec())
}

fn silent(id: &str, pss_bytes: f64, kernel: f64) -> Server {
    let idle = IdleRecord { pss_bytes, kernel_own_bytes: kernel, kernel_slab_bytes: 0.0 };
    let figures = Figures { idle: Some(idle), ..Figures::default() };
    let round = || Round { idle: Some(idle), ..Round::default() };
    server(id, 100, figures, vec![round(), round()])
}

#[test]
fn what_dependability_costs_is_a_ratio_that_may_be_noise() {
    let cpu = |id: &str, times: [f64; 3]| {
        let mut server = rated(id, 10, [100.0; 3]);
        if let Some(figures) = &mut server.figures {
            figures.server_cpu_ns_per_request = times[1];
        }
        for (round, time) in server.rounds.iter_mut().zip(times) {
            round.server_cpu_ns_per_request = time;
        }
        server
    };
    let servers = [
        cpu("mio", [4900.0, 5000.0, 5100.0]),
        cpu("fork", [9900.0, 10_000.0, 10_100.0]),
        cpu("plain-mio", [4850.0, 4950.0, 5050.0]),
        cpu("plain-fork", [7900.0, 8000.0, 8100.0]),
    ];
    let said: Vec<String> =
        dependability(&point(Scenario::Requests, 10, servers.to_vec())).iter().map(say).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("mio uses 1.01 (") && said[0].contains("noise"), "{said:?}");
    assert!(said[1].contains("fork uses 1.25 (") && !said[1].contains("noise"), "{said:?}");
}

#[test]
fn a_clear_lead_is_ranked_and_an_overlap_is_a_tie() {
    let clear = [rated("mio", 10, [90.0, 100.0, 110.0]), rated("fork", 10, [40.0, 50.0, 60.0])];
    let said = say(&leader(&point(Scenario::Requests, 10, clear.to_vec()), Metric::Rate).unwrap());
    assert_eq!(
        said,
        "at 10 connections, mio has the highest rate, 100/s; fork's is 0.49 (0.38 to 0.64) times that (50.0/s)"
    );
    let close = [rated("mio", 10, [90.0, 100.0, 110.0]), rated("thread", 10, [95.0, 95.0, 105.0])];
    let said = say(&leader(&point(Scenario::Requests, 10, close.to_vec()), Metric::Rate).unwrap());
    assert!(said.contains("mio and thread tie in their rate"), "{said}");
    assert!(!said.contains("highest"), "{said}");
}

#[test]
fn one_round_is_not_ranked_and_one_connection_not_beside_many() {
    let mut once = [rated("mio", 10, [100.0; 3]), rated("fork", 10, [50.0; 3])];
    once.iter_mut().for_each(|server| server.rounds.truncate(1));
    let said = say(&leader(&point(Scenario::Requests, 10, once.to_vec()), Metric::Rate).unwrap());
    assert!(said.contains("nothing is ranked"), "{said}");
    let unequal =
        [rated("iterative", 1, [900.0; 3]), rated("fork", 10, [50.0; 3]), rated("mio", 10, [100.0; 3])];
    let said = say(&leader(&point(Scenario::Requests, 10, unequal.to_vec()), Metric::Rate).unwrap());
    assert!(said.contains("mio has the highest") && !said.contains("iterative"), "{said}");
}

#[test]
fn what_many_silent_clients_cost_is_told_in_steps_and_never_beside_nothing() {
    let servers = [
        silent("fork", 30_000.0, 70_000.0),
        silent("prefork", 29_000.0, 70_000.0),
        silent("thread", 10_000.0, 10_000.0),
        silent("mio", -3.0, -20.0),
    ];
    let point = point(Scenario::Idle, 100, servers.to_vec());
    assert_eq!(
        say(&super::silent(&point).unwrap()),
        "10,000 silent clients: 954 MiB with fork, 191 MiB with thread, less than 9.77 MiB with mio"
    );
    let shares = say(&kernel_shares(&point).unwrap());
    assert!(shares.contains("fork 70 %") && !shares.contains("mio"), "{shares}");
}

#[test]
fn nobody_is_said_to_tie_whose_rounds_tell_nothing() {
    let noisy = [rated("mio", 10, [90.0, 100.0, 110.0]), rated("fork", 10, [40.0, 95.0, 160.0])];
    let said = say(&leader(&point(Scenario::Requests, 10, noisy.to_vec()), Metric::Rate).unwrap());
    assert!(said.contains("3 noisy rounds cannot tell fork from it"), "{said}");
    assert!(!said.contains("tie"), "{said}");
}

#[test]
fn who_loses_its_rate_with_many_connections_is_told() {
    let few = point(
        Scenario::Requests,
        10,
        vec![rated("mio", 10, [99.0, 100.0, 101.0]), rated("fork", 10, [99.0, 100.0, 101.0])],
    );
    let many = point(
        Scenario::Requests,
        1000,
        vec![rated("mio", 1000, [95.0, 98.0, 101.0]), rated("fork", 1000, [39.0, 40.0, 41.0])],
    );
    let said: Vec<String> = keeping(&[&few, &many]).iter().map(say).collect();
    assert_eq!(
        said,
        ["fork keeps 40 % of its best rate at 1,000 connections; the best was 100/s at 10 connections"]
    );
}
