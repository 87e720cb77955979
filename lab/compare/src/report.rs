//! The results for people: the table, what it was measured with, and what to think of it.

use std::fmt::Write as _;
use std::time::Duration;

use harness::text::paragraph;
use harness::units::counted;
use harness::{pin, units};

use crate::change::{Comparison, Judgement};
use crate::document::{Document, Doubt, Point};
use crate::matrix::{self, Matrix};
use crate::{table, words};

/// The most lines of the answer, and its columns when the width of the terminal is not known.
const ANSWER_LINES: usize = 60;
const ANSWER_COLUMNS: usize = matrix::COLUMNS;

/// A terminal that is narrower than this breaks the lines itself.
const MOST_NARROW: usize = 60;

/// The most findings of the answer.
const MOST_FINDINGS: usize = 5;

/// What stands behind the figures.
pub(crate) const LEGEND: &str = "* the best, = tied with it (95 %), ? rounds that differ too much to tell";

/// Where the rest is.
const MORE: &str = "--details prints every table, --report FILE draws them, --json FILE keeps them; `lab choose` asks what you need";

/// Columns of text below the table when the width of the terminal is not known.
const TEXT_COLUMNS: usize = 110;

/// The answer on one screen: the matrix, what a person would act on, what to doubt, and where the
/// rest is. `width` is that of the terminal, in columns.
pub fn answer(document: &Document, width: Option<u16>) -> String {
    let columns = width.map_or(ANSWER_COLUMNS, usize::from).max(MOST_NARROW);
    let matrix = Matrix::of(document);
    let mut text = matrix.render(columns);
    text.push('\n');
    let mut legend = LEGEND.to_owned();
    for (index, footnote) in matrix.footnotes.iter().enumerate() {
        let _ = write!(legend, "; {} {footnote}", matrix::raised(index + 1));
    }
    paragraph(&mut text, "marks:", &legend, columns);
    paragraph(&mut text, "load:", &matrix.about.join("; "), columns);
    text.push('\n');
    for finding in document.findings.iter().filter(|finding| finding.key).take(MOST_FINDINGS) {
        paragraph(&mut text, "-", &words::say(&finding.claim), columns);
    }
    if let Some(baseline) = &document.baseline {
        changes(&mut text, baseline, columns);
    }
    let mut further = Vec::new();
    let doubts: Vec<String> = document.doubts.iter().map(short).collect();
    for (title, lines) in
        [("FAILED:", &document.failures), ("left out:", &document.left_out), ("doubt:", &doubts)]
    {
        further.extend(lines.iter().map(|line| {
            let mut text = String::new();
            paragraph(&mut text, title, line, columns);
            text
        }));
    }
    let mut end = String::new();
    let checked = format!("{}; {}", checked(document), document.machine);
    paragraph(&mut end, "checked:", &checked, columns);
    paragraph(&mut end, "more:", MORE, columns);
    let used = |text: &str| text.lines().count();
    for (index, part) in further.iter().enumerate() {
        // A line for those that are left, and the end.
        if used(&text) + used(part) + used(&end) + 1 > ANSWER_LINES {
            let _ = writeln!(text, "and {} more to doubt: --details", further.len() - index);
            break;
        }
        text.push_str(part);
    }
    text + &end
}

/// The whole report. `width` is that of the terminal, in columns.
pub fn text(document: &Document, width: Option<u16>) -> String {
    let columns = width.map_or(TEXT_COLUMNS, usize::from);
    let mut text = String::new();
    for scenario in document.scenarios() {
        let points = document.points_of(scenario);
        if document.points.len() > 1 {
            paragraph(&mut text, "", &format!("{}: {}", scenario.name(), scenario.profile().title), columns);
            text.push('\n');
        }
        for point in points {
            if document.points.len() > 1 {
                let _ = writeln!(text, "{}", heading(point));
            }
            text.push_str(&table::render(scenario, &point.servers, width));
            text.push_str(if document.points.len() > 1 { "\n\n" } else { "\n" });
        }
    }
    paragraph(&mut text, "measured: ", &measured(document), columns);
    paragraph(&mut text, "machine: ", &document.machine.to_string(), columns);
    paragraph(&mut text, "columns: ", COLUMNS, columns);
    for finding in &document.findings {
        paragraph(
            &mut text,
            "finding: ",
            &format!("{}: {}", finding.scenario.name(), words::say(&finding.claim)),
            columns,
        );
    }
    if let Some(baseline) = &document.baseline {
        changes(&mut text, baseline, columns);
    }
    let doubts: Vec<String> = document.doubts.iter().map(ToString::to_string).collect();
    for (title, lines) in [
        ("left out: ", &document.left_out),
        ("note: ", &document.notes),
        ("doubt: ", &doubts),
        ("FAILED: ", &document.failures),
    ] {
        for line in lines {
            paragraph(&mut text, title, line, columns);
        }
    }
    paragraph(&mut text, "checked: ", &checked(document), columns);
    text
}

/// A doubt without all its places.
fn short(doubt: &Doubt) -> String {
    if doubt.of.is_empty() { doubt.why.clone() } else { format!("{} (whose: --details)", doubt.why) }
}

/// The load of a point, and in an open loop what it is a share of.
pub fn heading(point: &Point) -> String {
    match (point.offered_per_s, &point.slowest) {
        (Some(offered), Some(slowest)) => {
            format!("{}: {} requests/s, of what {slowest} sustains", point.label(), units::rate(offered))
        }
        _ => point.label(),
    }
}

/// What the columns mean, as far as their names do not say it.
pub const COLUMNS: &str = "rates and CPU are medians of the rounds, spread is half the distance between the fastest and the slowest \
    round; response times are of all rounds together; CPU, memory, processes and threads are those of the server's whole process \
    tree, memory as its proportional set size with all connections open";

/// How it was measured, in words.
pub fn measured(document: &Document) -> String {
    let settings = &document.settings;
    let load = match document.points.as_slice() {
        [point] => format!(
            "{} of {}, {} in flight on each; ",
            counted(point.connections as u64, "connection"),
            counted_bytes(point.size_bytes),
            counted(point.pipeline as u64, "request"),
        ),
        _ => String::new(),
    };
    let cores = match (&settings.server_cores, &settings.generator_cores) {
        (Some(server), Some(generator)) => {
            format!("server on core {}, generator on core {}", pin::list(server), pin::list(generator))
        }
        _ => "server and generator on the same cores".to_owned(),
    };
    let open = document.points.iter().any(|point| point.load.is_some());
    format!(
        "{load}{} of {:?} each, after a warm-up of {:?}, all servers in turn; {cores}; generator: {}, {}; lab {}",
        counted(settings.rounds as u64, "round"),
        Duration::from_secs_f64(settings.duration_s),
        Duration::from_secs_f64(settings.warm_up_s),
        counted(settings.generator_threads as u64, "thread"),
        if open { "closed loop except in paced" } else { "closed loop" },
        document.lab_version,
    )
}

fn counted_bytes(size: usize) -> String {
    if size < 1024 {
        format!("{size}-byte requests")
    } else {
        format!("requests of {} bytes", units::grouped(size as u64))
    }
}

/// How many replies were compared with what was expected, and how that went.
pub fn checked(document: &Document) -> String {
    let servers = || document.points.iter().flat_map(|point| &point.servers);
    let requests = servers().flat_map(|server| &server.rounds).map(|round| round.requests).sum();
    let failures = || servers().filter_map(|server| server.failure.as_ref());
    format!(
        "every byte of {}; wrong: {}, other errors: {}",
        counted(requests, "answer"),
        units::grouped(failures().map(|failure| failure.wrong_bytes).sum()),
        units::grouped(failures().map(|failure| failure.other_errors).sum()),
    )
}

/// What has changed since the earlier run, and how much has not.
fn changes(text: &mut String, baseline: &Comparison, columns: usize) {
    for doubt in &baseline.doubts {
        paragraph(text, "doubt: ", doubt, columns);
    }
    let (told, same): (Vec<_>, Vec<_>) = baseline
        .changes
        .iter()
        .partition(|change| matches!(change.judgement, Judgement::Better | Judgement::Worse));
    for change in told {
        let line = format!(
            "{}: {}'s {} {} -> {} ({:+.1} %): {}",
            change.point,
            change.server,
            change.quantity,
            change.before,
            change.now,
            change.change * 100.0,
            change.judgement.words()
        );
        paragraph(text, "change: ", &line, columns);
    }
    let line = format!("{} other figures do not differ by more than their rounds do", same.len());
    paragraph(text, "change: ", &format!("against {}: {line}", baseline.file), columns);
}
