//! How long the waits were, as text and as SVG: for each variant how many fell into which span of
//! time.

use std::fmt::Write as _;

use harness::page::escape;
use harness::text::fitted;

use crate::texts::Texts;
use crate::trace::{State, Trace};
use crate::verdict::{Drawing, Variant};

/// Each row is for waits below this many nanoseconds and not below the row before: about three rows
/// to a factor of ten.
const ROWS: [(u64, &str); 11] = [
    (10_000, "10 us"),
    (30_000, "30 us"),
    (100_000, "100 us"),
    (300_000, "300 us"),
    (1_000_000, "1 ms"),
    (3_000_000, "3 ms"),
    (10_000_000, "10 ms"),
    (30_000_000, "30 ms"),
    (100_000_000, "100 ms"),
    (300_000_000, "300 ms"),
    (1_000_000_000, "1 s"),
];

/// Columns of the text: the rows' names, the longest bar, and the bar with its number.
const NAMES: usize = 14;
const BAR: usize = 9;
const COLUMN: usize = 16;

/// Measures of the SVG, in pixels.
const SVG_NAMES: f64 = 110.0;
const SVG_BAR: f64 = 130.0;
const SVG_COLUMN: f64 = 190.0;
const SVG_ROW: f64 = 20.0;
const SVG_TOP: f64 = 28.0;

const STYLE: &str = "\
.d text{font:12px system-ui,sans-serif;fill:var(--ink)}.d .faint{fill:var(--faint)}.d rect{fill:var(--orange)}\
.d .title{font-weight:600}.d line{stroke:var(--rule)}";

/// Draws the waits of every variant, side by side.
pub(super) fn draw(variants: &[Variant], texts: &Texts) -> Drawing {
    let columns: Vec<_> =
        variants.iter().map(|variant| (variant.name.as_str(), counts(&variant.trace))).collect();
    Drawing {
        title: texts.waits.title.to_owned(),
        text: text(&columns, texts),
        svg: Some(svg(&columns, texts)),
    }
}

/// Nanoseconds of every wait, in no order.
pub(super) fn waits(trace: &Trace) -> Vec<u64> {
    let spans = trace.lanes.iter().flat_map(|lane| &lane.spans);
    spans.filter(|span| span.state == State::Waiting).map(|span| span.end_ns - span.begin_ns).collect()
}

/// How many waits belong to each row; the last is for those that are longer than all.
fn counts(trace: &Trace) -> Vec<usize> {
    let mut counts = vec![0; ROWS.len() + 1];
    for wait in waits(trace) {
        counts[ROWS.partition_point(|(below, _)| *below <= wait)] += 1;
    }
    counts
}

fn row_name(row: usize, texts: &Texts) -> String {
    match ROWS.get(row) {
        Some((_, name)) => (texts.waits.below)(name),
        None => texts.waits.longer.to_owned(),
    }
}

fn text(columns: &[(&str, Vec<usize>)], texts: &Texts) -> String {
    let mut text = format!("{:NAMES$}", "");
    for (name, _) in columns {
        let _ = write!(text, "{name:COLUMN$}");
    }
    text.truncate(text.trim_end().len());
    for row in shown(columns) {
        let mut line = fitted(&row_name(row, texts), NAMES);
        for (_, counts) in columns {
            // What is there is seen.
            let length = (counts[row] * BAR).div_ceil(most(counts));
            let bar = format!("{} {}", "#".repeat(length), counts[row]);
            let _ = write!(line, "{:COLUMN$}", if counts[row] == 0 { "" } else { bar.as_str() });
        }
        let _ = write!(text, "\n{}", line.trim_end());
    }
    text.push('\n');
    text
}

/// From the first row that is not empty to the last.
fn shown(columns: &[(&str, Vec<usize>)]) -> std::ops::Range<usize> {
    let is_used = |row: &usize| columns.iter().any(|(_, counts)| counts[*row] > 0);
    let first = (0..=ROWS.len()).find(is_used).unwrap_or(0);
    first..(0..=ROWS.len()).rfind(is_used).map_or(first, |last| last + 1)
}

fn most(counts: &[usize]) -> usize {
    counts.iter().copied().max().unwrap_or(0).max(1)
}

#[allow(clippy::cast_precision_loss, reason = "counts of waits, rows and columns")]
fn svg(columns: &[(&str, Vec<usize>)], texts: &Texts) -> (String, f64) {
    let rows = shown(columns);
    let (width, height) =
        (SVG_NAMES + SVG_COLUMN * columns.len() as f64, SVG_TOP + SVG_ROW * rows.len() as f64 + 8.0);
    let mut svg = format!(
        "<svg class=\"d\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-label=\"{}\">\n<style>{STYLE}</style>\n",
        texts.waits.distribution
    );
    let row_top = |row: usize| SVG_TOP + SVG_ROW * (row - rows.start) as f64;
    for row in rows.clone() {
        let (y, name) = (row_top(row) + 14.0, escape(&row_name(row, texts)));
        let _ = writeln!(svg, "<text class=\"faint\" x=\"8\" y=\"{y}\">{name}</text>");
    }
    for (column, (name, counts)) in columns.iter().enumerate() {
        let x = SVG_NAMES + SVG_COLUMN * column as f64;
        let _ = writeln!(svg, "<text class=\"title\" x=\"{x}\" y=\"18\">{}</text>", escape(name));
        let _ = writeln!(svg, "<line x1=\"{x}\" y1=\"{SVG_TOP}\" x2=\"{x}\" y2=\"{}\"/>", height - 8.0);
        for row in rows.clone().filter(|row| counts[*row] > 0) {
            let length = (SVG_BAR * counts[row] as f64 / most(counts) as f64).max(1.0);
            let top = row_top(row) + 3.0;
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{top}\" width=\"{length:.1}\" height=\"{}\"><title>{}</title></rect>\
                 <text x=\"{:.1}\" y=\"{}\">{}</text>",
                SVG_ROW - 6.0,
                escape(&(texts.waits.waits)(name, &row_name(row, texts), counts[row])),
                x + length + 5.0,
                top + 11.0,
                counts[row]
            );
        }
    }
    svg.push_str("</svg>\n");
    (svg, height)
}

#[cfg(test)]
mod tests {
    use harness::lang::{Both, Lang};

    use super::*;
    use crate::trace::{Event, Recorder, now_ns};

    fn variant(name: &str, waits: &[u64]) -> Variant {
        let mut at_ns = now_ns();
        let mut lane = Recorder::task("one");
        for wait in waits {
            at_ns += 1_000_000;
            lane.apply(at_ns, Event::enter(State::Waiting, ""));
            at_ns += wait;
            lane.apply(at_ns, Event::enter(State::Holding, ""));
        }
        let trace = Trace::new(vec![lane.end_at(at_ns + 1)]);
        Variant { name: name.to_owned(), about: Both::default(), trace, figures: Vec::new() }
    }

    fn english(variants: &[Variant]) -> Drawing {
        draw(variants, Texts::of(Lang::En))
    }

    #[test]
    fn every_wait_is_in_the_row_below_whose_limit_it_is() {
        let drawing =
            english(&[variant("one", &[29_999, 30_000, 31_000, 5_000_000_000]), variant("other", &[1])]);
        let lines: Vec<_> = drawing.text.lines().map(str::trim_end).collect();
        assert_eq!(lines[0], "              one             other");
        assert_eq!(lines[1], "below 10 us                   ######### 1");
        assert_eq!(lines[2], "below 30 us   ##### 1");
        assert_eq!(lines[3], "below 100 us  ######### 2");
        assert_eq!(lines.last(), Some(&"longer        ##### 1"));
        assert!(drawing.text.is_ascii());
        assert!(drawing.svg.unwrap().0.contains("<title>one, below 100 us: 2 waits</title>"));
    }

    #[test]
    fn four_variants_with_two_thousand_waits_fit_into_eighty_columns() {
        let many = vec![1_000; 2000];
        let drawing = english(&[1, 2, 3, 4].map(|number| variant(&format!("ticket-short{number}"), &many)));
        assert!(drawing.text.lines().all(|line| line.len() <= 80), "{}", drawing.text);
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert_eq!(english(&[]).text, "\n");
    }
}
