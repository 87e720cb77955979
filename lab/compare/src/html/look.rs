//! How a server looks in every chart: the same colour, marker and line everywhere. Colour alone
//! tells nothing: the marker does too.

use std::fmt::Write as _;

use harness::models::Model;

/// A look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// A colour of [`page`](harness::page), by its name in CSS.
    pub(super) colour: &'static str,
    pub(super) marker: Marker,
    /// Whether the line is whole (ours) or broken (all others).
    pub(super) dashed: bool,
}

/// The shape at a point of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    Circle,
    Square,
    Diamond,
    Up,
    Down,
    Cross,
}

use Marker::{Circle, Cross, Diamond, Down, Square, Up};

/// Ours, in the order of [`Model::all`]; those of Python's have the colour and the shape of the
/// model that they correspond to.
const OURS: [(&str, Marker); 12] = [
    ("ink", Circle),
    ("red", Square),
    ("orange", Down),
    ("blue", Diamond),
    ("sky", Up),
    ("green", Circle),
    ("pink", Square),
    ("pink", Cross),
    ("grey", Diamond),
    ("ink", Cross),
    ("red", Up),
    ("blue", Cross),
];

const PEERS: [(&str, &str, Marker); 4] = [
    ("py-sequential", "ink", Circle),
    ("py-multiprocess", "red", Square),
    ("py-multithread", "blue", Diamond),
    ("py-coroutine", "green", Circle),
];

/// For strangers, in turn.
const OTHERS: [(&str, Marker); 6] =
    [("pink", Up), ("grey", Square), ("ink", Down), ("orange", Cross), ("sky", Circle), ("pink", Diamond)];

/// The looks of all servers of a document, in the order of their ids.
pub(super) fn looks(ids: &[&str]) -> Vec<Look> {
    let mut strangers = 0;
    let ours = |id: &str| Model::all().position(|model| model.name() == id);
    let peer =
        |id: &str| PEERS.iter().find(|(name, ..)| *name == id).map(|(_, colour, marker)| (*colour, *marker));
    let look = |id: &&str| {
        if let Some((colour, marker)) = ours(id).and_then(|index| OURS.get(index).copied()) {
            return Look { colour, marker, dashed: false };
        }
        let (colour, marker) = peer(id).unwrap_or_else(|| {
            strangers += 1;
            OTHERS[(strangers - 1) % OTHERS.len()]
        });
        Look { colour, marker, dashed: true }
    };
    ids.iter().map(look).collect()
}

impl Marker {
    /// Its outline around a point, as an SVG path.
    pub(super) fn path(self, x: f64, y: f64) -> String {
        let mut path = String::new();
        let _ = match self {
            Circle => write!(path, "M{:.1} {y:.1}a4 4 0 1 0 8 0a4 4 0 1 0-8 0z", x - 4.0),
            Square => write!(path, "M{:.1} {:.1}h7v7h-7z", x - 3.5, y - 3.5),
            Diamond => write!(path, "M{x:.1} {:.1}l5 5l-5 5l-5-5z", y - 5.0),
            Up => write!(path, "M{x:.1} {:.1}l4.6 8h-9.2z", y - 5.0),
            Down => write!(path, "M{x:.1} {:.1}l4.6-8h-9.2z", y + 5.0),
            Cross => write!(path, "M{:.1} {:.1}l8 8m0-8l-8 8", x - 4.0, y - 4.0),
        };
        path
    }
}

/// The style sheet that gives `.s0`, `.s1`, ... their looks, and lets the legend hide them.
pub(super) fn css(looks: &[Look]) -> String {
    let mut css = String::new();
    for (index, look) in looks.iter().enumerate() {
        let _ = write!(css, ".s{index}{{--c:var(--{})}}", look.colour);
        if look.dashed {
            // Hollow markers, and a broken line.
            let _ = write!(css, ".s{index}.line{{stroke-dasharray:6 4}}.s{index} .mark{{fill:var(--panel)}}");
        }
        let _ = write!(css, "body:has(#t{index}:not(:checked)) .chart .s{index}{{display:none}}");
    }
    css
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_servers_look_alike_and_strangers_do_not_change_ours() {
        let ids: Vec<&str> = Model::all().map(Model::name).chain(PEERS.iter().map(|(id, ..)| *id)).collect();
        let looks = looks(&[&ids[..], &["a", "b", "c"]].concat());
        for (index, look) in looks.iter().enumerate() {
            assert!(!looks[..index].contains(look), "{index}: {look:?}");
        }
        assert_eq!(super::looks(&["a", "mio"])[1], super::looks(&["mio"])[0]);
    }
}
