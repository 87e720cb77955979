//! Charts as inline SVG. What a point means stands in its `<title>`, so that it can be read without
//! any script.

use std::fmt::Write as _;

use harness::page::escape;
use harness::units;

use super::axis::Axis;
use super::look::Look;
use crate::document::{Document, Point};
use crate::metric::Metric;
use crate::report::heading;
use crate::value::Value;

/// A chart in units of its own, and the frame within it.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 205.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 34.0;

/// Height of a row in a chart of bars.
const ROW: f64 = 24.0;

/// Width of the names beside bars, and of the values behind them.
const NAMES: f64 = 104.0;
const VALUES: f64 = 70.0;

/// The percentiles that get a line on their axis, and those that get a point on each curve.
const NINES: [(f64, &str); 6] =
    [(0.0, "0"), (90.0, "90"), (99.0, "99"), (99.9, "99.9"), (99.99, "99.99"), (99.999, "99.999")];
const MARKED: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];

/// The ids of all servers and their looks.
pub(super) struct Cast<'a> {
    pub(super) ids: Vec<&'a str>,
    pub(super) looks: Vec<Look>,
}

impl<'a> Cast<'a> {
    pub(super) fn of(document: &'a Document) -> Self {
        let ids = document.ids();
        let looks = super::look::looks(&ids);
        Self { ids, looks }
    }
}

/// A value of one server at one place of the sweep.
struct Dot {
    x: f64,
    place: String,
    value: Value,
}

/// A quantity over the sweep of a scenario; where that has one point only, as bars. `None` if
/// nobody has a value.
pub(super) fn sweep(cast: &Cast<'_>, points: &[&Point], metric: Metric) -> Option<String> {
    let by_load = points.iter().any(|point| point.load.is_some());
    let lines: Vec<(usize, Vec<Dot>)> = cast
        .ids
        .iter()
        .enumerate()
        .map(|(index, id)| {
            (index, points.iter().filter_map(|point| dot(point, id, metric, by_load)).collect())
        })
        .filter(|(_, dots): &(usize, Vec<Dot>)| !dots.is_empty())
        .collect();
    if lines.is_empty() {
        return None;
    }
    let svg =
        if points.len() == 1 { bars(cast, &lines, metric) } else { curves(cast, &lines, metric, by_load) };
    Some(figure(metric.title(), &svg))
}

fn dot(point: &Point, id: &str, metric: Metric, by_load: bool) -> Option<Dot> {
    let server = point.server(id)?;
    let value = metric.of(server)?;
    // A server that holds one conversation stands where it was measured, not where the others were.
    let (x, place) = match point.load {
        Some(load) if by_load => (load * 100.0, heading(point)),
        _ if server.connections != point.connections => {
            (server.connections as f64, "1 connection".to_owned())
        }
        _ => (point.connections as f64, point.label()),
    };
    Some(Dot { x, place, value })
}

fn figure(title: &str, svg: &str) -> String {
    format!("<figure class=\"chart\"><figcaption>{}</figcaption>{svg}</figure>\n", escape(title))
}

/// What a screen reader says of a chart: its title and each server's last value.
fn description(cast: &Cast<'_>, lines: &[(usize, Vec<Dot>)], metric: Metric) -> String {
    let each = lines.iter().filter_map(|(index, dots)| {
        let last = dots.last()?;
        Some(format!("{} {} at {}", cast.ids[*index], metric.show(last.value.value), last.place))
    });
    format!("{}: {}", metric.title(), each.collect::<Vec<_>>().join("; "))
}

/// What hovering over a point says.
fn tip(id: &str, place: &str, metric: Metric, value: &Value) -> String {
    let spread = match value.each.len() {
        0 | 1 => "one round".to_owned(),
        rounds => format!("{rounds} rounds from {} to {}", metric.show(value.low), metric.show(value.high)),
    };
    format!("{id}, {place}: {} ({spread})", metric.show(value.value))
}

fn curves(cast: &Cast<'_>, lines: &[(usize, Vec<Dot>)], metric: Metric, by_load: bool) -> String {
    let dots = || lines.iter().flat_map(|(_, dots)| dots);
    let values: Vec<f64> = dots().flat_map(|dot| [dot.value.low, dot.value.value, dot.value.high]).collect();
    let y = Axis::for_values(&values, !metric.more_is_better());
    let mut places: Vec<f64> = dots().map(|dot| dot.x).collect();
    places.sort_unstable_by(f64::total_cmp);
    places.dedup();
    let x = match (by_load, places.first(), places.last()) {
        (false, Some(first), Some(last)) if last > first => {
            Axis::Log { low: first / 1.25, high: last * 1.25 }
        }
        _ => Axis::Linear { low: 0.0, high: 100.0 },
    };
    let mut svg = open(HEIGHT, &description(cast, lines, metric));
    horizontal_lines(&mut svg, y, |value| metric.show(value), metric.is_bytes());
    for place in &places {
        let label = if by_load { format!("{place:.0} %") } else { units::whole(*place) };
        vertical_line(&mut svg, across(x.place(*place)), &label);
    }
    x_title(&mut svg, if by_load { "share of the load" } else { "connections" });
    for (index, dots) in lines {
        let at = |dot: &Dot, value: f64| (across(x.place(dot.x)), up(y.place(value)));
        let path: Vec<String> =
            dots.iter().map(|dot| at(dot, dot.value.value)).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = write!(svg, "<polyline class=\"line s{index}\" points=\"{}\"/>", path.join(" "));
        for dot in dots {
            let (x, y) = at(dot, dot.value.value);
            let (low, high) = (at(dot, dot.value.low).1, at(dot, dot.value.high).1);
            let whisker = format!("<path class=\"whisker\" d=\"M{x:.1} {low:.1}V{high:.1}\"/>");
            mark(
                &mut svg,
                cast,
                *index,
                (x, y),
                &whisker,
                &tip(cast.ids[*index], &dot.place, metric, &dot.value),
            );
        }
    }
    svg + "</svg>"
}

fn bars(cast: &Cast<'_>, lines: &[(usize, Vec<Dot>)], metric: Metric) -> String {
    let values: Vec<f64> =
        lines.iter().flat_map(|(_, dots)| dots).flat_map(|dot| [dot.value.low, dot.value.high]).collect();
    let axis = Axis::for_values(&values, false);
    let space = WIDTH - NAMES - VALUES;
    let place = |value: f64| NAMES + axis.place(value) * space;
    let height = TOP + ROW * lines.len() as f64 + TOP;
    let mut svg = open(height, &description(cast, lines, metric));
    let _ = write!(svg, "<path class=\"rule\" d=\"M{0:.1} {TOP}V{1:.1}\"/>", place(0.0), height - TOP);
    for (row, (index, dots)) in lines.iter().enumerate() {
        let Some(dot) = dots.last() else { continue };
        let y = TOP + ROW * row as f64;
        let (zero, end) = (place(0.0), place(dot.value.value));
        let (low, high) = (place(dot.value.low), place(dot.value.high));
        let id = cast.ids[*index];
        let _ = write!(
            svg,
            "<g class=\"p s{index}\" role=\"img\"><title>{}</title><rect class=\"hit\" width=\"{WIDTH}\" height=\"{ROW}\" y=\"{y:.1}\"/>\
             <text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\
             <rect class=\"bar\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"12\" rx=\"1\"/>\
             <path class=\"whisker ink\" d=\"M{low:.1} {:.1}H{high:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text></g>",
            escape(&tip(id, &dot.place, metric, &dot.value)),
            NAMES - 8.0,
            y + 16.0,
            escape(id),
            zero.min(end),
            y + 6.0,
            (end - zero).abs().max(0.5),
            y + 12.0,
            high.max(end) + 5.0,
            y + 16.0,
            escape(&metric.show(dot.value.value)),
        );
    }
    svg + "</svg>"
}

/// A server's place in the cast, its percentiles, and how many response times they are of.
type Curve<'a> = (usize, &'a [(f64, u64)], u64);

/// Response times over percentiles, the axis stretched towards 100 % as HdrHistogram's plotter does
/// it. `None` if nothing was asked.
pub(super) fn percentiles(cast: &Cast<'_>, point: &Point) -> Option<String> {
    let curves: Vec<Curve<'_>> = cast
        .ids
        .iter()
        .enumerate()
        .filter_map(|(index, id)| {
            let figures = point.server(id)?.figures.as_ref()?;
            (figures.samples > 0).then_some((index, figures.percentiles.as_slice(), figures.samples))
        })
        .collect();
    let most = curves.iter().map(|(.., samples)| *samples).max()?;
    // The last percentile that at least one request lies beyond.
    let far = (most as f64).log10().clamp(1.0, 5.0);
    let x = |percentile: f64| across((nines(percentile).min(far)) / far);
    let values: Vec<f64> =
        curves.iter().flat_map(|(_, steps, _)| steps.iter().map(|(_, nanos)| *nanos as f64)).collect();
    let low = values.iter().copied().fold(f64::MAX, f64::min).max(1.0);
    let high = values.iter().copied().fold(1.0, f64::max);
    let y = Axis::Log { low: low / 1.2, high: high.max(low * 10.0) * 1.2 };

    let mut svg =
        open(HEIGHT, &format!("Response times by percentile, {}: {}", point.label(), p99s(cast, point)));
    horizontal_lines(&mut svg, y, units::time, false);
    for (percentile, label) in NINES.iter().filter(|(percentile, _)| nines(*percentile) <= far) {
        vertical_line(&mut svg, x(*percentile), label);
    }
    x_title(&mut svg, "percentile of the response times");
    for (index, steps, samples) in curves {
        let reach = (samples as f64).log10().min(far);
        let reached: Vec<&(f64, u64)> =
            steps.iter().filter(|(percentile, _)| nines(*percentile) <= reach).collect();
        let path: Vec<String> = reached
            .iter()
            .map(|(percentile, nanos)| format!("{:.1},{:.1}", x(*percentile), up(y.place(*nanos as f64))))
            .collect();
        let _ = write!(svg, "<polyline class=\"line s{index}\" points=\"{}\"/>", path.join(" "));
        for percentile in MARKED {
            let Some((_, nanos)) = reached.iter().find(|(reached, _)| *reached >= percentile) else {
                continue;
            };
            let place = (x(percentile), up(y.place(*nanos as f64)));
            let tip = format!("{}, p{percentile}: {}", cast.ids[index], units::time(*nanos as f64));
            mark(&mut svg, cast, index, place, "", &tip);
        }
    }
    svg += "</svg>";
    Some(figure(&point.label(), &svg))
}

/// How many nines a percentile has: 1 for 90 %, 2 for 99 %.
fn nines(percentile: f64) -> f64 {
    -(1.0 - percentile / 100.0).max(1e-9).log10()
}

fn p99s(cast: &Cast<'_>, point: &Point) -> String {
    let each = cast.ids.iter().filter_map(|id| {
        let value = Metric::P99.of(point.server(id)?)?;
        Some(format!("{id} {} at p99", Metric::P99.show(value.value)))
    });
    each.collect::<Vec<_>>().join("; ")
}

fn open(height: f64, description: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\"><title>{0}</title>",
        escape(description)
    )
}

fn mark(svg: &mut String, cast: &Cast<'_>, index: usize, (x, y): (f64, f64), more: &str, tip: &str) {
    let _ = write!(
        svg,
        "<g class=\"p s{index}\" role=\"img\"><title>{}</title>{more}<circle class=\"hit\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"10\"/>\
         <path class=\"mark\" d=\"{}\"/></g>",
        escape(tip),
        cast.looks[index].marker.path(x, y)
    );
}

fn horizontal_lines(svg: &mut String, axis: Axis, label: impl Fn(f64) -> String, bytes: bool) {
    for tick in axis.ticks(bytes) {
        let y = up(axis.place(tick));
        let text = if tick == 0.0 { "0".to_owned() } else { label(tick) };
        let _ = write!(
            svg,
            "<path class=\"rule\" d=\"M{LEFT} {y:.1}H{:.1}\"/><text class=\"y\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0,
            escape(&text)
        );
    }
}

fn vertical_line(svg: &mut String, x: f64, label: &str) {
    let _ = write!(
        svg,
        "<path class=\"rule\" d=\"M{x:.1} {TOP}V{0:.1}\"/><text class=\"x\" x=\"{x:.1}\" y=\"{1:.1}\">{2}</text>",
        HEIGHT - BOTTOM,
        HEIGHT - BOTTOM + 14.0,
        escape(label)
    );
}

fn x_title(svg: &mut String, title: &str) {
    let (x, y) = (f64::midpoint(LEFT, WIDTH - RIGHT), HEIGHT - 5.0);
    let _ = write!(svg, "<text class=\"x faint\" x=\"{x:.1}\" y=\"{y:.1}\">{title}</text>");
}

fn across(place: f64) -> f64 {
    LEFT + place * (WIDTH - LEFT - RIGHT)
}

fn up(place: f64) -> f64 {
    HEIGHT - BOTTOM - place * (HEIGHT - BOTTOM - TOP)
}
