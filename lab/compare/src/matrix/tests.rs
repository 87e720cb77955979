//! The matrix, from invented figures.

use super::*;
use crate::document::Figures;
use crate::document::Round;
use crate::findings::findings;
use crate::report;

fn server(id: &str, connections: usize, rates: [f64; 3]) -> Server {
    let figures = Figures { requests_per_s: rates[1], ..Figures::default() };
    let round = |rate| Round { requests_per_s: rate, elapsed_s: 1.0, ..Round::default() };
    Server {
        id: id.to_owned(),
        connections,
        figures: Some(figures),
        rounds: rates.map(round).to_vec(),
        ..Server::default()
    }
}

fn document(servers: Vec<Server>) -> Document {
    let point = Point {
        scenario: Scenario::Requests,
        connections: 100,
        size_bytes: 64,
        pipeline: 1,
        load: None,
        offered_per_s: None,
        slowest: None,
        servers,
    };
    Document { points: vec![point], ..Document::default() }
}

fn marks(document: &Document) -> Vec<(String, Mark)> {
    Matrix::of(document).rows.into_iter().map(|(id, cells)| (id, cells[0].mark)).collect()
}

#[test]
fn the_best_is_marked_with_those_that_are_not_told_from_it() {
    let document = document(vec![
        server("iterative", 1, [900.0, 900.0, 900.0]),
        server("fork", 100, [40.0, 41.0, 42.0]),
        server("mio", 100, [99.0, 100.0, 101.0]),
        server("tokio", 100, [98.0, 101.0, 99.0]),
        server("uring", 100, [60.0, 90.0, 150.0]),
    ]);
    let expected = [
        ("iterative", Mark::None),
        ("fork", Mark::None),
        ("mio", Mark::Tied),
        ("tokio", Mark::Best),
        ("uring", Mark::Noisy),
    ];
    assert_eq!(marks(&document), expected.map(|(id, mark)| (id.to_owned(), mark)));
    let matrix = Matrix::of(&document);
    assert_eq!(matrix.footnotes, ["it holds one conversation at a time"]);
    // What was not measured has no column, and what a model is needs no measuring.
    assert!(!matrix.questions.contains(&Question::Client) && matrix.questions.contains(&Question::Lines));
}

#[test]
fn who_asks_for_another_load_alone_gets_its_rates() {
    let mut document = document(vec![server("mio", 100, [99.0, 100.0, 101.0])]);
    document.points[0].scenario = Scenario::Bulk;
    assert!(Matrix::of(&document).questions.starts_with(&[Question::Rate, Question::Cpu]));
    assert!(Question::Rate.about(&document).is_some_and(|about| about.contains("bulk, 100 connections")));
}

#[test]
fn the_answer_fits_one_screen_whatever_is_in_it() {
    let name = |index: usize| format!("a server with a rather long name {index}");
    let mut document = document(
        (0..20).map(|index| server(&name(index), 100, [99.0, 100.0 + index as f64, 101.0])).collect(),
    );
    document.findings = findings(&document);
    document.doubts = (0..40)
        .map(|index| crate::document::Doubt::of_all(format!("{index} {}", "why ".repeat(30))))
        .collect();
    let answer = report::answer(&document, None);
    assert!(answer.lines().count() <= 60, "{answer}");
    assert!(answer.lines().all(|line| line.chars().count() <= 80), "{answer}");
    assert!(answer.contains("more to doubt: --details"), "{answer}");
    assert!(!answer.contains('\x1b'));
}
