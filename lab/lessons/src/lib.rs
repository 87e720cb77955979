//! The course's experiments: `lab list`, `lab run`, and what they have in common.
//!
//! To add an experiment:
//! 1. write `experiments/NAME.rs` beside [`experiments::semaphore`] (threads) or
//!    [`experiments::tickets`] (processes): a struct of options (`clap::Args`) that implements
//!    [`Experiment`], and a line of it in [`EXPERIMENTS`];
//! 2. `run` does each variant in turn: every thread owns a [`trace::Recorder`], tells it what it
//!    does *when it does it*, and hands `recorder.end()` back through its join; the lanes become a
//!    [`trace::Trace`];
//! 3. processes are started by a [`cast::Cast`] and do their part in `act`, where [`part::Part`]
//!    records and speaks for them;
//! 4. figures and [`verdict::Claim`]s are made from what was recorded, never from what should have
//!    been;
//! 5. a race that is to be shown is forced, by a barrier between its two steps; a wait that could
//!    be for ever has a deadline;
//! 6. what it says is in [`texts`], once in each language;
//! 7. its claims are tests in `lab/lab/tests/lesson_NAME.rs`, which run the program with small
//!    sizes and read its `--json -`.
//!
//! Deliberately absent: any control flow around an experiment. It is a function that is called
//! once, and its output is a value.
#![forbid(unsafe_code)]

pub mod cast;
pub mod chrome;
pub mod executor;
pub mod experiments;
pub mod json;
pub mod key;
pub mod lanes;
pub mod page;
pub mod part;
mod picture;
pub mod play;
pub mod semaphore;
pub mod show;
pub mod stage;
pub mod texts;
pub mod ticket_lock;
pub mod trace;
pub mod verdict;
pub mod watched;

use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use harness::lang::Lang;
use serving::UsageError;

use self::experiments::{
    coroutines::Coroutines, counter::Counter, deadlock::Deadlock, event::Event, gil::Gil, levels::Levels,
    pool::Pool, queue::Queue, semaphore::Semaphores, servers::Servers, spawn::Spawn, starve::Starve,
    submit::Submit, threads::Threads, tickets::Tickets,
};
use self::part::{ActOptions, Part};
use self::stage::Stage;
use self::texts::Texts;
use self::verdict::{Observation, Verdict};

/// All experiments, in the order of the course.
pub const EXPERIMENTS: [Entry; 15] = [
    Entry::of::<Servers>(),
    Entry::of::<Tickets>(),
    Entry::of::<Spawn>(),
    Entry::of::<Threads>(),
    Entry::of::<Counter>(),
    Entry::of::<Gil>(),
    Entry::of::<Deadlock>(),
    Entry::of::<Semaphores>(),
    Entry::of::<Event>(),
    Entry::of::<Pool>(),
    Entry::of::<Submit>(),
    Entry::of::<Queue>(),
    Entry::of::<Coroutines>(),
    Entry::of::<Starve>(),
    Entry::of::<Levels>(),
];

/// An experiment, as its options: sizes and delays whose defaults are the course's numbers.
pub trait Experiment: Args {
    /// What `lab run` calls it.
    const NAME: &'static str;
    /// What it answers, in one line that ends with a question mark.
    const QUESTION: fn(&Texts) -> &'static str;

    /// Does every variant that was asked for.
    ///
    /// # Errors
    /// If it cannot be done, which is not the same as an observation that was not expected.
    fn run(&self, stage: &Stage) -> Result<Observation>;

    /// What a process that [`cast::Cast::start`] started does; `part` is JSON.
    ///
    /// # Errors
    /// What it failed with: one line on stderr, and its lane ends with the mark `failed`.
    fn act(part: &str, _me: &mut Part) -> Result<()> {
        bail!("{} has no part {part} for a process", Self::NAME)
    }
}

/// A line of the list of experiments.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// What `lab run` calls it.
    pub name: &'static str,
    question: fn(&Texts) -> &'static str,
    options: fn(Command) -> Command,
    run: fn(&ArgMatches, &Stage) -> Result<Observation>,
    act: fn(&str, &mut Part) -> Result<()>,
}

impl Entry {
    const fn of<E: Experiment>() -> Self {
        Self {
            name: E::NAME,
            question: E::QUESTION,
            options: E::augment_args,
            run: |matches, stage| E::from_arg_matches(matches)?.run(stage),
            act: E::act,
        }
    }

    /// What it answers.
    pub fn question(&self, lang: Lang) -> &'static str {
        (self.question)(Texts::of(lang))
    }

    fn command(&self) -> Command {
        // The options' own doc comment is for who reads the code.
        (self.options)(Command::new(self.name)).about(self.question(Lang::En)).long_about(None::<&str>)
    }

    fn named(name: &str) -> Option<Self> {
        EXPERIMENTS.into_iter().find(|entry| entry.name == name)
    }
}

/// `lab run`
#[derive(Debug, Args)]
pub struct RunOptions {
    /// Run every experiment with its defaults
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    show: show::ShowOptions,
    #[command(subcommand)]
    chosen: Option<Chosen>,
}

/// The experiment that was named, with the options that were given to it.
#[derive(Debug)]
struct Chosen {
    entry: Entry,
    options: ArgMatches,
}

impl FromArgMatches for Chosen {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let chosen = matches.subcommand().and_then(|(name, options)| Some((Entry::named(name)?, options)));
        let (entry, options) =
            chosen.ok_or_else(|| clap::Error::new(clap::error::ErrorKind::InvalidSubcommand))?;
        Ok(Self { entry, options: options.clone() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for Chosen {
    fn augment_subcommands(command: Command) -> Command {
        command.subcommands(EXPERIMENTS.iter().map(Entry::command))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        Entry::named(name).is_some()
    }
}

/// An experiment that was run.
#[derive(Debug)]
pub struct Lesson {
    /// Which.
    pub entry: Entry,
    /// What was observed.
    pub outcome: Observation,
}

impl Lesson {
    /// What to think of it.
    pub fn verdict(&self, lang: Lang) -> Verdict {
        Verdict::of(&self.outcome.claims, lang)
    }
}

/// Shows the list of experiments.
///
/// # Errors
/// If stdout cannot be written.
pub fn list(lang: Lang) -> Result<()> {
    let longest = EXPERIMENTS.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for entry in EXPERIMENTS {
        writeln!(text, "{:longest$}  {}", entry.name, entry.question(lang))?;
    }
    harness::text::say(&text)
}

/// Runs the experiment that was named, or all.
///
/// # Errors
/// If one cannot be done, or what was observed is not what was expected. What was observed until
/// then has been shown.
pub fn run(options: &RunOptions, lang: Lang) -> Result<()> {
    let chosen = match (&options.chosen, options.all) {
        (Some(chosen), false) => vec![(chosen.entry, chosen.options.clone())],
        (None, true) => {
            EXPERIMENTS.iter().map(|entry| (*entry, entry.command().get_matches_from([entry.name]))).collect()
        }
        (Some(_), true) => return Err(UsageError("--all runs every experiment: name none".to_owned()).into()),
        (None, false) => {
            return Err(
                UsageError("name an experiment (`lab list` shows them), or give --all".to_owned()).into()
            );
        }
    };
    let mut show = show::Show::open(&options.show, lang)?;
    let stage = Stage::open()?;
    let mut failures = Vec::new();
    for (entry, matches) in chosen {
        match (entry.run)(&matches, &stage) {
            Ok(outcome) => {
                if outcome.claims.iter().any(|claim| !claim.holds) {
                    failures.push(format!("{}: not as expected", entry.name));
                }
                show.add(Lesson { entry, outcome })?;
            }
            Err(error) if !options.all => return Err(error),
            Err(error) => failures.push(format!("{}: {error:#}", entry.name)),
        }
    }
    show.finish()?;
    match failures.as_slice() {
        [] => Ok(()),
        failures => bail!("{}", failures.join("; ")),
    }
}

/// Is a process of an experiment; the lab starts itself so.
///
/// # Errors
/// What it failed with.
pub fn act(options: &ActOptions) -> Result<()> {
    let entry = Entry::named(&options.experiment).context("there is no such experiment")?;
    part::run(options, entry.act)
}
