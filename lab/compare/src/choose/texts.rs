//! All that `lab choose` says, in each language: `en` and `zh` are two values of [`Texts`], so the
//! compiler holds both to the same texts with the same arguments.

mod en;
mod zh;

use std::time::Duration;

use harness::lang::Lang;

use super::Advice;
use super::rule::{Change, Needs, Out};
use crate::interval::Interval;
use crate::notes::Disturbance;

/// Everything, in one language.
#[derive(Debug)]
pub struct Texts {
    pub(super) ask: Ask,
    pub(super) titles: Titles,
    pub(super) page: Page,
    /// The columns of the table.
    pub(super) header: [&'static str; 6],
    /// A title with its colon.
    pub(super) title: fn(&str) -> String,
    /// A name, and what is said of it.
    pub(super) titled: fn(&str, &str) -> String,
    pub(super) only: &'static str,
    pub(super) simplest: fn(lines: Option<usize>) -> String,
    pub(super) most: &'static str,
    pub(super) can_do: fn(Interval) -> String,
    /// Follows the reason.
    pub(super) besides: fn(&str) -> String,
    /// What changes the choice, given how many clients there are.
    pub(super) flip: fn(Change, clients: u64) -> String,
    /// Another model, and what it takes.
    pub(super) flips: fn(&str, &str) -> String,
    pub(super) sure: fn(rounds: usize) -> String,
    /// Rounds, the models that cannot be told, and whether the choice is one of them.
    pub(super) unsure: fn(rounds: usize, models: &[&str], bears: bool) -> String,
    pub(super) out: fn(&Out) -> String,
    /// Why the figures may be wrong.
    pub(crate) doubt: fn(&Disturbance) -> String,
    pub(super) needs: fn(&Needs) -> String,
    pub(super) measured: fn(&Advice) -> String,
}

/// What it asks at a terminal, and what it takes as an answer.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) clients: &'static str,
    pub(super) silent: &'static str,
    pub(super) does: &'static str,
    pub(super) confined: &'static str,
    pub(super) number: fn(from: u64, to: u64) -> String,
    pub(super) doing: &'static str,
    pub(super) yes: &'static str,
    pub(super) again: fn(takes: &str) -> String,
}

/// The titles of its lines.
#[derive(Debug)]
pub(super) struct Titles {
    pub(super) asked: &'static str,
    pub(super) choose: &'static str,
    pub(super) because: &'static str,
    pub(super) runner_up: &'static str,
    pub(super) flips: &'static str,
    pub(super) sure: &'static str,
    pub(super) out: &'static str,
    pub(super) left_out: &'static str,
    pub(super) doubt: &'static str,
    pub(super) measured: &'static str,
    pub(super) again: &'static str,
}

/// What only the page says.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) title: &'static str,
    pub(super) able: &'static str,
    pub(super) none: &'static str,
    pub(super) out: &'static str,
    pub(super) left_out: &'static str,
    pub(super) doubts: &'static str,
    pub(super) measured: &'static str,
    pub(super) table: &'static str,
    pub(super) again: &'static str,
    pub(super) sentence: fn(&str) -> String,
}

impl Texts {
    /// Those in this language.
    pub fn of(lang: Lang) -> &'static Self {
        match lang {
            Lang::En => &en::TEXTS,
            Lang::Zh => &zh::TEXTS,
        }
    }
}

fn time(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}
