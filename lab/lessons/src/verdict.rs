//! What an experiment returns: what happened in each variant, and what to think of it.

use std::borrow::Cow;

use harness::lang::{Both, Lang};
use harness::units;
use serde::Serialize;

use super::texts::{Texts, say};
use super::trace::Trace;

/// What an experiment has observed.
#[derive(Debug)]
pub struct Observation {
    /// In the order of the pictures.
    pub variants: Vec<Variant>,
    /// Pictures of another kind, shown after those of the variants; usually none.
    pub drawings: Both<Vec<Drawing>>,
    /// What was expected of this run, with what came of it.
    pub claims: Vec<Claim>,
}

/// One way to do it, wrong or right, and what happened.
#[derive(Debug)]
pub struct Variant {
    /// What `--only` takes: [`super::experiments::name`].
    pub name: String,
    /// Half a line on what is done here.
    pub about: Both<String>,
    /// Who did what when.
    pub trace: Trace,
    /// A row of the table. Figures of the same name, in several variants, are a column.
    pub figures: Vec<(&'static str, Figure)>,
}

/// Something measured. Shown in lower case, and in JSON by its name with `_` for spaces and the
/// unit last.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Figure {
    /// A number of things.
    Count(u64),
    /// Nanoseconds.
    Time(u64),
    /// How many times as much.
    Times(f64),
    /// A word.
    Word(String),
}

impl Figure {
    /// A number of things.
    pub fn count(things: usize) -> Self {
        Self::Count(things as u64)
    }

    /// What the end of its name is in JSON.
    pub fn unit(&self) -> &'static str {
        match self {
            Self::Time(_) => "_ns",
            Self::Count(_) | Self::Times(_) | Self::Word(_) => "",
        }
    }
}

impl std::fmt::Display for Figure {
    #[allow(clippy::cast_precision_loss, reason = "shown with three digits")]
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => f.pad(&units::grouped(*count)),
            Self::Time(nanoseconds) => f.pad(&time(*nanoseconds)),
            Self::Times(times) => f.pad(&format!("{times:.2} x")),
            Self::Word(word) => f.pad(word),
        }
    }
}

/// Nanoseconds as people read them.
#[allow(clippy::cast_precision_loss, reason = "shown with three digits")]
pub fn time(nanoseconds: u64) -> String {
    units::time(nanoseconds as f64)
}

/// A picture that is not lanes over time.
#[derive(Debug, Clone)]
pub struct Drawing {
    /// What it shows.
    pub title: String,
    /// For the terminal, in lines, at most 80 columns wide, in ASCII.
    pub text: String,
    /// For the page, a whole `<svg>` with colours of [`harness::page`], and its height in pixels;
    /// without one the text is shown there too.
    pub svg: Option<(String, f64)>,
}

/// One thing that was expected, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// What there is to say.
    #[serde(flatten)]
    pub words: Both<Words>,
    /// Whether what happened is what was expected.
    pub holds: bool,
}

/// What a claim says, made of the figures of this run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Words {
    /// What was expected: a phrase without a capital or a full stop.
    pub expected: String,
    /// What happened: a phrase, too.
    pub observed: String,
    /// Why it happened, a whole sentence. Shown only if it is what was expected: of anything else
    /// the reason is not known.
    pub why: String,
}

impl Claim {
    /// Whether what was observed is what was expected, and how that is said in each language.
    pub fn new(holds: bool, words: impl Fn(&'static Texts) -> Words) -> Self {
        Self { words: say(words), holds }
    }
}

impl Words {
    /// What was expected, what happened, and why.
    pub fn new(expected: impl Into<String>, observed: impl Into<String>, why: impl Into<String>) -> Self {
        Self { expected: expected.into(), observed: observed.into(), why: why.into() }
    }
}

/// All claims of an experiment together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether every claim holds.
    pub as_expected: bool,
    /// A sentence.
    pub expected: String,
    /// A sentence.
    pub observed: String,
    /// One sentence or more.
    pub why: String,
}

impl Verdict {
    /// What the claims say together.
    pub fn of(claims: &[Claim], lang: Lang) -> Self {
        let frame = &Texts::of(lang).frame;
        let words = || claims.iter().map(|claim| claim.words.get(lang));
        let (expected, observed): (Vec<_>, Vec<_>) =
            words().map(|words| (words.expected.as_str(), words.observed.as_str())).unzip();
        let mut reasons: Vec<String> = Vec::new();
        for (claim, words) in claims.iter().zip(words()) {
            let reason = if claim.holds { words.why.clone() } else { (frame.no_reason)(&words.expected) };
            // Two variants may have one reason.
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        Self {
            as_expected: claims.iter().all(|claim| claim.holds),
            expected: (frame.sentence)(&expected),
            observed: (frame.sentence)(&observed),
            why: (frame.reasons)(&reasons),
        }
    }
}

/// A row for each variant and a column for each name of a figure, in the order of their first
/// appearance.
pub fn rows(variants: &[Variant], texts: &Texts) -> (Vec<Cow<'static, str>>, Vec<Vec<String>>) {
    let mut names = Vec::new();
    for (name, _) in variants.iter().flat_map(|variant| &variant.figures) {
        if !names.contains(name) {
            names.push(*name);
        }
    }
    let cell = |variant: &Variant, name: &str| {
        let found = variant.figures.iter().find(|(its, _)| *its == name);
        found.map_or_else(|| "-".to_owned(), |(_, figure)| texts.shown(&figure.to_string()).into_owned())
    };
    let row = |variant| names.iter().map(|name| cell(variant, name)).collect();
    let rows = variants.iter().map(row).collect();
    (names.into_iter().map(|name| texts.shown(name)).collect(), rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_fails_loses_its_reason_and_the_verdict() {
        let claims = [
            Claim::new(true, |_| Words::new("one", "one", "Because.")),
            Claim::new(false, |_| Words::new("two", "three", "A lie.")),
        ];
        let verdict = Verdict::of(&claims, Lang::En);
        assert!(!verdict.as_expected);
        assert_eq!((verdict.expected.as_str(), verdict.observed.as_str()), ("one; two.", "one; three."));
        assert!(verdict.why.starts_with("Because.") && !verdict.why.contains("A lie."), "{}", verdict.why);
        assert!(Verdict::of(&claims[..1], Lang::En).as_expected);
        assert_eq!(Verdict::of(&claims, Lang::Zh).observed, "one；three。");
    }

    #[test]
    fn figures_are_shown_with_their_units() {
        assert_eq!(Figure::Time(42_100_000).to_string(), "42.1 ms");
        assert_eq!(Figure::count(1234).to_string(), "1,234");
        assert_eq!(serde_json::to_string(&Figure::Time(5)).unwrap(), "5");
    }
}
