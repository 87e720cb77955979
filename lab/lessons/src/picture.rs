//! Lanes over time as SVG: for a page, and as a file that stands alone.

use std::fmt::Write as _;
use std::mem;
use std::ops::Range;

use harness::lang::Lang;
use harness::page::{COLOURS, escape};
use harness::text::{fitted, width};

use super::Lesson;
use super::key::Key;
use super::lanes::round_step;
use super::texts::Texts;
use super::trace::{Band, Lane, Mark, Span, State, Trace};
use super::verdict::time;

/// Measures of a picture, in pixels: its width, that of the names, the space right of the lanes,
/// and heights.
pub(super) const WIDTH: f64 = 1060.0;
const NAMES: f64 = 150.0;
const MARGIN: f64 = 40.0;
const LANE: f64 = 18.0;
const BAR: f64 = 13.0;
const BAND: f64 = 44.0;
const AXIS: f64 = 26.0;
const LEGEND: f64 = 24.0;
/// The space between two pictures in one SVG, with the title of the second.
const TITLE: f64 = 40.0;

/// Characters of a lane's name that fit; hovering tells the whole.
const NAME_CHARACTERS: usize = 20;

/// The width of a character, more or less, in the legend and in a lane.
const LEGEND_CHARACTER: f64 = 6.7;
const LANE_CHARACTER: f64 = 5.6;

/// The width of a mark's sign, more or less.
const SIGN_WIDTH: f64 = 12.0;

/// Locks that have a colour of their own; further ones share the last. As many signs of marks.
const LOCKS: usize = 3;
const SIGNS: usize = 6;

/// With more lanes than these, marks do not show their values.
const MOST_WITH_VALUES: usize = 24;

/// How a state, a mark and text look. Holding is also taller than the rest, so that the picture can
/// be read without colours.
pub(super) const STYLE: &str = "\
.l text{font:12px system-ui,sans-serif;fill:var(--ink)}.l .faint{fill:var(--faint)}.l line{stroke:var(--rule)}\
.l .running{fill:var(--blue)}.l .ready{fill:var(--blue);opacity:.4}.l .waiting{fill:var(--orange)}.l .holding{fill:var(--green)}.l .sleeping{fill:var(--grey)}\
.l .blocked{fill:var(--pink)}.l .done{fill:var(--rule)}.l .mark{fill:var(--red);stroke:var(--panel)}\
.l .mark1{fill:var(--sky)}.l .mark2{fill:var(--ink)}.l .mark3{fill:var(--violet)}.l .mark4{fill:var(--green)}.l .mark5{fill:var(--pink)}\
.l .lock0{fill:var(--green)}.l .lock1{fill:var(--violet)}.l .lock2{fill:var(--sky)}\
.l .partly{stroke:var(--panel);stroke-width:5;stroke-dasharray:2 2}.l .band{fill:var(--sky)}.l .in{font-size:10px;paint-order:stroke;stroke:var(--panel);stroke-width:3px;stroke-linejoin:round}.l .ground{fill:var(--panel)}.l .title{font-weight:600;font-size:14px}";

/// All pictures of these lessons, one below the other, as an SVG that needs nothing else.
pub(super) fn svg(lessons: &[Lesson], lang: Lang) -> String {
    let mut body = String::new();
    let (mut top, texts) = (0.0, Texts::of(lang));
    for lesson in lessons {
        let titled = texts.frame.titled;
        let key = Key::of(lesson.outcome.variants.iter().map(|variant| &variant.trace));
        for variant in &lesson.outcome.variants {
            title(
                &mut body,
                &titled(&format!("{} {}", lesson.entry.name, variant.name), variant.about.get(lang)),
                top,
            );
            let _ = writeln!(body, "<g class=\"l\" transform=\"translate(0 {})\">", top + TITLE);
            lanes(&mut body, &variant.trace, &key, texts);
            body.push_str("</g>\n");
            top += TITLE + height(&variant.trace, &key, texts);
        }
        for drawing in lesson.outcome.drawings.get(lang) {
            let Some((svg, height)) = &drawing.svg else { continue };
            title(&mut body, &titled(lesson.entry.name, &drawing.title), top);
            let _ = writeln!(body, "<g transform=\"translate(0 {})\">{svg}</g>", top + TITLE);
            top += TITLE + height;
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {top}\" width=\"{WIDTH}\" height=\"{top}\">\n\
         <style>{COLOURS}{STYLE}</style>\n<rect width=\"100%\" height=\"100%\" style=\"fill:var(--panel)\"/>\n\
         {body}</svg>\n"
    )
}

fn title(svg: &mut String, title: &str, top: f64) {
    let _ = writeln!(
        svg,
        "<g class=\"l\"><text class=\"title\" x=\"8\" y=\"{}\">{}</text></g>",
        top + TITLE - 14.0,
        escape(title)
    );
}

/// The height of a picture, in pixels.
#[allow(clippy::cast_precision_loss, reason = "a number of lanes")]
pub(super) fn height(trace: &Trace, key: &Key<'_>, texts: &Texts) -> f64 {
    bottom(trace) - 2.0 + AXIS + entries(trace, key, texts).1
}

/// Where the lanes begin, in pixels from the left, and how wide they are.
pub(super) const PLACE: (f64, f64) = (NAMES, WIDTH - NAMES - MARGIN);

/// Where the lanes end, in pixels from the top.
#[allow(clippy::cast_precision_loss, reason = "a number of lanes")]
pub(super) fn bottom(trace: &Trace) -> f64 {
    trace.lanes.len() as f64 * LANE + trace.bands.len() as f64 * BAND + 2.0
}

/// Where an instant is, in pixels from the left.
struct Scale<'a> {
    begin_ns: u64,
    length_ns: u64,
    texts: &'a Texts,
}

#[allow(clippy::cast_precision_loss, reason = "pixels")]
impl Scale<'_> {
    fn x(&self, at_ns: u64) -> f64 {
        NAMES + self.width(at_ns.saturating_sub(self.begin_ns))
    }

    fn width(&self, length_ns: u64) -> f64 {
        length_ns as f64 * PLACE.1 / self.length_ns as f64
    }
}

/// The picture, without an `<svg>` around it.
#[allow(clippy::cast_precision_loss, reason = "a number of lanes")]
pub(super) fn lanes(svg: &mut String, trace: &Trace, key: &Key<'_>, texts: &Texts) {
    let scale = Scale { begin_ns: trace.bounds_ns().0, length_ns: key.length_ns, texts };
    axis(svg, trace, &scale);
    for (row, lane) in trace.lanes.iter().enumerate() {
        let top = row as f64 * LANE;
        name(svg, lane, top, texts);
        for span in &lane.spans {
            bars(svg, lane, span, top, &scale, key);
        }
        for mark in &lane.marks {
            let value = if trace.lanes.len() <= MOST_WITH_VALUES { &mark.value } else { "" };
            self::mark(svg, lane, mark, value, top, &scale, key);
        }
    }
    for (row, band) in trace.bands.iter().enumerate() {
        self::band(svg, band, trace.lanes.len() as f64 * LANE + row as f64 * BAND, &scale, key.most);
    }
    legend(svg, trace, key, texts);
}

/// A band as an area of steps.
#[allow(clippy::cast_precision_loss, reason = "a number of things")]
fn band(svg: &mut String, band: &Band, top: f64, scale: &Scale<'_>, most: u64) {
    let base = top + BAND - 2.0;
    let mut path = format!("M{NAMES:.2} {base:.1}");
    for (at_ns, value) in &band.values {
        let height = (BAND - 6.0) * *value as f64 / most as f64;
        let _ = write!(path, "H{:.2}V{:.1}", scale.x(*at_ns), base - height);
    }
    let (texts, most_of_it) = (&scale.texts.lanes, band.most());
    let name = scale.texts.shown(&band.name);
    let (name, title) = (escape(&name), escape(&(texts.band)(&name, most_of_it)));
    let _ = writeln!(
        svg,
        "<text x=\"8\" y=\"{:.1}\">{name}</text><path class=\"band\" d=\"{path}V{base:.1}z\"><title>{title}</title></path>\
         <text class=\"faint\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
        top + BAND / 2.0 + 4.0,
        NAMES - 6.0,
        top + BAND / 2.0 + 4.0,
        (texts.most)(most_of_it)
    );
}

fn name(svg: &mut String, lane: &Lane, top: f64, texts: &Texts) {
    let name = texts.name(lane);
    let _ = writeln!(
        svg,
        "<text x=\"8\" y=\"{:.1}\">{}<title>{}</title></text>",
        top + 13.0,
        escape(fitted(&name, NAME_CHARACTERS).trim_end()),
        escape(&(texts.lanes.lane)(&name, lane.pid, lane.tid)),
    );
}

/// One bar; with locks in hand one for each, and below them one for what the lane waits for.
#[allow(clippy::cast_precision_loss, reason = "a number of bars")]
fn bars(svg: &mut String, lane: &Lane, span: &Span, top: f64, scale: &Scale<'_>, key: &Key<'_>) {
    let Span { state, what, holds, begin_ns, end_ns, ready_ns } = span;
    let less = match state {
        _ if !holds.is_empty() => 0.0,
        State::Holding => 0.0,
        State::Running => 2.0,
        State::Ready | State::Waiting | State::Blocked => 4.0,
        State::Sleeping | State::Done => 5.0,
    };
    let mut classes: Vec<String> =
        key.locks(span).into_iter().map(|lock| format!("lock{}", lock.min(LOCKS - 1))).collect();
    if classes.is_empty() || *state != State::Holding {
        classes.push(state.name().to_owned());
    }
    let (texts, what) = (scale.texts, scale.texts.shown(what));
    let hand = if holds.is_empty() { String::new() } else { (texts.lanes.in_hand)(holds) };
    let title = escape(&(texts.lanes.span)(
        &texts.name(lane),
        &(texts.lanes.doing)((texts.lanes.state)(*state), &what, &hand),
        &time(begin_ns - scale.begin_ns),
        &time(end_ns - begin_ns),
        &ready_ns.map_or_else(String::new, |ready_ns| (texts.lanes.ready)(&time(ready_ns))),
    ));
    let (x, width) = (scale.x(*begin_ns), scale.width(end_ns - begin_ns));
    let height = (BAR - 2.0 * less) / classes.len() as f64;
    // A gap, so that where one ends and another begins is seen.
    let width_drawn = if width > 4.0 { width - 1.0 } else { width };
    for (number, class) in classes.iter().enumerate() {
        let y = top + 2.0 + less + height * number as f64;
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x:.2}\" y=\"{y:.1}\" width=\"{width_drawn:.2}\" height=\"{height:.1}\">\
             <title>{title}</title></rect>"
        );
    }
    if let Some(ready_ns) = ready_ns.filter(|_| span.is_partly_ready()) {
        // As wide as it was long; where in the span it was, nobody knows.
        let width = scale.width(ready_ns);
        let _ = writeln!(
            svg,
            "<path class=\"partly\" d=\"M{x:.2} {:.1}h{width:.2}\"><title>{title}</title></path>",
            top + 2.0 + BAR / 2.0
        );
    }
    say(svg, &what, &free(lane, span, scale), top);
}

/// The widest part of a bar that no mark is in, from its left to its right end.
fn free(lane: &Lane, span: &Span, scale: &Scale<'_>) -> Range<f64> {
    let marks = lane.marks.iter().filter(|mark| (span.begin_ns..=span.end_ns).contains(&mark.at_ns));
    let ends = marks.map(|mark| scale.x(mark.at_ns)).chain([scale.x(span.end_ns)]);
    let mut left = scale.x(span.begin_ns);
    let parts = ends.map(|end| mem::replace(&mut left, end)..end);
    let widest = parts.max_by(|one, other| (one.end - one.start).total_cmp(&(other.end - other.start)));
    widest.unwrap_or_default()
}

/// Writes what a lane is busy with, if there is room.
#[allow(clippy::cast_precision_loss, reason = "a number of characters")]
fn say(svg: &mut String, what: &str, room: &Range<f64>, top: f64) {
    let width = width(what) as f64 * LANE_CHARACTER + 6.0;
    if what.is_empty() || width + 3.0 * SIGN_WIDTH > room.end - room.start {
        return;
    }
    let middle = f64::midpoint(room.start, room.end);
    let _ = writeln!(
        svg,
        "<rect class=\"ground\" x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{}\"/>\
         <text class=\"in\" text-anchor=\"middle\" x=\"{middle:.1}\" y=\"{:.1}\">{}</text>",
        middle - width / 2.0,
        top + 2.0,
        BAR,
        top + 12.0,
        escape(what)
    );
}

fn mark(svg: &mut String, lane: &Lane, mark: &Mark, value: &str, top: f64, scale: &Scale<'_>, key: &Key<'_>) {
    let (x, y) = (scale.x(mark.at_ns), top + LANE / 2.0);
    let (texts, at) = (scale.texts, time(mark.at_ns - scale.begin_ns));
    let (lane, label) = (texts.name(lane), texts.shown(&mark.label));
    let title = escape(&(texts.lanes.mark)(&lane, &label, &mark.value, &at));
    sign(svg, key.label(&mark.label), x, y, &title);
    if !value.is_empty() {
        let value = escape(value);
        let _ =
            writeln!(svg, "<text class=\"in\" x=\"{:.2}\" y=\"{:.1}\">{value}</text>", x + 7.0, top + 13.0);
    }
}

/// The sign of the label with this number, with a title that is escaped already.
fn sign(svg: &mut String, number: usize, x: f64, y: f64, title: &str) {
    let class = number.min(SIGNS - 1);
    let shape = match class {
        0 => format!("M{x:.2} {:.1}l6 7l-6 7l-6 -7z", y - 7.0),
        1 => format!("M{x:.2} {:.1}l6 11h-12z", y - 6.0),
        2 => format!("M{:.2} {y:.1}a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z", x - 5.0),
        3 => format!("M{:.2} {:.1}h10v10h-10z", x - 5.0, y - 5.0),
        4 => format!("M{x:.2} {:.1}l6 -11h-12z", y + 6.0),
        _ => format!("M{:.2} {:.1}h4v4h4v4h-4v4h-4v-4h-4v-4h4z", x - 2.0, y - 6.0),
    };
    let _ = writeln!(svg, "<path class=\"mark mark{class}\" d=\"{shape}\"><title>{title}</title></path>");
}

#[allow(clippy::cast_precision_loss, reason = "pixels")]
fn axis(svg: &mut String, trace: &Trace, scale: &Scale<'_>) {
    let bottom = bottom(trace);
    let step = round_step(scale.length_ns, 8);
    for at_ns in (0..=scale.length_ns / step).map(|tick| tick * step) {
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

/// What a sign of the legend stands for.
enum Entry<'a> {
    State(State),
    Lock(usize, &'a str),
    Mark(usize, &'a str),
    PartlyReady,
}

/// The entries of the legend of what occurs in this picture, each with its place from the left and
/// from the top, and the height of all.
#[allow(clippy::cast_precision_loss, reason = "a number of characters")]
fn entries<'a>(trace: &'a Trace, key: &Key<'a>, texts: &Texts) -> (Vec<(f64, f64, Entry<'a>)>, f64) {
    /// The width of what is not text in an entry.
    const SIGN: f64 = 34.0;
    let spans = || trace.lanes.iter().flat_map(|lane| &lane.spans);
    let occurs = |state: &State| {
        spans().any(|span| span.state == *state && (span.holds.is_empty() || *state != State::Holding))
    };
    let states = State::ALL.into_iter().filter(occurs).map(Entry::State);
    let partly = spans().any(Span::is_partly_ready).then_some(Entry::PartlyReady);
    let locks = key.locks.iter().enumerate().map(|(number, name)| Entry::Lock(number, name));
    let locks = locks.filter(|entry| match entry {
        Entry::Lock(_, name) => spans().any(|span| span.holds.iter().any(|its| its == name)),
        _ => false,
    });
    let marked = |label: &str| trace.lanes.iter().any(|lane| lane.has(label));
    let marks = key.labels.iter().enumerate().filter(|(_, label)| marked(label));
    let marks = marks.map(|(number, label)| Entry::Mark(number, label));
    let (mut x, mut y) = (NAMES, 0.0);
    let mut placed = Vec::new();
    for entry in states.chain(locks).chain(marks).chain(partly) {
        let columns = SIGN + width(&entry.words(key, texts)) as f64 * LEGEND_CHARACTER;
        if x + columns > WIDTH && x > NAMES {
            (x, y) = (NAMES, y + LEGEND);
        }
        placed.push((x, y, entry));
        x += columns;
    }
    (placed, y + LEGEND)
}

impl Entry<'_> {
    fn words(&self, key: &Key<'_>, texts: &Texts) -> String {
        match self {
            Self::State(state) => key.state(*state, texts).to_owned(),
            Self::PartlyReady => texts.lanes.partly_ready.to_owned(),
            Self::Lock(_, name) => (texts.lanes.in_hand)(&[(*name).to_owned().into()]),
            Self::Mark(_, label) => texts.shown(label).into_owned(),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a number of lanes")]
fn legend(svg: &mut String, trace: &Trace, key: &Key<'_>, texts: &Texts) {
    let top = bottom(trace) - 2.0 + AXIS + 14.0;
    for (x, y, entry) in entries(trace, key, texts).0 {
        let (y, words) = (top + y, escape(&entry.words(key, texts)));
        let class = match entry {
            Entry::State(state) => state.name().to_owned(),
            Entry::Lock(lock, _) => format!("lock{}", lock.min(LOCKS - 1)),
            Entry::PartlyReady => "running".to_owned(),
            Entry::Mark(number, _) => {
                sign(svg, number, x + 6.0, y - 5.0, &words);
                String::new()
            }
        };
        if !class.is_empty() {
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"12\" height=\"10\"/>",
                y - 10.0
            );
        }
        if matches!(entry, Entry::PartlyReady) {
            let _ = writeln!(svg, "<path class=\"partly\" d=\"M{x:.2} {:.1}h12\"/>", y - 5.0);
        }
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{y:.1}\">{words}</text>", x + 17.0);
    }
}
