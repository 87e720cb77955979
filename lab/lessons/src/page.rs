//! Lanes over time as SVG, alone and in a page.

use std::fmt::Write as _;

use harness::page::{COLOURS, escape, page, scroll};

use super::Lesson;
use super::show::rows;
use super::trace::{Lane, Span, State, Trace};
use super::verdict::{Drawing, Variant, time};

/// Measures of a picture, in pixels: its width, that of the names, the space right of the lanes,
/// and heights.
const WIDTH: f64 = 1060.0;
const NAMES: f64 = 150.0;
const MARGIN: f64 = 40.0;
const LANE: f64 = 18.0;
const BAR: f64 = 13.0;
const AXIS: f64 = 26.0;
const LEGEND: f64 = 24.0;
/// The space between two pictures in one SVG, with the title of the second.
const TITLE: f64 = 40.0;

/// Characters of a lane's name that fit; hovering tells the whole.
const NAME_CHARACTERS: usize = 20;

/// How a state, a mark and text look. Holding is also taller than the rest, so that the picture can
/// be read without colours.
const STYLE: &str = "\
.l text{font:12px system-ui,sans-serif;fill:var(--ink)}.l .faint{fill:var(--faint)}.l line{stroke:var(--rule)}\
.l .running{fill:var(--blue)}.l .waiting{fill:var(--orange)}.l .holding{fill:var(--green)}.l .sleeping{fill:var(--grey)}\
.l .blocked{fill:var(--pink)}.l .done{fill:var(--rule)}.l .mark{fill:var(--red);stroke:var(--panel)}\
.l .mark1{fill:var(--sky)}.l .mark2{fill:var(--ink)}.l .title{font-weight:600;font-size:14px}";

/// The page of these lessons.
pub fn html(lessons: &[Lesson]) -> String {
    let title = match lessons {
        [one] => format!("{}: {}", one.entry.name, one.entry.question),
        _ => "The course, experiment by experiment".to_owned(),
    };
    let mut body = format!("<style>{STYLE}</style>\n");
    for lesson in lessons {
        if lessons.len() > 1 {
            let _ =
                writeln!(body, "<h2>{}: {}</h2>", escape(lesson.entry.name), escape(lesson.entry.question));
        }
        section(&mut body, lesson);
    }
    if cfg!(debug_assertions) {
        body.push_str("<p class=\"faint\">Recorded by a debug build.</p>\n");
    }
    page(&title, &body)
}

/// All pictures of these lessons, one below the other, as an SVG that needs nothing else.
pub fn svg(lessons: &[Lesson]) -> String {
    let variants =
        || lessons.iter().flat_map(|lesson| lesson.outcome.variants.iter().map(move |v| (lesson, v)));
    let height: f64 = variants().map(|(_, variant)| TITLE + height(&variant.trace)).sum();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\">\n\
         <style>{COLOURS}{STYLE}</style>\n<rect width=\"100%\" height=\"100%\" style=\"fill:var(--paper)\"/>\n"
    );
    let mut top = 0.0;
    for (lesson, variant) in variants() {
        let title = escape(&format!("{} {}: {}", lesson.entry.name, variant.name, variant.about));
        let _ = writeln!(svg, "<g class=\"l\" transform=\"translate(0 {top})\">");
        let _ = writeln!(svg, "<text class=\"title\" x=\"8\" y=\"{}\">{title}</text></g>", TITLE - 14.0);
        let _ = writeln!(svg, "<g class=\"l\" transform=\"translate(0 {})\">", top + TITLE);
        lanes(&mut svg, &variant.trace);
        svg.push_str("</g>\n");
        top += TITLE + self::height(&variant.trace);
    }
    svg.push_str("</svg>\n");
    svg
}

fn section(body: &mut String, lesson: &Lesson) {
    for variant in &lesson.outcome.variants {
        figure(body, variant);
    }
    for drawing in &lesson.outcome.drawings {
        drawn(body, drawing);
    }
    let (names, rows) = rows(&lesson.outcome.variants);
    if !names.is_empty() {
        let _ = write!(body, "<figure>{}<table><thead><tr><th>variant</th>", scroll("Figures"));
        for name in names {
            let _ = write!(body, "<th>{}</th>", escape(name));
        }
        body.push_str("</tr></thead><tbody>\n");
        for (variant, row) in lesson.outcome.variants.iter().zip(rows) {
            let _ = write!(body, "<tr><td>{}</td>", escape(&variant.name));
            for cell in row {
                let _ = write!(body, "<td>{}</td>", escape(&cell));
            }
            body.push_str("</tr>\n");
        }
        body.push_str("</tbody></table></div></figure>\n");
    }
    let verdict = &lesson.verdict;
    let (class, word) =
        if verdict.as_expected { ("good", "as expected") } else { ("bad", "not as expected") };
    let _ = writeln!(
        body,
        "<dl><dt>Expected</dt><dd>{}</dd><dt>Observed</dt><dd>{}</dd><dt>Why</dt><dd>{}</dd>\
         <dt>Verdict</dt><dd class=\"{class}\">{word}</dd></dl>",
        escape(&verdict.expected),
        escape(&verdict.observed),
        escape(&verdict.why),
    );
}

fn figure(body: &mut String, variant: &Variant) {
    let (name, about, height) = (escape(&variant.name), escape(&variant.about), height(&variant.trace));
    let _ = writeln!(
        body,
        "<figure><figcaption><b>{name}</b>: {about}</figcaption>\n{}\
         <svg class=\"l\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" style=\"width:100%;min-width:44rem;height:auto\" role=\"img\" \
         aria-label=\"{name}: {about}\">",
        scroll(&variant.name)
    );
    lanes(body, &variant.trace);
    body.push_str("</svg></div></figure>\n");
}

fn drawn(body: &mut String, drawing: &Drawing) {
    let _ = writeln!(
        body,
        "<figure><figcaption>{}</figcaption>\n{}",
        escape(&drawing.title),
        scroll(&drawing.title)
    );
    match &drawing.svg {
        Some(svg) => body.push_str(svg),
        None => {
            let _ = write!(body, "<pre>{}</pre>", escape(&drawing.text));
        }
    }
    body.push_str("</div></figure>\n");
}

#[allow(clippy::cast_precision_loss, reason = "a number of lanes")]
fn height(trace: &Trace) -> f64 {
    trace.lanes.len() as f64 * LANE + AXIS + LEGEND
}

/// Where an instant is, in pixels from the left.
struct Scale {
    begin_ns: u64,
    pixels_per_ns: f64,
}

#[allow(clippy::cast_precision_loss, reason = "pixels")]
impl Scale {
    fn new(trace: &Trace) -> Self {
        let pixels = WIDTH - NAMES - MARGIN;
        Self { begin_ns: trace.bounds_ns().0, pixels_per_ns: pixels / trace.length_ns().max(1) as f64 }
    }

    fn x(&self, at_ns: u64) -> f64 {
        NAMES + self.width(at_ns.saturating_sub(self.begin_ns))
    }

    fn width(&self, length_ns: u64) -> f64 {
        length_ns as f64 * self.pixels_per_ns
    }
}

#[allow(clippy::cast_precision_loss, reason = "a number of lanes")]
fn lanes(svg: &mut String, trace: &Trace) {
    let scale = Scale::new(trace);
    let labels = super::lanes::labels(&trace.lanes);
    axis(svg, trace, &scale);
    for (row, lane) in trace.lanes.iter().enumerate() {
        one_lane(svg, lane, row as f64 * LANE, &scale, &labels);
    }
    legend(svg, trace, &labels);
}

fn one_lane(svg: &mut String, lane: &Lane, top: f64, scale: &Scale, labels: &[&str]) {
    let name = escape(&lane.name);
    let short: String = lane.name.chars().take(NAME_CHARACTERS).collect();
    let thread = lane.tid.map_or_else(String::new, |tid| format!(", thread {tid}"));
    let _ = writeln!(
        svg,
        "<text x=\"8\" y=\"{:.1}\">{}<title>{name}, process {}{thread}</title></text>",
        top + 13.0,
        escape(&short),
        lane.pid
    );
    for span in &lane.spans {
        let Span { state, what, begin_ns, end_ns } = span;
        let less = match state {
            State::Holding => 0.0,
            State::Running => 2.0,
            State::Waiting | State::Blocked => 4.0,
            State::Sleeping | State::Done => 5.0,
        };
        let with = if what.is_empty() { String::new() } else { format!(" ({})", escape(what)) };
        let _ = writeln!(
            svg,
            "<rect class=\"{}\" x=\"{:.2}\" y=\"{:.1}\" width=\"{:.2}\" height=\"{:.1}\"><title>{name}: {}{with}, from {} for \
             {}</title></rect>",
            state.name(),
            scale.x(*begin_ns),
            top + 2.0 + less,
            scale.width(end_ns - begin_ns),
            BAR - 2.0 * less,
            state.name(),
            time(begin_ns - scale.begin_ns),
            time(end_ns - begin_ns),
        );
    }
    for mark in &lane.marks {
        let number = labels.iter().position(|label| *label == mark.label).unwrap_or(0);
        let (x, y) = (scale.x(mark.at_ns), top + LANE / 2.0);
        sign(
            svg,
            number,
            x,
            y,
            &format!("{name}: {}, at {}", escape(&mark.label), time(mark.at_ns - scale.begin_ns)),
        );
    }
}

/// The sign of the label with this number, with a title that is escaped already: a diamond, a
/// triangle or a circle, in turn.
fn sign(svg: &mut String, number: usize, x: f64, y: f64, title: &str) {
    let class = number % 3;
    let shape = match class {
        0 => format!("<path class=\"mark\" d=\"M{x:.2} {:.1}l6 7l-6 7l-6 -7z\"", y - 7.0),
        1 => format!("<path class=\"mark mark1\" d=\"M{x:.2} {:.1}l6 11h-12z\"", y - 6.0),
        _ => format!("<circle class=\"mark mark2\" cx=\"{x:.2}\" cy=\"{y:.1}\" r=\"5\""),
    };
    let end = if class == 2 { "circle" } else { "path" };
    let _ = writeln!(svg, "{shape}><title>{title}</title></{end}>");
}

#[allow(clippy::cast_precision_loss, reason = "pixels")]
fn axis(svg: &mut String, trace: &Trace, scale: &Scale) {
    let bottom = trace.lanes.len() as f64 * LANE + 2.0;
    let step = super::lanes::round_step(trace.length_ns().max(1), 8);
    let last = trace.length_ns() / step;
    for at_ns in (0..=last).map(|tick| tick * step) {
        let x = scale.x(scale.begin_ns + at_ns);
        let label = if at_ns == 0 { "0".to_owned() } else { time(at_ns) };
        let _ = writeln!(svg, "<line x1=\"{x:.2}\" x2=\"{x:.2}\" y1=\"0\" y2=\"{bottom:.1}\"/>");
        let _ = writeln!(
            svg,
            "<text class=\"faint\" text-anchor=\"middle\" x=\"{x:.2}\" y=\"{:.1}\">{label}</text>",
            bottom + 14.0
        );
    }
}

#[allow(clippy::cast_precision_loss, reason = "a number of lanes")]
fn legend(svg: &mut String, trace: &Trace, labels: &[&str]) {
    /// The width of a character, more or less, and of what is not text in an entry.
    const CHARACTER: f64 = 6.7;
    const SIGN: f64 = 34.0;
    let y = trace.lanes.len() as f64 * LANE + AXIS + 14.0;
    let mut x = NAMES;
    let occurs = |state| trace.lanes.iter().any(|lane| lane.spans.iter().any(|span| span.state == state));
    for state in State::ALL.into_iter().filter(|state| occurs(*state)) {
        let name = state.name();
        let _ = writeln!(
            svg,
            "<rect class=\"{name}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"12\" height=\"10\"/>",
            y - 10.0
        );
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{y:.1}\">{name}</text>", x + 17.0);
        x += SIGN + name.chars().count() as f64 * CHARACTER;
    }
    for (number, label) in labels.iter().enumerate() {
        sign(svg, number, x + 6.0, y - 5.0, &escape(label));
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{y:.1}\">{}</text>", x + 17.0, escape(label));
        x += SIGN + label.chars().count() as f64 * CHARACTER;
    }
}
