//! The answer in both languages, made from invented figures.

use std::time::Duration;

use harness::machine::Machine;
use harness::text::width;

use super::*;
use crate::choose::measure::Figures;
use crate::choose::rule::{self, Room};
use crate::choose::{page, texts::Texts};
use crate::notes::Disturbance;

/// With something to say in every line: what is out, what is left out, and doubts.
fn advice(needs: Needs, spread: f64) -> Advice {
    let cost = |(place, model): (usize, Model)| {
        let cpu_ns = 10_000.0 * (place + 1) as f64;
        Costs { model, memory: 9_000.0, cpu_ns: vec![cpu_ns, cpu_ns * spread, cpu_ns, cpu_ns / spread] }
    };
    let room = Room { cores: 2, memory_bytes: 4e9, tasks: 30_000 };
    let costs: Vec<Costs> = Model::all().enumerate().map(cost).collect();
    let answer = rule::choose(&needs, &costs, &room);
    let doubts = vec![
        Disturbance::Others { from: 0.2, count: 3, rounds: 5, most: 1.5 },
        Disturbance::Quota { throttled: 7, periods: 9 },
    ];
    let failures = vec!["uring: ENOSYS".to_owned()];
    let figures = Figures { costs, room, asking: 100, silent: 200, rounds: 5, failures, doubts };
    Advice { needs, figures, answer, took_s: 30.0, machine: Machine::this() }
}

fn advices() -> Vec<Advice> {
    let time = Duration::from_millis(5);
    let mut all = Vec::new();
    for (clients, silent) in [(1, 0), (100, 30), (1_000_000, 999_999), (9_000_000, 0)] {
        for (computes, waits) in [(Duration::ZERO, Duration::ZERO), (time, Duration::ZERO), (time, time)] {
            for (confined, spread) in [(true, 1.0), (false, 1.0), (false, 1.9)] {
                all.push(advice(Needs { clients, silent, computes, waits, confined }, spread));
            }
        }
    }
    all
}

fn is_han(character: char) -> bool {
    ('\u{4e00}'..='\u{9fff}').contains(&character)
}

/// English words that are none in Chinese: names of models, options and units stay.
fn english(text: &str) -> Vec<&str> {
    let known = |word: &str| {
        let names = ["lab", "choose", "CPU", "KiB", "MiB", "GiB", "TiB", "Linux", "cpu", "max", "ENOSYS"];
        let units = ["ms", "ns", "µs", "s", "m"];
        names.contains(&word)
            || units.contains(&word)
            || Model::all().any(|model| model.name().split('-').any(|part| part == word))
    };
    let machine = Machine::this();
    // The command that asks again is one for a shell.
    let text = text.split("再来一次").next().unwrap_or_default();
    let words = text.split(|letter: char| !letter.is_alphabetic() || is_han(letter));
    let words = words.filter(|word| !word.is_empty() && !known(word));
    words
        .filter(|word| ![&machine.processor, &machine.kernel].iter().any(|its| its.contains(*word)))
        .collect()
}

#[test]
fn the_chinese_answer_is_chinese_and_the_english_one_english_and_both_fit() {
    let mut chosen = 0;
    for advice in advices() {
        let (en, zh) = (text(&advice, Lang::En, Some(80)), text(&advice, Lang::Zh, Some(80)));
        assert!(!en.chars().any(is_han), "{en}");
        assert!(english(&zh).is_empty(), "{:?} in\n{zh}", english(&zh));
        assert_eq!(en.contains("\nchoose: "), zh.contains("\n选："), "{zh}");
        chosen += usize::from(advice.answer.is_some());
        for said in [&en, &zh] {
            assert!(said.lines().all(|line| width(line) <= 80), "{said}");
        }
        let letters: Vec<char> = zh.chars().collect();
        let spaced = |three: &[char]| is_han(three[0]) && three[1] == ' ' && is_han(three[2]);
        let lines: Vec<&str> = zh.lines().filter(|line| !line.starts_with("模型")).collect();
        let apart = lines.join("\n").chars().collect::<Vec<_>>().windows(3).any(spaced);
        assert!(letters.len() > 100 && !apart, "{zh}");
        assert!(page::html(&advice, Lang::Zh).contains("<html lang=\"zh\">"));
    }
    assert!(chosen > 0);
}

#[test]
fn no_text_is_empty_or_the_same_in_both() {
    let quoted = |lang| -> Vec<String> {
        let all = format!("{:?}", Texts::of(lang));
        all.split('"').skip(1).step_by(2).map(ToOwned::to_owned).collect()
    };
    let (en, zh) = (quoted(Lang::En), quoted(Lang::Zh));
    assert!(en.len() > 30 && en.len() == zh.len());
    assert!(en.iter().zip(&zh).all(|(en, zh)| !en.is_empty() && !zh.is_empty() && en != zh));
}
