//! All that a lesson says to people, in each language: `en` and `zh` are two values of [`Texts`],
//! so the compiler holds both to the same texts with the same arguments.
//!
//! What an experiment records is data and English: marks, what a lane is busy with, names of lanes,
//! of figures and of bands. [`Texts::shown`] says it in the reader's language where it is shown.

mod en;
mod zh;

use std::borrow::Cow;

use harness::lang::{Both, Lang};

use super::experiments::{
    coroutines, counter, deadlock, event, gil, levels, pool, queue, semaphore, servers, spawn, starve,
    submit, threads, tickets,
};
use super::trace::{Kind, Lane, State};
use super::verdict::Words;

/// Everything, in one language.
#[derive(Debug)]
pub struct Texts {
    pub(crate) frame: Frame,
    pub(crate) lanes: Lanes,
    pub(crate) page: Page,
    /// A recorded word, with the kind of lane where it is a lane's name; `None` if it is shown as
    /// it is.
    pub(crate) word: fn(&str, Option<Kind>) -> Option<&'static str>,

    pub(crate) servers: LessonTexts<servers::Serves, servers::Fact>,
    pub(crate) tickets: LessonTexts<tickets::Way, tickets::Fact>,
    pub(crate) spawn: LessonTexts<spawn::Way, spawn::Fact>,
    pub(crate) threads: LessonTexts<threads::Way, threads::Fact>,
    pub(crate) alive: Alive,
    pub(crate) counter: LessonTexts<counter::Way, counter::Fact>,
    pub(crate) gil: LessonTexts<gil::Way, gil::Fact>,
    pub(crate) gil_table: GilTable,
    pub(crate) deadlock: LessonTexts<deadlock::Way, deadlock::Fact>,
    pub(crate) cycle: Cycle,
    pub(crate) semaphore: LessonTexts<(semaphore::Way, usize), semaphore::Fact>,
    pub(crate) event: LessonTexts<event::Way, event::Fact>,
    pub(crate) pool: LessonTexts<pool::Way, pool::Fact>,
    pub(crate) submit: LessonTexts<submit::Way, submit::Fact>,
    pub(crate) queue: LessonTexts<(queue::Way, usize), queue::Fact>,
    pub(crate) coroutines: LessonTexts<coroutines::Way, coroutines::Fact>,
    pub(crate) starve: LessonTexts<starve::Way, starve::Fact>,
    pub(crate) waits: Waits,
    pub(crate) levels: LessonTexts<levels::Way, levels::Fact>,
}

/// What one lesson says: its question, half a line about each variant, and what came of each claim.
#[derive(Debug)]
pub(crate) struct LessonTexts<A, F> {
    pub(crate) question: &'static str,
    pub(crate) about: fn(A) -> String,
    pub(crate) claim: fn(&F) -> Words,
}

/// What stands around every lesson.
#[derive(Debug)]
pub(crate) struct Frame {
    /// What comes after a title, such as `why` or the name of a variant: with its colon.
    pub(crate) title: fn(&str) -> String,
    /// The title, and what follows it in the same line.
    pub(crate) titled: fn(&str, &str) -> String,
    /// What was expected, and what came of it.
    pub(crate) claim: fn(expected: &str, observed: &str) -> String,
    pub(crate) verdict: &'static str,
    pub(crate) no_claims: &'static str,
    pub(crate) as_expected: &'static str,
    pub(crate) not_as_expected: &'static str,
    pub(crate) variant: &'static str,
    /// A figure that stands in a line, and what is between two.
    pub(crate) figure: fn(name: &str, value: &str) -> String,
    pub(crate) comma: &'static str,
    pub(crate) why: &'static str,
    /// Phrases as one sentence, and sentences one after the other.
    pub(crate) sentence: fn(&[&str]) -> String,
    pub(crate) reasons: fn(&[String]) -> String,
    /// What stands for the reason where this was expected and did not come.
    pub(crate) no_reason: fn(expected: &str) -> String,
}

/// What stands in and around lanes, on the terminal and in SVG.
#[derive(Debug)]
pub(crate) struct Lanes {
    pub(crate) state: fn(State) -> &'static str,
    pub(crate) running_or_ready: &'static str,
    pub(crate) partly_ready: &'static str,
    pub(crate) ready: fn(time: &str) -> String,
    pub(crate) nothing: &'static str,
    pub(crate) sample: fn(shown: usize, all: usize) -> String,
    pub(crate) holding: fn(lock: &str) -> String,
    pub(crate) hold_and_wait: fn(lock: &str) -> String,
    /// Locks in hand.
    pub(crate) in_hand: fn(locks: &[Cow<'static, str>]) -> String,
    pub(crate) most: fn(u64) -> String,
    pub(crate) band: fn(name: &str, most: u64) -> String,
    pub(crate) lane: fn(name: &str, pid: i32, tid: Option<i32>) -> String,
    /// A state, what the lane is busy with, and what it has in hand.
    pub(crate) doing: fn(state: &str, what: &str, hand: &str) -> String,
    /// What a lane is doing, from when, for how long, and how long of it it was ready.
    pub(crate) span: fn(lane: &str, doing: &str, from: &str, length: &str, ready: &str) -> String,
    pub(crate) mark: fn(lane: &str, label: &str, value: &str, at: &str) -> String,
}

/// What only the page says.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) title: &'static str,
    pub(crate) contents: &'static str,
    pub(crate) figures: &'static str,
    pub(crate) debug_build: &'static str,
}

/// The drawing of a deadlock.
#[derive(Debug)]
pub(crate) struct Cycle {
    pub(crate) title: &'static str,
    pub(crate) graph: &'static str,
    pub(crate) holder: fn(thread: &str, locks: &[&str]) -> String,
    pub(crate) waits_for: &'static str,
    pub(crate) held_by: &'static str,
    pub(crate) behind: fn(lock: &str) -> String,
    pub(crate) comma: &'static str,
    pub(crate) more: fn(usize) -> String,
}

/// The drawing of whether a child is alive.
#[derive(Debug)]
pub(crate) struct Alive {
    pub(crate) title: &'static str,
    pub(crate) child: &'static str,
    pub(crate) observed: &'static str,
    pub(crate) moments: [&'static str; 6],
    /// What Rust has before the child is started.
    pub(crate) no_child: &'static str,
    pub(crate) yes: &'static str,
    pub(crate) no: &'static str,
    /// Where no signal has ended it.
    pub(crate) none: &'static str,
}

/// The drawing of the course's table of computing and waiting.
#[derive(Debug)]
pub(crate) struct GilTable {
    pub(crate) title: &'static str,
    pub(crate) who: fn(gil::Who) -> &'static str,
    pub(crate) computing: &'static str,
    pub(crate) waiting: &'static str,
    pub(crate) on_one: &'static str,
    pub(crate) on_all: &'static str,
    pub(crate) not_found: &'static str,
    pub(crate) faster: &'static str,
    pub(crate) faster_python: &'static str,
    /// Who is faster.
    pub(crate) equal: &'static str,
    pub(crate) processes: &'static str,
    pub(crate) threads: &'static str,
}

/// The drawing of how long waits were.
#[derive(Debug)]
pub(crate) struct Waits {
    pub(crate) title: &'static str,
    pub(crate) distribution: &'static str,
    pub(crate) below: fn(&str) -> String,
    pub(crate) longer: &'static str,
    pub(crate) waits: fn(variant: &str, row: &str, count: usize) -> String,
}

impl Texts {
    /// Those in this language.
    pub fn of(lang: Lang) -> &'static Self {
        match lang {
            Lang::En => &en::TEXTS,
            Lang::Zh => &zh::TEXTS,
        }
    }

    /// What was recorded, in this language; a number at its end stays.
    pub fn shown<'a>(&self, recorded: &'a str) -> Cow<'a, str> {
        self.shown_of(recorded, None)
    }

    /// The name of a lane, in this language.
    pub fn name<'a>(&self, lane: &'a Lane) -> Cow<'a, str> {
        self.shown_of(&lane.name, Some(lane.kind))
    }

    fn shown_of<'a>(&self, recorded: &'a str, kind: Option<Kind>) -> Cow<'a, str> {
        if let Some(word) = (self.word)(recorded, kind) {
            return word.into();
        }
        let numbered = recorded.rsplit_once(' ').filter(|(_, number)| number.parse::<u64>().is_ok());
        match numbered.and_then(|(noun, number)| Some(((self.word)(noun, kind)?, number))) {
            Some((noun, number)) => format!("{noun} {number}").into(),
            None => recorded.into(),
        }
    }
}

/// The same in each language.
pub fn say<T>(words: impl Fn(&'static Texts) -> T) -> Both<T> {
    Both::each(|lang| words(Texts::of(lang)))
}
