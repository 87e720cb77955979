//! `lab choose`: four questions, a short measurement of what decides, and one page with the answer.
//!
//! In reading order: [`ask`], the questions; [`measure`], what is measured for them, and what this
//! machine has; [`rule`], which model that makes; [`words`] and [`page`], the answer for a terminal
//! and for a meeting, with what
//! they say in [`texts`].

pub mod ask;
pub mod measure;
pub mod page;
pub mod rule;
pub mod texts;
pub mod words;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;
use client::output::Output;
use harness::interrupt::Interrupt;
use harness::lang::Lang;
use harness::machine::Machine;
use harness::models::Model;
use harness::text;

use self::ask::Questions;
use self::measure::Figures;
use self::rule::{Answer, Needs};

/// The questions, and where the answer goes.
#[derive(Debug, Clone, Args)]
pub struct ChooseOptions {
    #[command(flatten)]
    questions: Questions,

    /// Write the answer as one HTML page too
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    report: Option<PathBuf>,
}

/// All that an answer is made from.
#[derive(Debug)]
pub struct Advice {
    /// What was asked.
    pub needs: Needs,
    /// What was measured.
    pub figures: Figures,
    /// What that makes; `None` if no model can do it.
    pub answer: Option<Answer>,
    /// How long it took, in seconds.
    pub took_s: f64,
    /// Where.
    pub machine: Machine,
}

/// Asks, measures, answers.
///
/// # Errors
/// If a question has no answer, a server cannot be measured, no model can do what is asked, or the
/// user interrupts.
pub fn run(options: &ChooseOptions, lang: Lang) -> Result<()> {
    let needs = options.questions.ask(lang)?;
    let report = options.report.as_deref().map(|path| Output::open("--report", path)).transpose()?;
    let interrupt = Interrupt::watch()?;
    text::warn_of_debug_build(lang, true)?;
    let machine = Machine::this();
    let begun = Instant::now();
    let able: Vec<Model> = Model::all().filter(|model| rule::cannot(*model, &needs).is_none()).collect();
    let figures = measure::measure(&able, &needs, &interrupt)?;
    if interrupt.raised() {
        bail!("interrupted before the answer was known");
    }
    let advice = Advice {
        needs,
        answer: rule::choose(&needs, &figures.costs, &figures.room),
        figures,
        took_s: begun.elapsed().as_secs_f64(),
        machine,
    };
    text::say(&words::text(&advice, lang, text::terminal_width()))?;
    if let Some(report) = report {
        report.write(|out| out.write_all(page::html(&advice, lang).as_bytes()))?;
    }
    text::warn_of_debug_build(lang, true)?;
    match advice.answer {
        Some(_) => Ok(()),
        None => bail!("no model can do that on this machine: see above why"),
    }
}
