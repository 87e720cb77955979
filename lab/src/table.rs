//! The figures side by side.

use std::iter;
use std::ops::Range;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use crate::summary::Figures;
use crate::units;

/// What the columns are called, in two lines, so that no name is wider than its figures.
const HEADER: [&str; 11] = [
    "\nmodel",
    "requests\n/s",
    "of\nbest",
    "\nspread",
    "\np50",
    "\np99",
    "\np99.9",
    "CPU/\nrequest",
    "peak\nPSS",
    "pro-\ncesses",
    "\nthreads",
];

/// A line below the header, and nothing else: the columns are told apart by the space between them.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));

/// Columns of space between two columns.
const GAP: u16 = 2;

/// Where the table is divided when the terminal is too narrow for all of it: what clients see, and what the server costs.
const CLIENTS_SEE: Range<usize> = 1..7;
const SERVER_COSTS: Range<usize> = 7..HEADER.len();

/// Draws one row for each name with its figures, without a line end after the last row. `width` is that of the terminal, in
/// columns; `None` where there is none. What does not fit is drawn in two parts, and only then wrapped.
pub fn render(rows: &[(String, Option<Figures>)], width: Option<u16>) -> String {
    let whole = draw(rows, 1..HEADER.len(), None);
    match width {
        Some(width) if columns(&whole) > usize::from(width) => {
            format!("{}\n\n{}", draw(rows, CLIENTS_SEE, Some(width)), draw(rows, SERVER_COSTS, Some(width)))
        }
        _ => whole,
    }
}

fn draw(rows: &[(String, Option<Figures>)], shown: Range<usize>, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(iter::once(HEADER[0]).chain(HEADER[shown.clone()].iter().copied()));
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for (name, figures) in rows {
        let mut cells = vec![name.clone()];
        match figures {
            Some(figures) => cells.extend_from_slice(&row(figures)[shown.start - 1..shown.end - 1]),
            None => cells.push("failed".to_owned()),
        }
        table.add_row(cells);
    }
    for column in table.column_iter_mut() {
        let is_first = column.index == 0;
        column.set_padding((if is_first { 0 } else { GAP }, 0));
        column.set_cell_alignment(if is_first { CellAlignment::Left } else { CellAlignment::Right });
    }
    table.trim_fmt()
}

fn columns(table: &str) -> usize {
    table.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

#[allow(clippy::cast_precision_loss, reason = "shown with three digits")]
fn row(figures: &Figures) -> [String; 10] {
    [
        units::rate(figures.requests_per_s),
        format!("{:.0} %", figures.of_best * 100.0),
        figures.spread.map_or_else(|| "-".to_owned(), |spread| format!("±{:.1} %", spread * 100.0)),
        units::time(figures.p50_ns as f64),
        units::time(figures.p99_ns as f64),
        units::time(figures.p99_9_ns as f64),
        units::time(figures.server_cpu_ns_per_request),
        units::bytes(figures.peak_pss_bytes as f64),
        units::grouped(figures.processes as u64),
        units::grouped(figures.threads as u64),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<(String, Option<Figures>)> {
        let best = Figures {
            requests_per_s: 123_456.0,
            of_best: 1.0,
            spread: Some(0.0123),
            p50_ns: 8_200,
            p99_ns: 42_000,
            p99_9_ns: 1_234_000,
            max_ns: 2_000_000,
            server_cpu_ns_per_request: 4_321.0,
            peak_pss_bytes: 1_300_000,
            processes: 1,
            threads: 1,
        };
        let half = Figures {
            requests_per_s: 61_728.0,
            of_best: 0.5,
            spread: None,
            processes: 1001,
            threads: 1001,
            ..best.clone()
        };
        vec![
            ("mio".to_owned(), Some(best.clone())),
            ("tied".to_owned(), Some(best)),
            ("fork --workers 50".to_owned(), Some(half)),
            ("broken".to_owned(), None),
        ]
    }

    #[test]
    fn the_table_shows_figures_as_people_read_them() {
        let expected = [
            "                   requests     of                                        CPU/      peak    pro-",
            "model                    /s   best  spread      p50      p99    p99.9  request       PSS  cesses  threads",
            "─────────────────────────────────────────────────────────────────────────────────────────────────────────",
            "mio                 123,456  100 %  ±1.2 %  8.20 µs  42.0 µs  1.23 ms  4.32 µs  1.24 MiB       1        1",
            "tied                123,456  100 %  ±1.2 %  8.20 µs  42.0 µs  1.23 ms  4.32 µs  1.24 MiB       1        1",
            "fork --workers 50    61,728   50 %       -  8.20 µs  42.0 µs  1.23 ms  4.32 µs  1.24 MiB   1,001    1,001",
            "broken               failed",
        ];
        let table = render(&rows(), None);
        assert_eq!(table.lines().collect::<Vec<_>>(), expected, "\n{table}");
    }

    #[test]
    fn a_narrow_terminal_gets_the_table_in_two_parts() {
        let expected = [
            "                   requests     of",
            "model                    /s   best  spread      p50      p99    p99.9",
            "─────────────────────────────────────────────────────────────────────",
            "mio                 123,456  100 %  ±1.2 %  8.20 µs  42.0 µs  1.23 ms",
            "tied                123,456  100 %  ±1.2 %  8.20 µs  42.0 µs  1.23 ms",
            "fork --workers 50    61,728   50 %       -  8.20 µs  42.0 µs  1.23 ms",
            "broken               failed",
            "",
            "                      CPU/      peak    pro-",
            "model              request       PSS  cesses  threads",
            "─────────────────────────────────────────────────────",
            "mio                4.32 µs  1.24 MiB       1        1",
            "tied               4.32 µs  1.24 MiB       1        1",
            "fork --workers 50  4.32 µs  1.24 MiB   1,001    1,001",
            "broken              failed",
        ];
        let table = render(&rows(), Some(80));
        assert_eq!(table.lines().collect::<Vec<_>>(), expected, "\n{table}");
    }

    #[test]
    fn the_table_fits_the_terminal() {
        for width in [60, 80, 100, 200] {
            let table = render(&rows(), Some(width));
            let widest = table.lines().map(|line| line.chars().count()).max();
            assert!(
                widest <= Some(usize::from(width)),
                "{widest:?} columns in a terminal of {width}:\n{table}"
            );
            assert!(!table.contains('\x1b'), "colour in the table");
        }
    }
}
