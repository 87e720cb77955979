//! English.

use harness::units::{bytes, counted, grouped};

use super::{Ask, Page, Texts, Titles, time};
use crate::choose::rule::{Change, LEAST_SHARE, MOST_MEMORY, MOST_TASKS, Out};
use crate::notes::Disturbance;

pub(super) const TEXTS: Texts = Texts {
    ask: Ask {
        clients: "How many clients are connected at once?",
        silent: "How many of them are silent most of the time?",
        does: "What does a request do: compute (20us), wait for something else (wait 5ms), or neither (no)?",
        confined: "Must a crash end no other client's conversation?",
        number: |from, to| format!("a whole number from {from} to {to}"),
        doing: "no, a time of computing such as 20us, or wait and a time such as wait 5ms",
        yes: "yes or no",
        again: |takes| format!("please answer with {takes}"),
    },
    titles: Titles {
        asked: "asked",
        choose: "choose",
        because: "because",
        runner_up: "runner-up",
        flips: "changes",
        sure: "sure",
        out: "out",
        left_out: "left out",
        doubt: "doubt",
        measured: "measured",
        again: "again",
    },
    page: Page {
        title: "Which model to choose",
        able: "Those that can do it",
        none: "No model can do that on this machine.",
        out: "Ruled out",
        left_out: "Left out",
        doubts: "Doubts",
        measured: "How this was measured",
        table: "Table",
        again: "Again",
        sentence: |words| format!("{words}."),
    },
    header: ["model", "can do", "CPU/request", "memory/client", "for all", "code lines"],
    title: |title| format!("{title}:"),
    titled: |name, words| format!("{name}: {words}"),
    only: "no other model can do it, or even half as much",
    simplest: |lines| {
        let lines = lines.map_or_else(String::new, |lines| format!(" ({lines} lines of code)"));
        format!(
            "of all that can do at least {:.0} % of what the best can, it is the simplest{lines}",
            LEAST_SHARE * 100.0
        )
    },
    most: "no other model can do more",
    can_do: |share| {
        format!(
            "it can do {:.0} % of the requests per second that the best can ({:.0} to {:.0})",
            share.value * 100.0,
            share.low * 100.0,
            share.high * 100.0
        )
    },
    besides: |words| format!("; {words}"),
    flip: |change, clients| match change {
        Change::Clients(more) if more > clients => format!("from {} clients on", grouped(more)),
        Change::Clients(1) => "if there is only one client".to_owned(),
        Change::Clients(fewer) => format!("up to {} clients", grouped(fewer)),
        Change::Confined(true) => "if a crash must end no other conversation".to_owned(),
        Change::Confined(false) => "if a crash may end other conversations".to_owned(),
        Change::Waits(true) => "if each request waits for something else".to_owned(),
        Change::Waits(false) => "if requests wait for nothing".to_owned(),
    },
    flips: |model, change| format!("{model} {change}"),
    sure: |rounds| {
        format!(
            "yes: no interval (95 %, {rounds} rounds) crosses a threshold of the rule, so other rounds would hardly choose otherwise"
        )
    },
    unsure: |rounds, models, bears| {
        let (sure, then) = if bears {
            ("no", "; measure again on a quiet machine")
        } else {
            ("mostly", ", which does not change the choice")
        };
        format!(
            "{sure}: {rounds} rounds cannot tell whether {} can do at least {:.0} % of what the best can{then}",
            models.join(", "),
            LEAST_SHARE * 100.0
        )
    },
    out: |out| match *out {
        Out::Serial => "it serves one client after another".to_owned(),
        Out::Crash => "a crash would end other conversations too".to_owned(),
        Out::Waits => "a request that waits would hold up all others of its loop".to_owned(),
        Out::Memory { needs, may } => format!(
            "its clients would need {} of memory, and may have {} ({:.0} % of what is available)",
            bytes(needs),
            bytes(may),
            MOST_MEMORY * 100.0
        ),
        Out::Tasks { needs, may } => format!(
            "it would need {} processes or threads, and may have {} ({:.0} % of the limit)",
            grouped(needs),
            grouped(may),
            MOST_TASKS * 100.0
        ),
        Out::Slow { share, best } => format!("it can do {:.0} % of what {} can", share * 100.0, best.name()),
        Out::Unmeasured => "it was not measured".to_owned(),
    },
    doubt: |doubt| match doubt {
        Disturbance::Others { from, count, rounds, most } => format!(
            "other programs used more than {from} cores in {count} of {rounds} rounds, up to {most:.1}: they caused part of the spread; \
             measure on a quiet machine"
        ),
        Disturbance::Quota { throttled, periods } => format!(
            "the CPU quota of this control group held the servers back in {throttled} of {periods} periods: the figures are those of \
             the quota; raise it (cpu.max), or measure elsewhere"
        ),
    },
    needs: |needs| {
        let silent = match needs.silent {
            0 => String::new(),
            silent => format!(", {} of them silent", grouped(silent)),
        };
        let does = match (needs.computes.is_zero(), needs.waits.is_zero()) {
            (true, true) => "a request neither computes nor waits".to_owned(),
            (false, true) => format!("each request computes for {}", time(needs.computes)),
            (true, false) => format!("each request waits for {}", time(needs.waits)),
            (false, false) => format!(
                "each request computes for {} and waits for {}",
                time(needs.computes),
                time(needs.waits)
            ),
        };
        let crash =
            if needs.confined { "must end no other conversation" } else { "may end other conversations" };
        format!("{}{silent}; {does}; a crash {crash}", counted(needs.clients, "client"))
    },
    measured: |advice| {
        let figures = &advice.figures;
        let memory = if advice.needs.clients > 1 {
            format!("; memory of one client, the kernel's share included, among {}", figures.silent)
        } else {
            String::new()
        };
        format!(
            "CPU time per request with {} asking{memory}; {} rounds, all servers in turn, {:.0} s; what a model can do is \
             that CPU time on the cores that it can use, {} here; {}",
            counted(figures.asking as u64, "connection"),
            figures.rounds,
            advice.took_s,
            figures.room.cores,
            advice.machine
        )
    },
};
