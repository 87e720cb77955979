//! The answer on one screen: a row for each model, a column for each question, the best of each
//! column marked.

use comfy_table::Table;
use harness::models::{Model, Workers};
use harness::text::{STYLE, align};
use harness::units;

use crate::difference::{self, Difference};
use crate::document::{Document, Point, Server};
use crate::metric::Metric;
use crate::profile::Scenario;
use crate::value::Value;

/// Columns of a terminal that the matrix fits in, whatever the servers are called.
pub const COLUMNS: usize = 80;

/// The share of the load at which response times are compared, or the nearest that was measured.
const LOAD: f64 = 0.5;

/// Less memory than this for each client is not measured well enough to be told from nothing, in
/// bytes.
const LEAST_BYTES: f64 = 1024.0;

/// Where rates and CPU time are taken from: the first of these that was measured.
const BUSY: [Scenario; 5] =
    [Scenario::Requests, Scenario::Pipeline, Scenario::Bulk, Scenario::Mixed, Scenario::Slow];

/// What a column asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Requests answered per second.
    Rate,
    /// The response time that one request in a hundred exceeds, where all are asked as often.
    TailAtLoad,
    /// CPU time of the server for each request.
    Cpu,
    /// Memory of one more silent client, the kernel's share included.
    Client,
    /// New connections per second.
    Connections,
    /// Cores that it uses where requests compute.
    Cores,
    /// Who dies with a crash.
    Isolation,
    /// Lines of the model's page.
    Lines,
}

impl Question {
    /// All, in the order of the columns.
    pub const ALL: [Self; 8] = [
        Self::Rate,
        Self::TailAtLoad,
        Self::Cpu,
        Self::Client,
        Self::Connections,
        Self::Cores,
        Self::Isolation,
        Self::Lines,
    ];

    /// The column's header, in two lines.
    pub fn header(self) -> &'static str {
        match self {
            Self::Rate => "requests\n/s",
            Self::TailAtLoad => "p99 at\n= load",
            Self::Cpu => "CPU per\nrequest",
            Self::Client => "memory/\nclient",
            Self::Connections => "new\nconns/s",
            Self::Cores => "cores\nused",
            Self::Isolation => "crash\nends",
            Self::Lines => "code\nlines",
        }
    }

    /// What it is called in a sentence.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Rate => "requests/s",
            Self::TailAtLoad => "p99 at equal load",
            Self::Cpu => "CPU per request",
            Self::Client => "memory of a client",
            Self::Connections => "new connections/s",
            Self::Cores => "cores used",
            Self::Isolation => "what a crash ends",
            Self::Lines => "lines of code",
        }
    }

    /// Where a document answers it: at the most connections that were measured.
    pub fn source(self, document: &Document) -> Option<(&Point, Metric)> {
        let last = |scenario| document.points_of(scenario).pop();
        match self {
            Self::Rate => Some((BUSY.into_iter().find_map(last)?, Metric::Rate)),
            Self::Cpu => Some((BUSY.into_iter().find_map(last)?, Metric::Cpu)),
            Self::Client => Some((last(Scenario::Idle)?, Metric::IdleWhole)),
            Self::Connections => Some((last(Scenario::Churn)?, Metric::ConnectionRate)),
            Self::Cores => Some((last(Scenario::Cpu)?, Metric::Cores)),
            Self::TailAtLoad => {
                let distance = |point: &&Point| point.load.map_or(f64::MAX, |load| (load - LOAD).abs());
                let points = document.points_of(Scenario::Paced).into_iter();
                Some((points.min_by(|one, other| distance(one).total_cmp(&distance(other)))?, Metric::P99))
            }
            Self::Isolation | Self::Lines => None,
        }
    }

    fn about(self, document: &Document) -> Option<String> {
        let (point, _) = self.source(document)?;
        let of = point.label();
        Some(match self {
            Self::Rate | Self::Cpu => {
                let name = match point.scenario {
                    Scenario::Requests => String::new(),
                    other => format!("{}, ", other.name()),
                };
                format!("requests/s and CPU: {name}{of} of {} bytes", units::grouped(point.size_bytes as u64))
            }
            Self::TailAtLoad => format!("p99: {of}"),
            Self::Client => format!(
                "memory: {} silent clients, the kernel's share included",
                units::grouped(point.connections as u64)
            ),
            Self::Connections => format!("new connections: {of}, one request each"),
            Self::Cores => format!("cores: {of}, 20 µs of computing in each request"),
            Self::Isolation | Self::Lines => return None,
        })
    }
}

/// How a cell stands in its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The best.
    Best,
    /// It cannot be told from the best.
    Tied,
    /// Its rounds differ so much that nothing can be said.
    Noisy,
    /// Another is better, or nobody is ranked.
    None,
}

impl Mark {
    /// The character that stands behind the figure.
    pub fn character(self) -> char {
        match self {
            Self::Best => '*',
            Self::Tied => '=',
            Self::Noisy => '?',
            Self::None => ' ',
        }
    }
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// What stands in it, as people read it.
    pub text: String,
    /// How it stands in its column.
    pub mark: Mark,
    /// Whether its column has marks.
    pub is_marked: bool,
    /// The number of the footnote that says why there is no figure, from 1.
    pub footnote: Option<usize>,
}

/// A row for each server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// What the columns ask: those that anything was measured for.
    pub questions: Vec<Question>,
    /// Each server by its id, and its cells.
    pub rows: Vec<(String, Vec<Cell>)>,
    /// Why there is no figure.
    pub footnotes: Vec<String>,
    /// At which load each column was measured.
    pub about: Vec<String>,
}

impl Matrix {
    /// What a document answers.
    pub fn of(document: &Document) -> Self {
        let is_asked = |question: &Question| {
            matches!(question, Question::Isolation | Question::Lines) || question.source(document).is_some()
        };
        let questions: Vec<Question> = Question::ALL.into_iter().filter(is_asked).collect();
        let mut matrix = Self { questions, rows: Vec::new(), footnotes: Vec::new(), about: Vec::new() };
        let ids: Vec<String> = document.ids().into_iter().map(ToOwned::to_owned).collect();
        let columns: Vec<Vec<Cell>> = matrix
            .questions
            .clone()
            .iter()
            .map(|question| matrix.column(document, *question, &ids))
            .collect();
        for (index, id) in ids.into_iter().enumerate() {
            matrix.rows.push((id, columns.iter().map(|column| column[index].clone()).collect()));
        }
        for line in matrix.questions.iter().filter_map(|question| question.about(document)) {
            if !matrix.about.contains(&line) {
                matrix.about.push(line);
            }
        }
        matrix
    }

    fn column(&mut self, document: &Document, question: Question, ids: &[String]) -> Vec<Cell> {
        let model = |id: &str| Model::of(id);
        let plain = |text: Option<String>| Cell {
            text: text.unwrap_or_else(|| "-".to_owned()),
            mark: Mark::None,
            is_marked: false,
            footnote: None,
        };
        match question {
            Question::Isolation => ids
                .iter()
                .map(|id| plain(model(id).map(|model| model.isolation().words().to_owned())))
                .collect(),
            Question::Lines => ids
                .iter()
                .map(|id| plain(model(id).and_then(Model::lines).map(|lines| lines.to_string())))
                .collect(),
            _ => self.measured(document, question, ids),
        }
    }

    fn measured(&mut self, document: &Document, question: Question, ids: &[String]) -> Vec<Cell> {
        let Some((point, metric)) = question.source(document) else { return Vec::new() };
        let is_pool = |id: &str| Model::of(id).is_some_and(|model| model.workers() == Workers::PerConnection);
        if metric == Metric::Cores && document.server_cores() == Some(1) {
            let why = "the servers had one core: to see which of them use all cores takes two or more";
            return ids.iter().map(|_| self.missing(why)).collect();
        }
        let value = |id: &str| {
            let server = point.server(id).filter(|server| is_alike(point, server))?;
            let says = question != Question::Client || !is_pool(id);
            metric.of(server).filter(|_| says).map(|value| trusted(metric, value))
        };
        let values: Vec<Option<Value>> = ids.iter().map(|id| value(id)).collect();
        let better = |one: &&Value, other: &&Value| {
            let order = one.value.total_cmp(&other.value);
            if metric.more_is_better() { order } else { order.reverse() }
        };
        let best = values.iter().flatten().max_by(better).cloned();
        let cells = ids.iter().zip(&values).map(|(id, value)| match (value, &best) {
            (Some(value), Some(best)) => Cell {
                text: short(metric, value.value),
                mark: mark(value, best),
                is_marked: true,
                footnote: None,
            },
            _ if question == Question::Client && is_pool(id) => {
                self.missing("a pool has its workers before its clients come")
            }
            _ => self.missing(&why_missing(point, id)),
        });
        cells.collect()
    }

    /// A dash, with the footnote that says why.
    fn missing(&mut self, why: &str) -> Cell {
        let index = self.footnotes.iter().position(|known| known == why).unwrap_or_else(|| {
            self.footnotes.push(why.to_owned());
            self.footnotes.len() - 1
        });
        Cell { text: "-".to_owned(), mark: Mark::None, is_marked: true, footnote: Some(index + 1) }
    }

    /// Draws it, at most `columns` wide; a name for which there is no room loses its end.
    pub fn render(&self, columns: usize) -> String {
        let narrow = |name: &str, room: usize| {
            if name.chars().count() <= room {
                return name.to_owned();
            }
            name.chars().take(room.saturating_sub(1)).chain(['…']).collect()
        };
        let longest = self.rows.iter().map(|(id, _)| id.chars().count()).max().unwrap_or(0);
        let whole = self.draw(|name| name.to_owned());
        let excess = width(&whole).saturating_sub(columns);
        if excess == 0 {
            whole
        } else {
            self.draw(|name| narrow(name, longest.saturating_sub(excess).max(6)))
        }
    }

    fn draw(&self, name: impl Fn(&str) -> String) -> String {
        let mut table = Table::new();
        table.load_style(STYLE);
        // The marks stand to the right of the figures, and so of their headers.
        let header = self.questions.iter().map(|question| match question {
            Question::Isolation | Question::Lines => question.header().to_owned(),
            _ => question.header().replace('\n', " \n") + " ",
        });
        table.set_header(["\nmodel".to_owned()].into_iter().chain(header));
        for (id, cells) in &self.rows {
            table.add_row([name(id)].into_iter().chain(cells.iter().map(Cell::shown)));
        }
        align(&mut table, 1);
        table.trim_fmt()
    }
}

/// Less than [`LEAST_BYTES`] of memory is not told apart.
fn trusted(metric: Metric, value: Value) -> Value {
    if metric != Metric::IdleWhole {
        return value;
    }
    let at_least = |bytes: f64| bytes.max(LEAST_BYTES);
    Value {
        value: at_least(value.value),
        low: at_least(value.low),
        high: at_least(value.high),
        each: value.each.into_iter().map(at_least).collect(),
    }
}

impl Cell {
    fn shown(&self) -> String {
        let behind = match self.footnote {
            Some(number) => raised(number),
            None if self.is_marked => self.mark.character(),
            None => return self.text.clone(),
        };
        format!("{}{behind}", self.text)
    }
}

/// The number of a footnote, from 1, as it stands behind a dash.
pub fn raised(number: usize) -> char {
    ['¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'].get(number.wrapping_sub(1)).copied().unwrap_or('⁺')
}

fn width(table: &str) -> usize {
    table.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

/// With the connections of the point: who was measured with one cannot stand beside who had many.
fn is_alike(point: &Point, server: &Server) -> bool {
    server.connections == point.connections
}

fn why_missing(point: &Point, id: &str) -> String {
    match point.server(id) {
        Some(server) if server.failure.is_some() => "it failed: see below".to_owned(),
        Some(server) if !is_alike(point, server) => "it holds one conversation at a time".to_owned(),
        Some(_) => "there was no time to measure it, or it may not be read".to_owned(),
        None if Model::of(id).is_some_and(Model::holds_one) => {
            "it holds one conversation at a time".to_owned()
        }
        None => "only our servers can be told to compute".to_owned(),
    }
}

fn mark(value: &Value, best: &Value) -> Mark {
    if std::ptr::eq(value, best) || value == best {
        return Mark::Best;
    }
    match difference::compare(value, best) {
        Difference::Tie => Mark::Tied,
        Difference::TooNoisy => Mark::Noisy,
        Difference::Less | Difference::More | Difference::Unknown => Mark::None,
    }
}

/// As short as it can be: the column's header says the rest.
fn short(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Rate | Metric::ConnectionRate => units::rate(value),
        Metric::IdleWhole if value <= LEAST_BYTES => "< 1 KiB".to_owned(),
        _ => metric.show(value),
    }
}

#[cfg(test)]
mod tests;
