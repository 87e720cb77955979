//! Files that somebody has changed: a line or a page, never a panic, and nothing that a terminal
//! obeys.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::{fs, thread};

use serde_json::{Value, json};
use serving::UsageError;

use super::*;
use crate::findings::findings;
use crate::{html, report};

fn round(index: u64, factor: f64) -> Round {
    Round {
        elapsed_s: 1.0,
        requests: 1000 + index,
        requests_per_s: (1000.0 + index as f64) * factor,
        bytes_per_s: 64_000.0,
        response_p50_ns: 1000 + index,
        response_p99_ns: 9000 + index,
        response_p99_9_ns: 20_000,
        response_max_ns: 30_000,
        server_cpu_s: 0.5,
        server_cpu_ns_per_request: 5000.0 * factor + index as f64,
        generator_cpu_s: 0.9,
        generator_share: 0.95,
        pss_bytes: Some(1 << 20),
        processes: 1,
        threads: 2,
        idle: Some(IdleRecord { pss_bytes: 9e3 * factor, kernel_own_bytes: 1e3, kernel_slab_bytes: 2e3 }),
        alone: Some(AloneRecord { requests_per_s: 9.0, response_p99_ns: 5000 }),
        bulk_bytes_per_s: Some(1e9),
        ..Round::default()
    }
}

fn server(id: &str, connections: usize, factor: f64) -> Server {
    let rounds: Vec<Round> = (0..3).map(|index| round(index, factor)).collect();
    let figures = Figures {
        requests_per_s: 1000.0 * factor,
        of_best: 1.0,
        spread: Some(0.1),
        p50_ns: 1000,
        p99_ns: 9000,
        p99_9_ns: 20_000,
        max_ns: 30_000,
        percentiles: vec![(0.0, 500), (50.0, 1000), (99.0, 9000), (100.0, 30_000)],
        samples: 3000,
        server_cpu_ns_per_request: 5000.0,
        server_cores: 0.5,
        generator_share: 0.95,
        peak_pss_bytes: Some(1 << 20),
        processes: 1,
        threads: 2,
        idle: rounds[0].idle,
        alone: rounds[0].alone,
        bulk_bytes_per_s: Some(1e9),
        ..Figures::default()
    };
    Server { id: id.to_owned(), connections, figures: Some(figures), rounds, ..Server::default() }
}

/// A comparison with everything in it: a sweep and what else has figures of its own, with three
/// rounds of two servers.
fn everything() -> Document {
    let point = |(scenario, connections)| Point {
        scenario,
        connections,
        size_bytes: 64,
        pipeline: 1,
        load: (scenario == Scenario::Paced).then_some(0.5),
        offered_per_s: (scenario == Scenario::Paced).then_some(500.0),
        slowest: None,
        servers: vec![server("mio", connections, 2.0), server("fork", connections, 1.0)],
    };
    let points = [
        (Scenario::Requests, 10),
        (Scenario::Requests, 100),
        (Scenario::Idle, 100),
        (Scenario::Paced, 100),
        (Scenario::Mixed, 100),
    ];
    let points = points.into_iter().map(point).collect();
    let mut document = Document {
        version: VERSION,
        points,
        settings: Settings {
            rounds: 3,
            duration_s: 1.0,
            server_cores: Some(vec![0, 1]),
            ..Settings::default()
        },
        ..Document::default()
    };
    document.findings = findings(&document);
    document.doubts = vec![Doubt::of_all("a doubt")];
    document
}

/// The places of all numbers in it.
fn numbers(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Number(_) => found.push(at.to_owned()),
        Value::Array(values) => {
            values
                .iter()
                .enumerate()
                .for_each(|(index, value)| numbers(value, &format!("{at}/{index}"), found));
        }
        Value::Object(values) => {
            values.iter().for_each(|(name, value)| numbers(value, &format!("{at}/{name}"), found));
        }
        _ => {}
    }
}

#[test]
fn every_number_may_be_nonsense() {
    let whole = serde_json::to_value(everything()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut places = Vec::new();
    numbers(&whole, "", &mut places);
    // Those of one server and of one round stand for the same ones of all others.
    places.retain(|place| {
        !place.contains("/servers/1/") && !place.contains("/rounds/1/") && !place.contains("/rounds/2/")
    });
    places.retain(|place| {
        !place.contains("/rounds/0/") || place.contains("/points/1/") || place.contains("/idle/")
    });
    assert!(places.len() > 250, "{} places", places.len());
    let bad = ["-1", "0", "1e308", "-1e308", "18446744073709551615", "1e-300", "0.5", "null", "\"x\"", "[]"];
    let shows = |path: &Path, bad: &str| {
        for place in &places {
            let mut value = whole.clone();
            *value.pointer_mut(place).unwrap() = serde_json::from_str(bad).unwrap();
            fs::write(path, value.to_string()).unwrap();
            match Document::read(path) {
                Err(error) => assert_eq!(format!("{error:#}").lines().count(), 1, "{place} = {bad}"),
                Ok(document) => {
                    let shown = [report::answer(&document, None), report::text(&document, None)];
                    assert!(shown.iter().all(|text| text.len() < 1 << 20), "{place} = {bad}");
                    let page = html::html(&document);
                    assert!(page.len() < 4 << 20, "{place} = {bad}: {} bytes", page.len());
                }
            }
        }
    };
    thread::scope(|scope| {
        for (number, bad) in bad.into_iter().enumerate() {
            let (shows, path) = (&shows, folder.path().join(format!("{number}.json")));
            scope.spawn(move || shows(&path, bad));
        }
    });
}

#[test]
fn no_text_reaches_a_terminal_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    let mut document = everything();
    let evil = "evil\u{1b}[31m\u{7}\u{9b}2J\r";
    document.points[0].servers[0].id = evil.to_owned();
    document.doubts = vec![Doubt::of_all(evil)];
    document.machine.kernel = evil.to_owned();
    document.failures = vec![evil.to_owned()];
    fs::write(&path, serde_json::to_string(&document).unwrap()).unwrap();
    let document = Document::read(&path).unwrap();
    for text in [report::answer(&document, None), report::text(&document, None)] {
        assert!(
            text.contains("evil") && !text.contains(|it: char| it.is_control() && it != '\n'),
            "{text:?}"
        );
    }
}

#[test]
fn what_is_no_comparison_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    for (value, told) in [
        (json!({"version": 2}), "version 2 of the results, and this lab reads version 3"),
        (json!({"version": 1, "in_flight": 3}), "is a file of `lab million --json`"),
        (json!({"lessons": []}), "is a file of `lab run --json`"),
        (json!([]), "no version"),
    ] {
        fs::write(&path, value.to_string()).unwrap();
        let error = Document::read(&path).unwrap_err();
        assert!(error.is::<UsageError>() && format!("{error:#}").contains(told), "{error:#}");
    }
}
