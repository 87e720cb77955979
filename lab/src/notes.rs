//! What one must know beside the figures, and why one should not believe them.

use std::mem;

use crate::contender::Contender;
use crate::options::CompareOptions;
use crate::summary::Entry;

/// Lines below the table.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// What a reader must know to compare the rows.
    pub notes: Vec<String>,
    /// Why figures may be wrong; each names its model.
    pub doubts: Vec<String>,
    /// What failed; each names its model.
    pub failures: Vec<String>,
}

impl Notes {
    /// What there is to say about the entries.
    pub fn new(options: &CompareOptions, entries: &[Entry]) -> Self {
        Self {
            notes: entries.iter().filter_map(|entry| fewer_connections(&entry.contender, options)).collect(),
            doubts: entries.iter().flat_map(doubts).collect(),
            failures: entries.iter().filter_map(failure).collect(),
        }
    }
}

fn fewer_connections(contender: &Contender, options: &CompareOptions) -> Option<String> {
    let name = &contender.name;
    (contender.connections < options.connections).then(|| {
        format!(
            "{name}: measured with {} connection instead of {}, because it holds one conversation at a time",
            contender.connections, options.connections
        )
    })
}

/// Each kind of doubt once, as the first round that had it puts it, and in how many rounds it arose.
fn doubts(entry: &Entry) -> Vec<String> {
    let mut kinds = Vec::new();
    for doubt in entry.rounds.iter().flat_map(|round| &round.doubts) {
        match kinds.iter_mut().find(|(first, _)| mem::discriminant(*first) == mem::discriminant(doubt)) {
            Some((_, count)) => *count += 1,
            None => kinds.push((doubt, 1)),
        }
    }
    let rounds = entry.rounds.len();
    let line = |(doubt, count)| match (count, rounds) {
        (count, rounds) if count == rounds => format!("{}: {doubt}", entry.contender.name),
        _ => format!("{}: {doubt} (in {count} of {rounds} rounds)", entry.contender.name),
    };
    kinds.into_iter().map(line).collect()
}

fn failure(entry: &Entry) -> Option<String> {
    entry
        .failure
        .as_ref()
        .map(|failure| format!("{}: round {}: {}", entry.contender.name, failure.round, failure.why))
}
