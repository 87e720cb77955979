//! The charts of time series as one SVG, above each other over one time axis.

use std::fmt::Write as _;

use client::load::Errors;
use harness::page::escape;
use harness::units;

use super::axis::Axis;
use super::timeline::Timeline;
use crate::series::read::Row;

/// Measures in units of the SVG: all of it, the space for figures left of the charts, a chart, its
/// title, and the axis below the last one.
pub(super) const WIDTH: f64 = 900.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 18.0;
const CHART: f64 = 96.0;
const TITLE: f64 = 32.0;
const AXIS: f64 = 44.0;

/// Errors are at least as wide, or nobody would see them in a long series.
const NARROWEST: f64 = 3.0;

/// The width of a digit over a bar, more or less.
const DIGIT: f64 = 7.0;

/// In the order of [`Errors::by_kind`].
const COLOURS: [&str; 8] = ["orange", "red", "pink", "violet", "ink", "grey", "sky", "green"];

pub(super) const STYLE: &str = "\
.t text{font:12px system-ui,sans-serif;fill:var(--ink)}.t .title{font-weight:600;font-size:13px}.t .y{text-anchor:end}.t .x{text-anchor:middle}\
.t .rule{stroke:var(--rule);fill:none}.t path{stroke-linecap:round;stroke-linejoin:round}.t .all{fill:none;stroke:var(--c);stroke-width:2.2;pointer-events:none}\
.t .one{fill:none;stroke:var(--c);stroke-width:1;opacity:.55}.t .one:hover{stroke-width:3;opacity:1}\
.t .wrong{fill:var(--red);opacity:.13}.t .hit{fill:transparent}.t .p:hover .hit{fill:var(--ink);opacity:.1}\
.t .bar{fill:var(--c);pointer-events:none}.t .count{text-anchor:middle;font-weight:600;pointer-events:none}.t .name{fill:var(--c);font-weight:600}";

/// A curve: its name, colour, whether it is dashed, and its value.
type Curve = (&'static str, &'static str, bool, fn(&Row) -> Option<f64>);

/// A chart of curves: its title, its curves, and how a value is said.
type Chart = (&'static str, &'static [Curve], fn(f64) -> String);

const CHARTS: [Chart; 3] = [
    ("Answers per second", &[("", "blue", false, Row::rate)], units::whole),
    (
        "Response time",
        &[("p99", "orange", false, |row| row.p99), ("p50", "blue", true, |row| row.p50)],
        units::time,
    ),
    (
        "Connections and requests",
        &[
            ("open connections", "green", false, |row| gauge(row, row.open)),
            ("requests in flight", "violet", true, |row| gauge(row, row.in_flight)),
        ],
        units::whole,
    ),
];

/// The height of all charts.
pub(super) const HEIGHT: f64 = (CHARTS.len() + 1) as f64 * (TITLE + CHART) + AXIS;

/// What is open after the end says nothing of the load.
fn gauge(row: &Row, value: f64) -> Option<f64> {
    (row.length > 0.0).then_some(value)
}

/// The charts, without an `<svg>` around them.
pub(super) fn charts(timeline: &Timeline<'_>) -> String {
    let mut svg = String::from("<g class=\"t\">");
    let x = Axis::Linear { low: 0.0, high: timeline.seconds().max(1e-3) };
    let across = |unix: f64| LEFT + x.place(unix - timeline.begin) * (WIDTH - LEFT - RIGHT);
    let bottom = HEIGHT - AXIS;
    for tick in x.ticks(false) {
        let (at, label) = (across(timeline.begin + tick), (tick * 1e6).round() / 1e6);
        let _ = write!(
            svg,
            "<path class=\"rule\" d=\"M{at:.1} {TITLE}V{bottom}\"/><text class=\"x\" x=\"{at:.1}\" y=\"{}\">{label}</text>",
            bottom + 16.0
        );
    }
    let _ = write!(
        svg,
        "<text class=\"x\" x=\"{}\" y=\"{}\">seconds since the start</text>",
        f64::midpoint(LEFT, WIDTH - RIGHT),
        bottom + 34.0
    );
    // The moments of errors reach through all charts, and so does what can be hovered over.
    let columns = timeline.all.iter().map(|row| (row, across(row.start), across(row.end())));
    for (row, from, to) in columns {
        let (from, width) = widened(from, to);
        let column =
            format!("x=\"{from:.1}\" y=\"{TITLE}\" width=\"{width:.1}\" height=\"{}\"", bottom - TITLE);
        if row.errors.iter().any(|count| *count > 0.0) {
            let _ = write!(svg, "<rect class=\"wrong\" {column}/>");
        }
        let tip = escape(&timeline.tip(row));
        let _ =
            write!(svg, "<g class=\"p\" role=\"img\"><title>{tip}</title><rect class=\"hit\" {column}/></g>");
    }
    for (index, chart) in CHARTS.iter().enumerate() {
        curves(&mut svg, timeline, chart, index as f64 * (TITLE + CHART), &across);
    }
    errors(&mut svg, timeline, CHARTS.len() as f64 * (TITLE + CHART), &across);
    svg + "</g>"
}

/// At least [`NARROWEST`] wide.
fn widened(from: f64, to: f64) -> (f64, f64) {
    let width = (to - from).max(NARROWEST);
    (from.min(WIDTH - RIGHT - width), width)
}

fn curves(
    svg: &mut String,
    timeline: &Timeline<'_>,
    (title, curves, say): &Chart,
    top: f64,
    across: &impl Fn(f64) -> f64,
) {
    let each = || timeline.each.iter().filter(|_| timeline.each.len() > 1);
    let rows = || timeline.all.iter().chain(each().flat_map(|series| &series.rows));
    let values: Vec<f64> =
        rows().flat_map(|row| curves.iter().filter_map(|(.., value)| value(row))).collect();
    // In a chart of counts a zero is an answer too.
    let axis = Axis::for_values(if values.is_empty() { &[0.0] } else { &values }, *title == "Response time");
    let up = |value: f64| top + TITLE + (1.0 - axis.place(value)) * CHART;
    heading(
        svg,
        title,
        top,
        curves
            .iter()
            .map(|(name, colour, dashed, _)| (if *dashed { "╌" } else { "━" }, *colour, (*name).to_owned())),
    );
    horizontal_lines(svg, axis, up, say);
    for (name, colour, dashed, value) in *curves {
        let dash = if *dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        for series in each() {
            let line = line(&series.rows, *value, across, up);
            let title = escape(&format!("{}: {}", series.name, if name.is_empty() { title } else { name }));
            let _ = write!(
                svg,
                "<path class=\"one\" style=\"--c:var(--{colour})\" d=\"{line}\"{dash}><title>{title}</title></path>"
            );
        }
        let line = line(&timeline.all, *value, across, up);
        let _ = write!(svg, "<path class=\"all\" style=\"--c:var(--{colour})\" d=\"{line}\"{dash}/>");
    }
}

/// Through the middles of the intervals, broken where there is no value or no interval.
fn line(
    rows: &[Row],
    value: fn(&Row) -> Option<f64>,
    across: &impl Fn(f64) -> f64,
    up: impl Fn(f64) -> f64,
) -> String {
    let (mut path, mut before) = (String::new(), None);
    for row in rows {
        let Some(value) = value(row) else {
            before = None;
            continue;
        };
        let follows = before.is_some_and(|end| row.start - end < row.length / 2.0);
        // A point alone is drawn by its round ends.
        let (sign, dot) = if follows { ("L", "") } else { ("M", "h.01") };
        let _ = write!(path, "{sign}{:.1} {:.1}{dot}", across(row.start + row.length / 2.0), up(value));
        before = Some(row.end());
    }
    path
}

/// As bars, the kinds above each other, with the number over it where it has room.
fn errors(svg: &mut String, timeline: &Timeline<'_>, top: f64, across: &impl Fn(f64) -> f64) {
    let totals = timeline.errors();
    let kinds = Errors::default().by_kind();
    let known = (0..kinds.len()).filter(|kind| totals[*kind] > 0.0);
    let legend: Vec<_> = known
        .map(|kind| ("■", COLOURS[kind], format!("{} {}", units::whole(totals[kind]), kinds[kind].0)))
        .collect();
    heading(svg, if legend.is_empty() { "Errors: none" } else { "Errors" }, top, legend.into_iter());
    let sums: Vec<f64> = timeline.all.iter().map(|row| row.errors.iter().sum()).collect();
    // Room for the number over the highest bar.
    let most = sums.iter().copied().fold(1.0, f64::max) * 1.15;
    let axis = Axis::for_values(&[most], false);
    let up = |value: f64| top + TITLE + (1.0 - axis.place(value)) * CHART;
    horizontal_lines(
        svg,
        axis,
        up,
        |tick| if tick.fract() == 0.0 { units::whole(tick) } else { String::new() },
    );
    let mut free = 0.0;
    for (row, sum) in timeline.all.iter().zip(&sums).filter(|(_, sum)| **sum > 0.0) {
        let (from, width) = widened(across(row.start), across(row.end()));
        let mut base = 0.0;
        for (count, colour) in row.errors.iter().zip(COLOURS).filter(|(count, _)| **count > 0.0) {
            // An error among thousands is still seen.
            let height = (up(base) - up(base + count)).max(1.5);
            let _ = write!(
                svg,
                "<rect class=\"bar\" style=\"--c:var(--{colour})\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>",
                up(base) - height
            );
            base += count;
        }
        let (number, middle) = (units::whole(*sum), from + width / 2.0);
        let half = number.len() as f64 * DIGIT / 2.0;
        if middle - half >= free {
            free = middle + half + DIGIT;
            let _ = write!(
                svg,
                "<text class=\"count\" x=\"{middle:.1}\" y=\"{:.1}\">{number}</text>",
                up(*sum) - 5.0
            );
        }
    }
}

fn heading(
    svg: &mut String,
    title: &str,
    top: f64,
    names: impl Iterator<Item = (&'static str, &'static str, String)>,
) {
    let y = top + TITLE - 9.0;
    let _ = write!(svg, "<text x=\"{LEFT}\" y=\"{y}\"><tspan class=\"title\">{title}</tspan>");
    for (sign, colour, name) in names.filter(|(.., name)| !name.is_empty()) {
        let _ = write!(
            svg,
            "<tspan class=\"name\" dx=\"14\" style=\"--c:var(--{colour})\">{sign}</tspan><tspan dx=\"5\">{name}</tspan>"
        );
    }
    svg.push_str("</text>");
}

fn horizontal_lines(svg: &mut String, axis: Axis, up: impl Fn(f64) -> f64, say: impl Fn(f64) -> String) {
    for tick in axis.ticks(false) {
        let (y, label) = (up(tick), if tick == 0.0 { "0".to_owned() } else { say(tick) });
        let _ = write!(
            svg,
            "<path class=\"rule\" d=\"M{LEFT} {y:.1}H{:.1}\"/><text class=\"y\" x=\"{:.1}\" y=\"{:.1}\">{label}</text>",
            WIDTH - RIGHT,
            LEFT - 7.0,
            y + 4.0
        );
    }
}
