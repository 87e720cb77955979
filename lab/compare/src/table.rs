//! The figures side by side.

use comfy_table::{ContentArrangement, Table};
use harness::text::{GAP, STYLE, align};
use harness::units;

use crate::document::Figures;
use crate::document::Server;
use crate::profile::Scenario;

/// A column: what it is called, in two lines, so that no name is wider than its figures; and a
/// server's cell.
#[derive(Clone, Copy)]
pub struct Column {
    /// Two lines, of which the first may be empty.
    pub header: &'static str,
    /// What stands in it.
    pub cell: fn(&Figures) -> String,
}

/// What clients see of a server.
const CLIENTS_SEE: [Column; 6] = [
    Column { header: "requests\n/s", cell: |figures| units::rate(figures.requests_per_s) },
    Column { header: "of\nbest", cell: |figures| format!("{:.0} %", figures.of_best * 100.0) },
    Column { header: "\nspread", cell: spread },
    Column { header: "\np50", cell: |figures| units::time(figures.p50_ns as f64) },
    Column { header: "\np99", cell: |figures| units::time(figures.p99_ns as f64) },
    Column { header: "\np99.9", cell: |figures| units::time(figures.p99_9_ns as f64) },
];

/// What the server costs.
const SERVER_COSTS: [Column; 4] = [
    Column { header: "CPU/\nrequest", cell: |figures| units::time(figures.server_cpu_ns_per_request) },
    Column {
        header: "peak\nPSS",
        cell: |figures| figures.peak_pss_bytes.map_or_else(none, |bytes| units::bytes(bytes as f64)),
    },
    Column { header: "pro-\ncesses", cell: |figures| units::grouped(figures.processes as u64) },
    Column { header: "\nthreads", cell: |figures| units::grouped(figures.threads as u64) },
];

const THROUGHPUT: Column =
    Column { header: "bytes\n/s", cell: |figures| format!("{}/s", units::bytes(figures.bytes_per_s)) };

const CORES: Column =
    Column { header: "cores\nused", cell: |figures| format!("{:.2}", figures.server_cores) };

/// The same clients undisturbed.
const ALONE: Column = Column {
    header: "p99\nalone",
    cell: |figures| figures.alone.map_or_else(none, |alone| units::time(alone.response_p99_ns as f64)),
};

const BULK_TALKER: Column = Column {
    header: "bulk\ntalker",
    cell: |figures| figures.bulk_bytes_per_s.map_or_else(none, |bytes| format!("{}/s", units::bytes(bytes))),
};

/// What a silent connection costs.
const IDLE: [Column; 3] = [
    Column {
        header: "PSS/con-\nnection",
        cell: |figures| figures.idle.map_or_else(none, |idle| units::signed_bytes(idle.pss_bytes)),
    },
    Column {
        header: "stacks, page\ntables",
        cell: |figures| figures.idle.map_or_else(none, |idle| units::signed_bytes(idle.kernel_own_bytes)),
    },
    Column {
        header: "kernel's\nobjects",
        cell: |figures| figures.idle.map_or_else(none, |idle| units::signed_bytes(idle.kernel_slab_bytes)),
    },
];

fn none() -> String {
    "-".to_owned()
}

fn spread(figures: &Figures) -> String {
    figures.spread.map_or_else(none, |spread| format!("±{:.1} %", spread * 100.0))
}

/// The columns of a scenario, in two parts: what clients see, and what the server costs.
pub fn columns_of(scenario: Scenario) -> [Vec<Column>; 2] {
    let mut seen = CLIENTS_SEE.to_vec();
    let mut costs = SERVER_COSTS.to_vec();
    match scenario {
        Scenario::Idle => (seen, costs) = (IDLE.to_vec(), SERVER_COSTS[1..].to_vec()),
        Scenario::Bulk => seen.insert(1, THROUGHPUT),
        Scenario::Churn => seen[0].header = "connec-\ntions/s",
        Scenario::Cpu => costs.insert(0, CORES),
        Scenario::Slow => seen.insert(5, ALONE),
        Scenario::Mixed => {
            seen.insert(5, ALONE);
            seen.push(BULK_TALKER);
            // It would be shared out over the small requests only.
            costs.remove(0);
        }
        Scenario::Requests | Scenario::Pipeline | Scenario::Paced => {}
    }
    [seen, costs]
}

/// Draws one row for each server of a point, without a line end after the last row. `width` is that
/// of the terminal, in columns; `None` where there is none. What does not fit is drawn in two
/// parts, and only then wrapped.
pub fn render(scenario: Scenario, servers: &[Server], width: Option<u16>) -> String {
    let [seen, costs] = columns_of(scenario);
    let whole = draw(servers, &[&seen[..], &costs].concat(), None);
    match width {
        Some(width) if columns(&whole) > usize::from(width) => {
            format!("{}\n\n{}", draw(servers, &seen, Some(width)), draw(servers, &costs, Some(width)))
        }
        _ => whole,
    }
}

fn draw(servers: &[Server], shown: &[Column], width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(["\nmodel"].into_iter().chain(shown.iter().map(|column| column.header)));
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for server in servers {
        let mut cells = vec![server.id.clone()];
        match &server.figures {
            Some(figures) => cells.extend(shown.iter().map(|column| (column.cell)(figures))),
            None if server.failure.is_none() => cells.push(none()),
            None => cells.push("failed".to_owned()),
        }
        table.add_row(cells);
    }
    align(&mut table, GAP);
    table.trim_fmt()
}

fn columns(table: &str) -> usize {
    table.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Failure;

    fn server(name: &str, figures: Option<Figures>) -> Server {
        let failure = figures.is_none().then(|| Failure {
            round: 1,
            why: "it fell over".to_owned(),
            wrong_bytes: 0,
            other_errors: 0,
        });
        Server {
            id: name.to_owned(),
            connections: 1,
            figures,
            rounds: Vec::new(),
            failure,
            ..Server::default()
        }
    }

    fn rows() -> Vec<Server> {
        let best = Figures {
            requests_per_s: 123_456.0,
            of_best: 1.0,
            spread: Some(0.0123),
            p50_ns: 8_200,
            p99_ns: 42_000,
            p99_9_ns: 1_234_000,
            max_ns: 2_000_000,
            server_cpu_ns_per_request: 4_321.0,
            peak_pss_bytes: Some(1_300_000),
            processes: 1,
            threads: 1,
            ..Figures::default()
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
            server("mio", Some(best.clone())),
            server("tied", Some(best)),
            server("fork --workers 50", Some(half)),
            server("broken", None),
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
        let table = render(Scenario::Requests, &rows(), None);
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
        let table = render(Scenario::Requests, &rows(), Some(80));
        assert_eq!(table.lines().collect::<Vec<_>>(), expected, "\n{table}");
    }

    #[test]
    fn the_table_fits_the_terminal() {
        for width in [60, 80, 100, 200] {
            let table = render(Scenario::Requests, &rows(), Some(width));
            let widest = table.lines().map(|line| line.chars().count()).max();
            assert!(
                widest <= Some(usize::from(width)),
                "{widest:?} columns in a terminal of {width}:\n{table}"
            );
            assert!(!table.contains('\x1b'), "colour in the table");
        }
    }
}
