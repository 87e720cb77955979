//! The wait-for graph of a deadlock as text and as SVG: the cycle, and who waits behind it.

use std::f64::consts::TAU;
use std::fmt::Write as _;

use harness::page::escape;
use harness::text::paragraph;

use crate::texts::Texts;
use crate::verdict::Drawing;
use crate::watched::WaitFor;

/// Columns of the text.
const COLUMNS: usize = 78;

/// Measures of the SVG, in pixels: the whole, the circle's middle and radius, half a node's width
/// and height.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 380.0;
const MIDDLE: (f64, f64) = (480.0, 190.0);
const RADIUS: f64 = 140.0;
const NODE: (f64, f64) = (48.0, 18.0);

/// Where those who wait behind the cycle stand, and how many of them are drawn.
const BEHIND: f64 = 70.0;
const MOST_BEHIND: usize = 9;

/// Those who wait have the colour of waiting, what is held that of holding, as in the lanes.
const STYLE: &str = "\
.g text{font:13px system-ui,sans-serif;fill:var(--ink);text-anchor:middle}.g .faint{font-size:11px;fill:var(--faint)}\
.g line{stroke-width:2}.g .wait{stroke:var(--orange)}.g .hold{stroke:var(--green)}.g line.behind{stroke-dasharray:4 4}\
.g path.wait{fill:var(--orange)}.g path.hold{fill:var(--green)}\
.g .node{fill:var(--paper);stroke:var(--ink)}";

/// Draws who waits for whom: `cycle` is what [`WaitFor::cycle`] found in `graph`, and `locks` are
/// the names of the locks. Nothing if somebody in the cycle does not wait.
pub(super) fn draw(graph: &WaitFor, cycle: &[usize], locks: &[&str], texts: &Texts) -> Option<Drawing> {
    let cycle: Vec<(usize, usize)> =
        cycle.iter().map(|who| Some((*who, graph.wanted_by(*who)?))).collect::<Option<_>>()?;
    Some(Drawing {
        title: texts.cycle.title.to_owned(),
        text: text(graph, &cycle, locks, texts),
        svg: Some((svg(graph, &cycle, locks, texts), HEIGHT)),
    })
}

fn text(graph: &WaitFor, cycle: &[(usize, usize)], locks: &[&str], texts: &Texts) -> String {
    let (mut text, said) = (String::new(), &texts.cycle);
    for (place, (who, lock)) in cycle.iter().enumerate() {
        let holds: Vec<_> = graph.held_by(*who).map(|lock| locks[lock]).collect();
        let (holder, wants) = ((said.holder)(&thread(*who, texts), &holds), locks[*lock]);
        let (corner, side) = if place == 0 { ("+-->", "|   ") } else { ("|   ", "|   ") };
        let _ = writeln!(text, "  {corner} {holder}");
        let _ = writeln!(text, "  {side}   | {}\n  {side}   v\n  {side} {wants}", said.waits_for);
        let _ = writeln!(text, "  {side}   | {}", said.held_by);
        let last = place + 1 == cycle.len();
        let _ = writeln!(text, "  {}", if last { "+-------+" } else { "|      v" });
    }
    for (number, lock) in locks.iter().enumerate() {
        let behind: Vec<_> = behind(graph, cycle, number).map(|who| (who + 1).to_string()).collect();
        if !behind.is_empty() {
            let title = format!("  {}", (said.behind)(lock));
            paragraph(&mut text, &title, &behind.join(said.comma), COLUMNS);
        }
    }
    text
}

#[allow(clippy::cast_precision_loss, reason = "a number of nodes")]
fn svg(graph: &WaitFor, cycle: &[(usize, usize)], locks: &[&str], texts: &Texts) -> String {
    let said = &texts.cycle;
    let place = |node: usize| {
        // From the left, as a clock goes.
        let angle = TAU * (0.5 + node as f64 / (2 * cycle.len()) as f64);
        (MIDDLE.0 + RADIUS * angle.cos(), MIDDLE.1 + RADIUS * angle.sin())
    };
    let mut svg = format!(
        "<svg class=\"g\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\" role=\"img\" aria-label=\"{}\">\n<style>{STYLE}</style>\n",
        said.graph
    );
    for (number, (who, lock)) in cycle.iter().enumerate() {
        let (thread, lock_at, next) = (place(2 * number), place(2 * number + 1), place(2 * number + 2));
        arrow(&mut svg, thread, lock_at, "wait", said.waits_for);
        arrow(&mut svg, lock_at, next, "hold", said.held_by);
        let behind: Vec<_> = behind(graph, cycle, *lock).collect();
        let shown = behind.iter().take(MOST_BEHIND).enumerate();
        for (row, waits) in shown {
            let at = (BEHIND, 25.0 + 40.0 * row as f64);
            arrow(&mut svg, at, lock_at, "wait behind", "");
            node(&mut svg, at, &self::thread(*waits, texts), 18.0);
        }
        if behind.len() > MOST_BEHIND {
            let more = (said.more)(behind.len() - MOST_BEHIND);
            let _ =
                writeln!(svg, "<text class=\"faint\" x=\"{BEHIND}\" y=\"{}\">{more}</text>", HEIGHT - 5.0);
        }
        node(&mut svg, thread, &self::thread(*who, texts), 18.0);
        node(&mut svg, lock_at, locks[*lock], 0.0);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Those who wait for `lock` and are not in the cycle.
fn behind(graph: &WaitFor, cycle: &[(usize, usize)], lock: usize) -> impl Iterator<Item = usize> {
    let waits = graph.waits.iter().copied().filter(move |(_, its)| *its == lock);
    waits.map(|(who, _)| who).filter(|who| cycle.iter().all(|(its, _)| its != who))
}

fn arrow(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str, word: &str) {
    // It ends at the node's edge.
    let (dx, dy) = (x2 - x1, y2 - y1);
    let inside = ((NODE.0 + 2.0) / dx.abs()).min((NODE.1 + 2.0) / dy.abs());
    let (from, to) = ((x1 + dx * inside, y1 + dy * inside), (x2 - dx * inside, y2 - dy * inside));
    let _ = writeln!(
        svg,
        "<line class=\"{class}\" x1=\"{:.0}\" y1=\"{:.0}\" x2=\"{:.0}\" y2=\"{:.0}\"/>\
         <path class=\"{class}\" d=\"M0 0L-10 5L-10 -5z\" transform=\"translate({:.0} {:.0}) rotate({:.0})\"/>",
        from.0,
        from.1,
        to.0,
        to.1,
        to.0,
        to.1,
        dy.atan2(dx).to_degrees()
    );
    if !word.is_empty() {
        // Inside, beside the arrow's middle.
        let (x, y) = ((x1 + x2) / 2.0, (y1 + y2) / 2.0);
        let away = -36.0 / ((x - MIDDLE.0).hypot(y - MIDDLE.1)).max(1.0);
        let (x, y) = (x + (x - MIDDLE.0) * away, y + (y - MIDDLE.1) * away);
        let _ = writeln!(svg, "<text class=\"faint\" x=\"{x:.0}\" y=\"{y:.0}\">{word}</text>");
    }
}

fn node(svg: &mut String, (x, y): (f64, f64), name: &str, round: f64) {
    let _ = writeln!(
        svg,
        "<rect class=\"node\" x=\"{:.0}\" y=\"{:.0}\" width=\"{}\" height=\"{}\" rx=\"{round}\"/>\
         <text x=\"{x:.0}\" y=\"{:.0}\">{}</text>",
        x - NODE.0,
        y - NODE.1,
        2.0 * NODE.0,
        2.0 * NODE.1,
        y + 5.0,
        escape(name)
    );
}

fn thread(who: usize, texts: &Texts) -> String {
    texts.shown(&format!("thread {}", who + 1)).into_owned()
}

#[cfg(test)]
mod tests {
    use harness::lang::Lang;
    use harness::text::width;

    use super::*;

    const LOCKS: [&str; 2] = ["mutexA", "mutexB"];

    #[test]
    fn the_cycle_and_those_behind_it_are_named_and_the_text_fits() {
        let mut waits: Vec<_> = (2..60).map(|who| (who, 0)).collect();
        waits.extend([(0, 0), (1, 1)]);
        let graph = WaitFor { owners: vec![Some(1), Some(0)], waits, taken: 3 };
        let drawing = draw(&graph, &graph.cycle().unwrap(), &LOCKS, Texts::of(Lang::En)).unwrap();
        for named in ["thread 1, which holds mutexB", "thread 2, which holds mutexA", "mutexA: threads 3, 4,"]
        {
            assert!(drawing.text.contains(named), "{}", drawing.text);
        }
        assert!(
            drawing.text.is_ascii() && drawing.text.lines().all(|line| line.len() <= 80),
            "{}",
            drawing.text
        );
        let chinese = draw(&graph, &graph.cycle().unwrap(), &LOCKS, Texts::of(Lang::Zh)).unwrap();
        assert!(chinese.text.contains("线程 1，手里拿着 mutexB"), "{}", chinese.text);
        assert!(chinese.text.lines().all(|line| width(line) <= 80), "{}", chinese.text);
        let (svg, _) = drawing.svg.unwrap();
        assert_eq!(svg.matches("class=\"node\"").count(), 4 + MOST_BEHIND);
        assert!(svg.contains("and 49 more"), "{svg}");
    }

    #[test]
    fn who_does_not_wait_is_in_no_cycle() {
        let graph = WaitFor { owners: vec![Some(1)], waits: vec![], taken: 1 };
        assert!(draw(&graph, &[1], &["mutexA"], Texts::of(Lang::En)).is_none());
    }
}
