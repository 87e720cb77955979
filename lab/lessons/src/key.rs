//! What all pictures of a lesson have in common, so that they can be compared: one time axis, one
//! sign for each mark, one colour for each lock.

use super::texts::Texts;
use super::trace::{Band, Lane, Span, State, Trace};

/// The common measure and legend of several pictures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Key<'a> {
    /// The length of the time axis, in nanoseconds: that of the longest picture; at least 1.
    pub length_ns: u64,
    /// The labels of all marks, in the order of their first appearance.
    pub labels: Vec<&'a str>,
    /// The most that any band shows; at least 1.
    pub most: u64,
    /// Whether a lane runs anywhere of which it is not known whether it was only ready.
    pub may_be_ready: bool,
    /// The names of all locks that are told apart, in the order of the alphabet.
    pub locks: Vec<&'a str>,
}

impl<'a> Key<'a> {
    /// That of these pictures.
    pub fn of(traces: impl IntoIterator<Item = &'a Trace>) -> Self {
        let mut key = Self { length_ns: 1, most: 1, ..Self::default() };
        for trace in traces {
            key.length_ns = key.length_ns.max(trace.length_ns());
            key.most = trace.bands.iter().map(Band::most).fold(key.most, u64::max);
            let spans = || trace.lanes.iter().flat_map(|lane| &lane.spans);
            key.may_be_ready |= spans().any(Span::may_be_ready);
            key.add_labels(&trace.lanes);
            key.locks.extend(spans().flat_map(|span| &span.holds).map(|lock| &**lock));
        }
        key.locks.sort_unstable();
        key.locks.dedup();
        key
    }

    fn add_labels(&mut self, lanes: &'a [Lane]) {
        let mut marks: Vec<_> = lanes.iter().flat_map(|lane| &lane.marks).collect();
        marks.sort_by_key(|mark| mark.at_ns);
        for mark in marks {
            if !self.labels.contains(&&*mark.label) {
                self.labels.push(&mark.label);
            }
        }
    }

    /// What the legend calls a state.
    pub fn state(&self, state: State, texts: &Texts) -> &'static str {
        match state {
            State::Running if self.may_be_ready => texts.lanes.running_or_ready,
            state => (texts.lanes.state)(state),
        }
    }

    /// The number of a mark's label.
    pub fn label(&self, label: &str) -> usize {
        self.labels.iter().position(|its| *its == label).unwrap_or(0)
    }

    /// The numbers of the locks that a lane has in hand.
    pub fn locks(&self, span: &Span) -> Vec<usize> {
        span.holds.iter().filter_map(|lock| self.locks.iter().position(|its| its == lock)).collect()
    }
}
