//! The answer for a terminal: the choice, why, what would flip it, and how sure that is.

use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::Table;
use harness::models::Model;
use harness::text::{GAP, STYLE, align, paragraph};
use harness::units;

use super::Advice;
use super::rule::{
    Answer, Change, Costs, LEAST_BYTES, LEAST_SHARE, MOST_MEMORY, MOST_TASKS, Needs, Out, cannot,
};
use crate::interval::{self, Interval};

/// Columns of text where the width of the terminal is not known.
const COLUMNS: usize = 80;

/// The whole answer. `width` is that of the terminal, in columns.
pub fn text(advice: &Advice, width: Option<u16>) -> String {
    let columns = width.map_or(COLUMNS, usize::from);
    let mut text = String::new();
    paragraph(&mut text, "asked:", &needs(&advice.needs), columns);
    text.push('\n');
    if let Some(answer) = &advice.answer {
        for (title, words) in sentences(advice, answer) {
            paragraph(&mut text, title, &words, columns);
        }
        let _ = writeln!(text, "\n{}\n", table(&rows(advice, answer)));
    }
    for (model, why) in advice.out() {
        paragraph(&mut text, "out:", &format!("{}: {}", model.name(), out(&why)), columns);
    }
    for line in &advice.figures.failures {
        paragraph(&mut text, "left out:", line, columns);
    }
    for line in &advice.figures.doubts {
        paragraph(&mut text, "doubt:", line, columns);
    }
    paragraph(&mut text, "measured:", &measured(advice), columns);
    paragraph(&mut text, "again:", &again(&advice.needs), columns);
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
pub fn sentences(advice: &Advice, answer: &Answer) -> Vec<(&'static str, String)> {
    let mut said = vec![("choose:", answer.choice.name().to_owned()), ("because:", because(answer))];
    if let Some(runner_up) = answer.runner_up {
        let share = share(answer, runner_up)
            .map_or_else(String::new, |share| format!(": it can do {}", range(share)));
        said.push(("runner-up:", format!("{}{share}", runner_up.name())));
    }
    for (change, model) in &answer.flips {
        said.push(("flips:", format!("{} {}", model.name(), flip(*change, advice))));
    }
    said.push(("sure:", sureness(advice, answer)));
    said
}

fn because(answer: &Answer) -> String {
    let lines = answer.choice.lines().map_or_else(String::new, |lines| format!(" ({lines} lines of code)"));
    let own = share(answer, answer.choice).map_or_else(String::new, |share| {
        if share.value >= 1.0 {
            "; nobody can do more".to_owned()
        } else {
            format!("; it can do {}", range(share))
        }
    });
    match answer.shares.as_slice() {
        [_] => format!("nobody else can do it, or half as much as it can{own}"),
        _ => format!(
            "of all that can do at least {:.0} % of what the best can, it is the simplest{lines}{own}",
            LEAST_SHARE * 100.0
        ),
    }
}

fn share(answer: &Answer, model: Model) -> Option<Interval> {
    answer.shares.iter().find(|(known, _)| *known == model).map(|(_, share)| *share)
}

fn range(share: Interval) -> String {
    format!(
        "{:.0} % of the requests per second that the best can ({:.0} to {:.0})",
        share.value * 100.0,
        share.low * 100.0,
        share.high * 100.0
    )
}

fn flip(change: Change, advice: &Advice) -> String {
    match change {
        Change::Clients(clients) if clients > advice.needs.clients => {
            format!("from {} clients on", units::grouped(clients))
        }
        Change::Clients(1) => "if there is only one client".to_owned(),
        Change::Clients(clients) => format!("up to {} clients", units::grouped(clients)),
        Change::Confined(true) => "if a crash must end no other conversation".to_owned(),
        Change::Confined(false) => "if a crash may end other conversations".to_owned(),
        Change::Waits(true) => "if each request waits for something else".to_owned(),
        Change::Waits(false) => "if requests wait for nothing".to_owned(),
    }
}

fn sureness(advice: &Advice, answer: &Answer) -> String {
    let rounds = advice.figures.rounds;
    match answer.doubtful.as_slice() {
        [] => format!(
            "yes: no interval (95 %, {rounds} rounds) reaches across a bound of the rule, so other rounds would hardly choose otherwise"
        ),
        doubtful => {
            let names: Vec<&str> = doubtful.iter().map(|model| model.name()).collect();
            let bears = doubtful.contains(&answer.choice);
            format!(
                "{}: {rounds} rounds cannot tell whether {} can do at least {:.0} % of what the best can{}",
                if bears { "no" } else { "mostly" },
                names.join(", "),
                LEAST_SHARE * 100.0,
                if bears {
                    "; measure again on a quiet machine"
                } else {
                    ", which does not change the choice"
                }
            )
        }
    }
}

/// One line of why a model is out.
pub fn out(why: &Out) -> String {
    match why {
        Out::Serial => "it serves one client after another".to_owned(),
        Out::Crash => "a crash would end other conversations too".to_owned(),
        Out::Waits => "a request that waits would hold up all others of its loop".to_owned(),
        Out::Memory { needs, may } => format!(
            "its clients would need {} of memory, and may have {} ({:.0} % of what is available)",
            units::bytes(*needs),
            units::bytes(*may),
            MOST_MEMORY * 100.0
        ),
        Out::Tasks { needs, may } => format!(
            "it would need {} processes or threads, and may have {} ({:.0} % of the limit)",
            units::grouped(*needs),
            units::grouped(*may),
            MOST_TASKS * 100.0
        ),
        Out::Slow { share, best } => format!("it can do {:.0} % of what {} can", share * 100.0, best.name()),
        Out::Unmeasured => "it was not measured".to_owned(),
    }
}

/// What was asked, in words.
pub fn needs(needs: &Needs) -> String {
    let plural = if needs.clients == 1 { "" } else { "s" };
    let silent = match needs.silent {
        0 => String::new(),
        silent => format!(", {} of them silent", units::grouped(silent)),
    };
    let time = |time: Duration| humantime::format_duration(time).to_string();
    let does = match (needs.computes.is_zero(), needs.waits.is_zero()) {
        (true, true) => "a request neither computes nor waits".to_owned(),
        (false, true) => format!("each request computes for {}", time(needs.computes)),
        (true, false) => format!("each request waits for {}", time(needs.waits)),
        (false, false) => {
            format!("each request computes for {} and waits for {}", time(needs.computes), time(needs.waits))
        }
    };
    let crash = if needs.confined { "must end no other conversation" } else { "may end other conversations" };
    format!("{} client{plural}{silent}; {does}; a crash {crash}", units::grouped(needs.clients))
}

/// Headers and cells of the table: those that are not out, the choice first.
pub fn rows(advice: &Advice, answer: &Answer) -> Vec<[String; 6]> {
    let header = ["model", "can do", "CPU/request", "memory/client", "for all", "code lines"];
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
    [header.map(ToOwned::to_owned)].into_iter().chain(answer.shares.iter().filter_map(row)).collect()
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

/// What was measured, and on what.
pub fn measured(advice: &Advice) -> String {
    let figures = &advice.figures;
    let plural = if figures.asking == 1 { "" } else { "s" };
    let memory = if advice.needs.clients > 1 {
        format!("; memory of one client, the kernel's share included, among {}", figures.silent)
    } else {
        String::new()
    };
    format!(
        "CPU time per request with {} connection{plural} asking{memory}; {} rounds, all servers in turn, {:.0} s; what a model can do is \
         that CPU time on the cores that it can use, {} here; {}",
        figures.asking, figures.rounds, advice.took_s, figures.room.cores, advice.machine
    )
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
