//! Where a lane that was recorded is in a small program.
//!
//! A recording knows states and marks, no lines. What both have in common stands beside the program
//! in [`super::programs`]: after which fact a lane is at which lines. Where a recording does not
//! tell two lines apart, the lane is at both.

use serde::Serialize;

use crate::trace::{Lane, State};

/// A variant of a lesson that does what a program says.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Recorded {
    /// The variant.
    pub variant: &'static str,
    /// Whether it is the right program that it does.
    pub is_right: bool,
    /// What its lanes do.
    pub codes: &'static [Code],
}

/// What some lanes do.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Code {
    /// What the names of these lanes begin with.
    pub lanes: &'static str,
    /// The threads of the program whose steps they take, those of one after those of the other.
    /// Lines are counted through.
    pub threads: &'static [usize],
    /// The first that fits is followed; if none does, a lane stays where it is.
    pub rules: &'static [Rule],
}

/// Lines, from the first to before another; none if they are the same.
pub type Lines = (usize, usize);

/// When a lane moves, and where to.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Rule {
    /// Only if the first of the lines where it is lies here.
    pub from: Lines,
    /// What was recorded.
    pub fact: Fact,
    /// What it is about to do then, or is doing. After the last line it has ended.
    pub to: Lines,
}

/// What was recorded.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// A mark with this label.
    Mark(&'static str),
    /// The beginning of a state, with this if it is given.
    Is(State, Option<&'static str>),
}

impl Code {
    /// Where a lane is at an instant; none before it has begun. It begins at the first line.
    pub fn lines(&self, lane: &Lane, at_ns: u64) -> Option<Lines> {
        let begin_ns = lane.spans.first()?.begin_ns;
        let spans = lane.spans.iter().map(|span| (span.begin_ns, Some(span), None));
        let marks = lane.marks.iter().map(|mark| (mark.at_ns, None, Some(mark)));
        let mut facts: Vec<_> = spans.chain(marks).filter(|(its_ns, ..)| *its_ns <= at_ns).collect();
        facts.sort_by_key(|(its_ns, ..)| *its_ns);
        let is = |fact: Fact, span: Option<&_>, mark: Option<&_>| match (fact, span, mark) {
            (Fact::Mark(label), _, Some(mark)) => is_mark(label, mark),
            (Fact::Is(state, what), Some(span), _) => is_span(state, what, span),
            _ => false,
        };
        let go_on = |(first, end): Lines, (_, span, mark): &(_, _, _)| {
            let fits =
                |rule: &&Rule| (rule.from.0..rule.from.1).contains(&first) && is(rule.fact, *span, *mark);
            self.rules.iter().find(fits).map_or((first, end), |rule| rule.to)
        };
        (begin_ns <= at_ns).then(|| facts.iter().fold((0, 1), go_on))
    }
}

fn is_mark(label: &str, mark: &crate::trace::Mark) -> bool {
    mark.label == label
}

fn is_span(state: State, what: Option<&str>, span: &crate::trace::Span) -> bool {
    span.state == state && what.is_none_or(|what| span.what == what)
}
