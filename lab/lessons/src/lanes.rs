//! Lanes over time for the terminal.

use harness::lang::Lang;
use harness::text::{fitted, width};

use super::key::Key;
use super::texts::Texts;
use super::trace::{Band, Lane, State, Trace};
use super::verdict::time;

/// Lanes that are all drawn; of more, a sample of fewer.
const MOST_ROWS: usize = 24;
const SAMPLE_ROWS: usize = 16;

/// With more lanes than these there are no words in them, only signs.
const MOST_WITH_WORDS: usize = 12;

/// Columns of a lane's name; the rest of a longer one is left out.
const MOST_NAME: usize = 18;

/// Signs for marks; those of further labels share the last one.
const MARKS: [char; 6] = ['◆', '▲', '●', '★', '✚', '•'];
const ASCII_MARKS: [char; 6] = ['*', '!', '@', '#', '+', '?'];

/// Signs and colours of locks that are told apart; further ones share the last.
const LOCKS: [char; 3] = ['█', '▓', '▐'];
const ASCII_LOCKS: [char; 3] = ['A', 'B', 'C'];
const LOCK_COLOURS: [&str; 3] = ["\x1b[38;5;36m", "\x1b[38;5;99m", "\x1b[38;5;39m"];

/// The signs of a lane that waits with a lock in hand, in the lock's colour.
const HOLD_AND_WAIT: [char; 3] = ['▚', '▞', '▙'];
const ASCII_HOLD_AND_WAIT: [char; 3] = ['a', 'b', 'c'];

/// Heights of a band, from nothing to the most.
const BAND: &[char] = &[' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const BAND_DIGITS: &[char] = &[' ', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

/// Columns that a label on the time axis needs, with the space around it.
const TICK_COLUMNS: usize = 14;

/// The colour of a mark, and the end of every colour.
const MARK_COLOUR: &str = "\x1b[1;38;5;202m";
const NO_COLOUR: &str = "\x1b[0m";

/// How to draw.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// The language of all words.
    pub lang: Lang,
    /// The width of everything.
    pub columns: usize,
    /// Letters instead of blocks.
    pub ascii: bool,
    /// ANSI colours.
    pub colour: bool,
}

impl Look {
    fn state_sign(&self, state: State) -> char {
        let (block, letter) = match state {
            State::Running => ('▆', 'r'),
            State::Ready => ('▃', 'y'),
            State::Waiting => ('░', '.'),
            State::Holding => ('█', 'H'),
            State::Sleeping => ('▁', '_'),
            State::Blocked => ('▒', 'b'),
            State::Done => ('╌', '-'),
        };
        if self.ascii { letter } else { block }
    }

    /// What stands for a cell; nothing for the second column of a letter.
    fn sign(&self, cell: Cell) -> Option<char> {
        let one = |of: &[char], number: usize| of[number.min(of.len() - 1)];
        Some(match (cell, self.ascii) {
            (Cell::Rest, _) => return None,
            (Cell::Nothing, _) => ' ',
            (Cell::State(state), _) => self.state_sign(state),
            (Cell::PartlyReady, false) => '▅',
            (Cell::PartlyReady, true) => 'Y',
            (Cell::Lock(lock), false) => one(&LOCKS, lock),
            (Cell::Lock(lock), true) => one(&ASCII_LOCKS, lock),
            (Cell::HoldAndWait(lock), false) => one(&HOLD_AND_WAIT, lock),
            (Cell::HoldAndWait(lock), true) => one(&ASCII_HOLD_AND_WAIT, lock),
            (Cell::Mark(label), false) => one(&MARKS, label),
            (Cell::Mark(label), true) => one(&ASCII_MARKS, label),
            (Cell::Word('µ'), true) => 'u',
            (Cell::Word(letter), _) => letter,
        })
    }

    /// Those of [`harness::page::COLOURS`], as near as the 256 come.
    fn colour(cell: Cell) -> &'static str {
        match cell {
            Cell::Nothing | Cell::Word(_) | Cell::Rest => NO_COLOUR,
            Cell::State(State::Running) => "\x1b[38;5;32m",
            Cell::State(State::Ready) | Cell::PartlyReady => "\x1b[38;5;117m",
            Cell::State(State::Waiting) => "\x1b[38;5;214m",
            Cell::State(State::Holding) => LOCK_COLOURS[0],
            Cell::State(State::Sleeping | State::Done) => "\x1b[38;5;245m",
            Cell::State(State::Blocked) => "\x1b[38;5;175m",
            Cell::Lock(lock) | Cell::HoldAndWait(lock) => LOCK_COLOURS[lock.min(LOCK_COLOURS.len() - 1)],
            Cell::Mark(_) => MARK_COLOUR,
        }
    }
}

/// What is drawn in one column of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    Nothing,
    State(State),
    /// Running or holding, and a part of it only ready, nobody knows when.
    PartlyReady,
    /// Holding the lock of this number, where there are several.
    Lock(usize),
    /// Waiting, with the lock of this number in hand.
    HoldAndWait(usize),
    /// The mark whose label has this number.
    Mark(usize),
    /// A letter of what the lane is busy with, or of a mark's value.
    Word(char),
    /// The second column of a letter that takes two.
    Rest,
}

/// A row for each lane, a time axis below, and a legend of what occurs. A column shows the state in
/// which the lane was for most of its time, or the last mark in it. Where there is room, a lane
/// says what it is busy with, and a mark its value.
pub fn draw(trace: &Trace, key: &Key<'_>, look: &Look) -> String {
    let texts = Texts::of(look.lang);
    if trace.lanes.is_empty() {
        return format!("{}\n", texts.lanes.nothing);
    }
    let shown = sample(&trace.lanes);
    let bands = trace.bands.iter().map(|band| texts.shown(&band.name));
    let names = shown.iter().map(|lane| texts.name(lane)).chain(bands);
    let longest = names.map(|name| width(&name)).max().unwrap_or(0);
    let name_columns = longest.min(MOST_NAME).min(look.columns / 3);
    let columns = look.columns.saturating_sub(name_columns + 1).max(10);
    let scale = Scale { begin_ns: trace.bounds_ns().0, length_ns: key.length_ns.max(1), columns };
    let mut text = String::new();
    let mut drawn = Vec::new();
    for lane in &shown {
        let name = fitted(&texts.name(lane), name_columns);
        let mut cells = cells(lane, key, &scale);
        drawn.extend(cells.iter().map(|(cell, _)| *cell));
        say(&mut cells, lane, &scale, shown.len() <= MOST_WITH_WORDS, texts);
        let cells: Vec<Cell> = cells.into_iter().map(|(cell, _)| cell).collect();
        text.push_str(&format!("{name} {}\n", row(&cells, look)));
    }
    for band in &trace.bands {
        let name = fitted(&texts.shown(&band.name), name_columns);
        text.push_str(&format!("{name} {}\n", band_row(band, key.most, &scale, look)));
    }
    text.push_str(&scale.axis(name_columns + 1, look));
    text.push_str(&legend(&drawn, key, texts, look));
    if shown.len() < trace.lanes.len() {
        text.push_str(&format!("{}\n", (texts.lanes.sample)(shown.len(), trace.lanes.len())));
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

/// Which time is which column.
struct Scale {
    begin_ns: u64,
    length_ns: u64,
    columns: usize,
}

impl Scale {
    /// The column of an instant.
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

/// What is drawn in each column, and what the lane is busy with there.
fn cells<'a>(lane: &'a Lane, key: &Key<'_>, scale: &Scale) -> Vec<(Cell, &'a str)> {
    // For how long each has lasted in a column; what is drawn lasts longest.
    let mut lasted: Vec<Vec<((Cell, &str), u64)>> = vec![Vec::new(); scale.columns];
    for span in &lane.spans {
        let locks = key.locks(span);
        let cell = match (span.state, locks.last()) {
            (State::Waiting, Some(lock)) => Cell::HoldAndWait(*lock),
            (State::Ready, _) => Cell::State(State::Ready),
            (_, Some(lock)) => Cell::Lock(*lock),
            (_, None) if span.is_partly_ready() => Cell::PartlyReady,
            (state, None) => Cell::State(state),
        };
        let (first, last) = (scale.column(span.begin_ns), scale.column(span.end_ns));
        for (column, lasted) in lasted.iter_mut().enumerate().take(last + 1).skip(first) {
            let begin = span.begin_ns.max(scale.begin_ns(column));
            let next = if column + 1 == scale.columns { u64::MAX } else { scale.begin_ns(column + 1) };
            let time = span.end_ns.min(next).saturating_sub(begin);
            match lasted.iter_mut().find(|(its, _)| *its == (cell, &span.what)) {
                Some((_, before)) => *before += time,
                None => lasted.push(((cell, &span.what), time)),
            }
        }
    }
    let longest = |lasted: Vec<((Cell, &'a str), u64)>| {
        let longest = lasted.into_iter().filter(|(_, time)| *time > 0).max_by_key(|(_, time)| *time);
        longest.map_or((Cell::Nothing, ""), |(drawn, _)| drawn)
    };
    let mut cells: Vec<_> = lasted.into_iter().map(longest).collect();
    for mark in &lane.marks {
        cells[scale.column(mark.at_ns)] = (Cell::Mark(key.label(&mark.label)), "");
    }
    cells
}

/// Writes the values of marks, and with `words` what a lane is busy with, over columns that all
/// look alike: nothing is hidden.
fn say(cells: &mut [(Cell, &str)], lane: &Lane, scale: &Scale, words: bool, texts: &Texts) {
    for mark in lane.marks.iter().filter(|mark| !mark.value.is_empty()) {
        let column = scale.column(mark.at_ns) + 1;
        let Some(place) = cells.get_mut(column..column + mark.value.chars().count()) else { continue };
        if place.iter().all(|cell| *cell == place[0] && !matches!(cell.0, Cell::Mark(_) | Cell::Word(_))) {
            place
                .iter_mut()
                .zip(mark.value.chars())
                .for_each(|(cell, letter)| *cell = (Cell::Word(letter), ""));
        }
    }
    for run in cells.chunk_by_mut(|one, next| one == next).filter(|_| words) {
        let said = format!(" {} ", texts.shown(run[0].1));
        let free = run.len().saturating_sub(width(&said));
        if !run[0].1.is_empty() && free >= 2 {
            let place = run[free / 2..].iter_mut();
            let letters = said.chars().flat_map(|letter| {
                let rest = (width(letter.encode_utf8(&mut [0; 4])) > 1).then_some(Cell::Rest);
                [Cell::Word(letter)].into_iter().chain(rest)
            });
            place.zip(letters).for_each(|(cell, letter)| *cell = (letter, ""));
        }
    }
}

fn row(cells: &[Cell], look: &Look) -> String {
    let mut text = String::new();
    let trailing = cells.iter().rev().take_while(|cell| **cell == Cell::Nothing).count();
    let mut before = NO_COLOUR;
    for &cell in &cells[..cells.len() - trailing] {
        let colour = Look::colour(cell);
        if look.colour && colour != before {
            // A mark is bold, and what follows it must not be.
            text.push_str(if before == MARK_COLOUR { NO_COLOUR } else { "" });
            text.push_str(colour);
        }
        text.extend(look.sign(cell));
        before = colour;
    }
    if look.colour {
        text.push_str(NO_COLOUR);
    }
    text
}

/// How high a band is in each column, of the most that any has in this lesson.
fn band_row(band: &Band, most: u64, scale: &Scale, look: &Look) -> String {
    let last_ns = band.values.last().map_or(scale.begin_ns, |(at_ns, _)| *at_ns);
    let end = scale.column(last_ns);
    let column = |column: usize| {
        let value = band.most_within(scale.begin_ns(column), scale.begin_ns(column + 1));
        let steps = if look.ascii { BAND_DIGITS } else { BAND };
        // Above nothing is at least the lowest.
        let height = (value * (steps.len() as u64 - 1)).div_ceil(most.max(1));
        steps[usize::try_from(height).unwrap_or(0).min(steps.len() - 1)]
    };
    (0..=end).map(column).collect::<String>().trim_end().to_owned()
}

/// What is drawn, each with its sign, in as many lines as it takes.
fn legend(drawn: &[Cell], key: &Key<'_>, texts: &Texts, look: &Look) -> String {
    let states = State::ALL.into_iter().map(|state| (Cell::State(state), key.state(state, texts).to_owned()));
    let states = states.chain([(Cell::PartlyReady, texts.lanes.partly_ready.to_owned())]);
    let holding = |name: &&str| (texts.lanes.holding)(name);
    let locks = key.locks.iter().enumerate().map(|(number, name)| (Cell::Lock(number), holding(name)));
    let both = key
        .locks
        .iter()
        .enumerate()
        .map(|(number, name)| (Cell::HoldAndWait(number), (texts.lanes.hold_and_wait)(name)));
    let marks = key
        .labels
        .iter()
        .enumerate()
        .map(|(number, name)| (Cell::Mark(number), texts.shown(name).into_owned()));
    let entries = states.chain(locks).chain(both).chain(marks).filter(|(cell, _)| drawn.contains(cell));
    let mut text = String::new();
    let mut used = 0;
    for (cell, name) in entries {
        let columns = 2 + width(&name);
        let gap = if used == 0 { 0 } else { 2 };
        if used > 0 && used + gap + columns > look.columns {
            text.push('\n');
            used = 0;
        } else {
            text.push_str(&" ".repeat(gap));
            used += gap;
        }
        let sign = look.sign(cell).unwrap_or(' ');
        match look.colour {
            true => text.push_str(&format!("{}{sign}{NO_COLOUR} {name}", Look::colour(cell))),
            false => text.push_str(&format!("{sign} {name}")),
        }
        used += columns;
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
