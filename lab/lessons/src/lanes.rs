//! Lanes over time for the terminal.

use super::trace::{Lane, State, Trace};
use super::verdict::time;

/// Lanes that are all drawn; of more, a sample of fewer.
const MOST_ROWS: usize = 24;
const SAMPLE_ROWS: usize = 16;

/// Columns of a lane's name; the rest of a longer one is left out.
const MOST_NAME: usize = 18;

/// Signs for marks; those of further labels share the last one.
const MARKS: [char; 6] = ['◆', '▲', '●', '★', '✚', '•'];
const ASCII_MARKS: [char; 6] = ['*', '!', '@', '#', '+', '?'];

/// Columns that a label on the time axis needs, with the space around it.
const TICK_COLUMNS: usize = 14;

/// The colour of a mark, and the end of every colour.
const MARK_COLOUR: &str = "\x1b[1;38;5;202m";
const NO_COLOUR: &str = "\x1b[0m";

/// How to draw.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// The width of everything.
    pub columns: usize,
    /// Letters instead of blocks.
    pub ascii: bool,
    /// ANSI colours.
    pub colour: bool,
}

impl Look {
    fn sign(&self, state: State) -> char {
        let (block, letter) = match state {
            State::Running => ('▆', 'r'),
            State::Waiting => ('░', '.'),
            State::Holding => ('█', 'H'),
            State::Sleeping => ('▁', '_'),
            State::Blocked => ('▒', 'b'),
            State::Done => ('╌', '-'),
        };
        if self.ascii { letter } else { block }
    }

    /// Those of [`harness::page::COLOURS`], as near as the 256 come.
    fn colour(state: State) -> &'static str {
        match state {
            State::Running => "\x1b[38;5;32m",
            State::Waiting => "\x1b[38;5;214m",
            State::Holding => "\x1b[38;5;36m",
            State::Sleeping | State::Done => "\x1b[38;5;245m",
            State::Blocked => "\x1b[38;5;175m",
        }
    }

    fn marks(&self) -> [char; 6] {
        if self.ascii { ASCII_MARKS } else { MARKS }
    }
}

/// What is drawn in one column of a lane.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cell {
    Nothing,
    State(State),
    /// The mark whose label has this number.
    Mark(usize),
}

/// A row for each lane, a time axis below, and a legend of what occurs. A column shows the state in
/// which the lane was for most of its time, or the last mark in it.
pub fn draw(trace: &Trace, look: &Look) -> String {
    if trace.lanes.is_empty() {
        return "(nothing was recorded)\n".to_owned();
    }
    let shown = sample(&trace.lanes);
    let longest = shown.iter().map(|lane| lane.name.chars().count()).max().unwrap_or(0);
    let name_columns = longest.min(MOST_NAME).min(look.columns / 3);
    let scale = Scale::new(trace, look.columns.saturating_sub(name_columns + 1).max(10));
    let labels = labels(shown.iter().copied());
    let mut text = String::new();
    let mut drawn = Vec::new();
    for lane in &shown {
        let name: String = lane.name.chars().take(name_columns).collect();
        let cells = cells(lane, &labels, &scale);
        text.push_str(&format!("{name:name_columns$} {}\n", row(&cells, look)));
        drawn.extend(cells);
    }
    text.push_str(&scale.axis(name_columns + 1, look));
    text.push_str(&legend(&drawn, &labels, look));
    if shown.len() < trace.lanes.len() {
        text.push_str(&format!("({} of {} lanes, evenly chosen)\n", shown.len(), trace.lanes.len()));
    }
    text
}

/// All lanes if they are not too many; or some, evenly chosen, the first and the last among them.
fn sample(lanes: &[Lane]) -> Vec<&Lane> {
    if lanes.len() <= MOST_ROWS {
        return lanes.iter().collect();
    }
    (0..SAMPLE_ROWS).map(|row| &lanes[row * (lanes.len() - 1) / (SAMPLE_ROWS - 1)]).collect()
}

/// Every label, in the order of its first appearance in time.
pub fn labels<'a>(lanes: impl IntoIterator<Item = &'a Lane>) -> Vec<&'a str> {
    let mut marks: Vec<_> = lanes.into_iter().flat_map(|lane| &lane.marks).collect();
    marks.sort_by_key(|mark| mark.at_ns);
    let mut labels = Vec::new();
    for mark in marks {
        if !labels.contains(&&*mark.label) {
            labels.push(&*mark.label);
        }
    }
    labels
}

/// Which time is which column.
struct Scale {
    begin_ns: u64,
    length_ns: u64,
    columns: usize,
}

impl Scale {
    fn new(trace: &Trace, columns: usize) -> Self {
        Self { begin_ns: trace.bounds_ns().0, length_ns: trace.length_ns().max(1), columns }
    }

    /// The column of an instant, and how many nanoseconds of that column lie before it.
    fn column(&self, at_ns: u64) -> usize {
        let offset = u128::from(at_ns.saturating_sub(self.begin_ns)) * self.columns as u128;
        usize::try_from(offset / u128::from(self.length_ns)).unwrap_or(usize::MAX).min(self.columns - 1)
    }

    /// When a column begins.
    fn begin_ns(&self, column: usize) -> u64 {
        let offset = u128::from(self.length_ns) * column as u128 / self.columns as u128;
        self.begin_ns + u64::try_from(offset).unwrap_or(self.length_ns)
    }

    /// A line with ticks at round times, and a line with those times.
    fn axis(&self, indent: usize, look: &Look) -> String {
        let (line, tick, corner) = if look.ascii { ('-', '+', '+') } else { ('─', '┬', '┬') };
        let step = round_step(self.length_ns, (self.columns / TICK_COLUMNS).max(1) as u64);
        let mut ticks: Vec<char> = vec![line; self.columns];
        let mut times: Vec<char> = vec![' '; self.columns];
        ticks[0] = corner;
        for at_ns in (0..=self.length_ns).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
            let column = self.column(self.begin_ns + at_ns);
            let label = if at_ns == 0 { "0".to_owned() } else { time(at_ns) };
            if column + label.chars().count() > self.columns {
                break;
            }
            ticks[column] = tick;
            for (cell, character) in times[column..].iter_mut().zip(label.chars()) {
                *cell = if look.ascii && character == 'µ' { 'u' } else { character };
            }
        }
        let (ticks, times): (String, String) = (ticks.into_iter().collect(), times.into_iter().collect());
        format!("{:indent$}{ticks}\n{:indent$}{}\n", "", "", times.trim_end())
    }
}

/// The smallest of 1, 2, 5, 10, 20, 50... of which at most `most` fit into `length`.
pub fn round_step(length: u64, most: u64) -> u64 {
    let mut power = 1;
    loop {
        for digit in [1, 2, 5] {
            if length / (digit * power) <= most {
                return digit * power;
            }
        }
        power *= 10;
    }
}

fn cells(lane: &Lane, labels: &[&str], scale: &Scale) -> Vec<Cell> {
    let mut cells = vec![Cell::Nothing; scale.columns];
    // For how long the state in a cell has lasted there; what is drawn lasts longest.
    let mut lasted = vec![[0u64; State::ALL.len()]; scale.columns];
    for span in &lane.spans {
        let (first, last) = (scale.column(span.begin_ns), scale.column(span.end_ns));
        for (column, lasted) in lasted.iter_mut().enumerate().take(last + 1).skip(first) {
            let begin = span.begin_ns.max(scale.begin_ns(column));
            let next = if column + 1 == scale.columns { u64::MAX } else { scale.begin_ns(column + 1) };
            lasted[span.state as usize] += span.end_ns.min(next).saturating_sub(begin);
        }
    }
    for (cell, lasted) in cells.iter_mut().zip(lasted) {
        let longest = State::ALL.into_iter().max_by_key(|state| lasted[*state as usize]);
        if let Some(state) = longest.filter(|state| lasted[*state as usize] > 0) {
            *cell = Cell::State(state);
        }
    }
    for mark in &lane.marks {
        if let Some(label) = labels.iter().position(|label| *label == mark.label) {
            cells[scale.column(mark.at_ns)] = Cell::Mark(label);
        }
    }
    cells
}

fn row(cells: &[Cell], look: &Look) -> String {
    let mut text = String::new();
    let trailing = cells.iter().rev().take_while(|cell| **cell == Cell::Nothing).count();
    let mut before = Cell::Nothing;
    for &cell in &cells[..cells.len() - trailing] {
        if look.colour && cell != before {
            text.push_str(match cell {
                Cell::Nothing => NO_COLOUR,
                Cell::State(state) => Look::colour(state),
                Cell::Mark(_) => MARK_COLOUR,
            });
        }
        text.push(match cell {
            Cell::Nothing => ' ',
            Cell::State(state) => look.sign(state),
            Cell::Mark(label) => sign_of(label, look),
        });
        before = cell;
        if look.colour && matches!(cell, Cell::Mark(_)) {
            // A mark is bold, and what follows it must not be.
            text.push_str(NO_COLOUR);
            before = Cell::Nothing;
        }
    }
    if look.colour {
        text.push_str(NO_COLOUR);
    }
    text
}

fn sign_of(label: usize, look: &Look) -> char {
    let marks = look.marks();
    marks[label.min(marks.len() - 1)]
}

/// What is drawn, each with its sign, in as many lines as it takes.
fn legend(drawn: &[Cell], labels: &[&str], look: &Look) -> String {
    let states = State::ALL.into_iter().filter(|state| drawn.contains(&Cell::State(*state)));
    let states = states.map(|state| (look.sign(state), Look::colour(state), state.name()));
    let labels = labels.iter().enumerate().filter(|(label, _)| drawn.contains(&Cell::Mark(*label)));
    let marks = labels.map(|(label, name)| (sign_of(label, look), MARK_COLOUR, *name));
    let mut text = String::new();
    let mut used = 0;
    for (sign, colour, name) in states.chain(marks) {
        let columns = 2 + name.chars().count();
        let gap = if used == 0 { 0 } else { 2 };
        if used > 0 && used + gap + columns > look.columns {
            text.push('\n');
            used = 0;
        } else {
            text.push_str(&" ".repeat(gap));
            used += gap;
        }
        match look.colour {
            true => text.push_str(&format!("{colour}{sign}{NO_COLOUR} {name}")),
            false => text.push_str(&format!("{sign} {name}")),
        }
        used += columns;
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::trace::{Kind, Mark, Span};

    fn lane(name: &str, spans: &[(State, u64, u64)], marks: &[(u64, &'static str)]) -> Lane {
        let span = |&(state, begin, end): &(State, u64, u64)| Span {
            state,
            what: Cow::Borrowed(""),
            begin_ns: begin * 1_000_000,
            end_ns: end * 1_000_000,
        };
        let mark = |&(at, label): &(u64, &'static str)| Mark { at_ns: at * 1_000_000, label: label.into() };
        Lane {
            name: name.to_owned(),
            kind: Kind::Thread,
            pid: 1,
            tid: Some(1),
            spans: spans.iter().map(span).collect(),
            marks: marks.iter().map(mark).collect(),
        }
    }

    const LETTERS: Look = Look { columns: 44, ascii: true, colour: false };

    #[test]
    fn a_picture_is_lanes_a_time_axis_and_a_legend() {
        let trace = Trace::new(vec![
            lane("a", &[(State::Holding, 1000, 1020), (State::Running, 1020, 1040)], &[(1030, "sold")]),
            lane("bb", &[(State::Waiting, 1000, 1020), (State::Holding, 1020, 1030)], &[]),
        ]);
        let expected = [
            "a  HHHHHHHHHHHHHHHHHHHHrrrrrrrrrr*rrrrrrrrrr",
            "bb ....................HHHHHHHHHH",
            "   +-------------------+--------------------",
            "   0                   20.0 ms",
            "r running  . waiting  H holding  * sold",
        ];
        let text = draw(&trace, &LETTERS);
        // 41 columns for 40 ms: a boundary may be a column further right.
        let same: Vec<_> = text.lines().collect();
        assert_eq!(same.len(), expected.len(), "\n{text}");
        for (line, expected) in same.iter().zip(expected) {
            assert!(line.chars().count().abs_diff(expected.chars().count()) <= 1, "\n{text}");
            assert_eq!(line.chars().next(), expected.chars().next(), "\n{text}");
        }
        assert_eq!(same[4], expected[4]);
        assert_eq!(same[0].matches('*').count(), 1);
        assert!(text.is_ascii());
    }

    #[test]
    fn a_hundred_lanes_are_a_sample_that_says_so_and_fits() {
        let lanes =
            (0..100).map(|n| lane(&format!("worker {n}"), &[(State::Running, n, n + 3)], &[])).collect();
        for columns in [40, 80, 200] {
            for look in [Look { columns, ..LETTERS }, Look { columns, ascii: false, colour: false }] {
                let text = draw(&Trace::new(Clone::clone(&lanes)), &look);
                assert_eq!(text.lines().count(), SAMPLE_ROWS + 4, "\n{text}");
                assert!(text.contains("16 of 100 lanes"), "\n{text}");
                assert!(text.contains("worker 0 ") && text.contains("worker 99"), "\n{text}");
                assert!(text.lines().all(|line| line.chars().count() <= columns), "\n{text}");
            }
        }
    }

    #[test]
    fn colour_is_there_only_when_it_is_wanted_and_always_ended() {
        let trace = Trace::new(vec![lane("a", &[(State::Holding, 0, 9)], &[(3, "sold")])]);
        assert!(!draw(&trace, &LETTERS).contains('\x1b'));
        let text = draw(&trace, &Look { colour: true, ..LETTERS });
        for line in text.lines().filter(|line| line.contains('\x1b')) {
            let last = line.rfind('\x1b').unwrap();
            assert!(line[last..].starts_with(NO_COLOUR), "{line:?}");
        }
    }

    #[test]
    fn nothing_and_an_instant_are_drawn_too() {
        assert_eq!(draw(&Trace::default(), &LETTERS), "(nothing was recorded)\n");
        assert!(draw(&Trace::new(vec![lane("a", &[], &[(5, "x")])]), &LETTERS).contains('*'));
    }
}
