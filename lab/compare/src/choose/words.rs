//! The answer for a terminal: the choice, why, what would flip it, and how sure that is.

use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::Table;
use harness::lang::Lang;
use harness::models::Model;
use harness::text::{GAP, STYLE, align, paragraph};
use harness::units;

use super::Advice;
use super::rule::{Answer, Costs, LEAST_BYTES, Needs, Out, cannot};
use super::texts::Texts;
use crate::interval::{self, Interval};

/// Columns of text where the width of the terminal is not known.
const COLUMNS: usize = 80;

/// The whole answer. `width` is that of the terminal, in columns.
pub fn text(advice: &Advice, lang: Lang, width: Option<u16>) -> String {
    let (columns, texts) = (width.map_or(COLUMNS, usize::from), Texts::of(lang));
    let (mut text, titles) = (String::new(), &texts.titles);
    let line = |text: &mut String, title: &str, words: &str| {
        paragraph(text, &(texts.title)(title), words, columns);
    };
    line(&mut text, titles.asked, &(texts.needs)(&advice.needs));
    text.push('\n');
    if let Some(answer) = &advice.answer {
        for (title, words) in sentences(advice, answer, texts) {
            line(&mut text, title, &words);
        }
        let _ = writeln!(text, "\n{}\n", table(&rows(advice, answer, texts)));
    }
    for said in out(advice, texts) {
        line(&mut text, titles.out, &said);
    }
    for said in &advice.figures.failures {
        line(&mut text, titles.left_out, said);
    }
    for said in &advice.figures.doubts {
        line(&mut text, titles.doubt, &(texts.doubt)(said));
    }
    line(&mut text, titles.measured, &(texts.measured)(advice));
    line(&mut text, titles.again, &again(&advice.needs));
    text
}

impl Advice {
    /// Who is out, and why: those that could not do it whatever they cost, too.
    pub fn out(&self) -> Vec<(Model, Out)> {
        match &self.answer {
            Some(answer) => answer.out.iter().copied().filter(|(_, out)| *out != Out::Unmeasured).collect(),
            None => Model::all().filter_map(|model| Some((model, cannot(model, &self.needs)?))).collect(),
        }
    }
}

/// The sentences of the answer, each with its title.
pub fn sentences(advice: &Advice, answer: &Answer, texts: &Texts) -> Vec<(&'static str, String)> {
    let titles = &texts.titles;
    let mut said =
        vec![(titles.choose, answer.choice.name().to_owned()), (titles.because, because(answer, texts))];
    if let Some(runner_up) = answer.runner_up {
        let name = runner_up.name();
        let share = share(answer, runner_up).map(|share| (texts.titled)(name, &(texts.can_do)(share)));
        said.push((titles.runner_up, share.unwrap_or_else(|| name.to_owned())));
    }
    for (change, model) in &answer.flips {
        said.push((titles.flips, (texts.flips)(model.name(), &(texts.flip)(*change, advice.needs.clients))));
    }
    said.push((titles.sure, sureness(advice, answer, texts)));
    said
}

fn because(answer: &Answer, texts: &Texts) -> String {
    let own = share(answer, answer.choice).map_or_else(String::new, |share| {
        (texts.besides)(&if share.value >= 1.0 { texts.most.to_owned() } else { (texts.can_do)(share) })
    });
    match answer.shares.as_slice() {
        [_] => format!("{}{own}", texts.only),
        _ => format!("{}{own}", (texts.simplest)(answer.choice.lines())),
    }
}

fn share(answer: &Answer, model: Model) -> Option<Interval> {
    answer.shares.iter().find(|(known, _)| *known == model).map(|(_, share)| *share)
}

fn sureness(advice: &Advice, answer: &Answer, texts: &Texts) -> String {
    let rounds = advice.figures.rounds;
    let doubtful: Vec<&str> = answer.doubtful.iter().map(|model| model.name()).collect();
    match doubtful.as_slice() {
        [] => (texts.sure)(rounds),
        doubtful => (texts.unsure)(rounds, doubtful, answer.doubtful.contains(&answer.choice)),
    }
}

/// A line for each model that is out, and why.
pub fn out(advice: &Advice, texts: &Texts) -> Vec<String> {
    let out = advice.out().into_iter();
    out.map(|(model, why)| (texts.titled)(model.name(), &(texts.out)(&why))).collect()
}

/// Headers and cells of the table: those that are not out, the choice first.
pub fn rows(advice: &Advice, answer: &Answer, texts: &Texts) -> Vec<[String; 6]> {
    let row = |(model, share): &(Model, Interval)| {
        let costs = advice.figures.costs.iter().find(|costs: &&Costs| costs.model == *model)?;
        #[allow(clippy::cast_precision_loss, reason = "clients are few beside 2^52")]
        let all = costs.memory.max(LEAST_BYTES) * advice.needs.clients as f64;
        let lines = model.lines().map_or_else(|| "-".to_owned(), |lines| lines.to_string());
        Some([
            model.name().to_owned(),
            format!("{:.0} %", share.value * 100.0),
            interval::of(&costs.cpu_ns).map_or_else(|| "-".to_owned(), |cpu| units::time(cpu.value)),
            trusted(costs.memory, costs.memory),
            trusted(costs.memory, all),
            lines,
        ])
    };
    [texts.header.map(ToOwned::to_owned)].into_iter().chain(answer.shares.iter().filter_map(row)).collect()
}

/// Less than this is not measured well enough.
fn trusted(each: f64, bytes: f64) -> String {
    let bytes = units::bytes(bytes.max(LEAST_BYTES));
    if each < LEAST_BYTES { format!("< {bytes}") } else { bytes }
}

fn table(rows: &[[String; 6]]) -> String {
    let mut table = Table::new();
    table.load_style(STYLE);
    let Some((header, rows)) = rows.split_first() else { return String::new() };
    table.set_header(header);
    rows.iter().for_each(|row| {
        table.add_row(row);
    });
    align(&mut table, GAP);
    table.trim_fmt()
}

/// The command that asks the same again.
pub fn again(needs: &Needs) -> String {
    let mut command = format!("lab choose --clients {}", needs.clients);
    if needs.silent > 0 {
        let _ = write!(command, " --silent {}", needs.silent);
    }
    let time = |time: Duration| humantime::format_duration(time).to_string().replace(' ', "");
    if !needs.computes.is_zero() {
        let _ = write!(command, " --computes {}", time(needs.computes));
    }
    if !needs.waits.is_zero() {
        let _ = write!(command, " --waits {}", time(needs.waits));
    }
    if needs.confined {
        command.push_str(" --confined");
    }
    command
}

#[cfg(test)]
mod tests;
