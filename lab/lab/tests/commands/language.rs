//! `--lang`: what people read is in their language, and what machines read is not.

use std::fs;
use std::process::Command;

use harness::lang::Lang;
use harness::text::width;
use lessons::EXPERIMENTS;
use lessons::texts::Texts;
use serde_json::{Value, json};

use crate::lesson::{LAB, lab};

/// Each lesson, small.
const SMALL: [&[&str]; 15] = [
    &["servers", "--pace=20ms"],
    &["tickets", "--buyers=3", "--look=5ms", "--delay=3ms"],
    &["spawn", "--count=8", "--delay=5ms"],
    &["threads"],
    &["counter", "--workers=8", "--delay=2ms"],
    &["gil", "--product=3000", "--waiters=8", "--wait=5ms"],
    &["deadlock", "--threads=4", "--standstill=50ms"],
    &["semaphore", "--threads=6", "--places=2", "--stay=5ms"],
    &["event", "--cars=3", "--red=20ms", "--patience=50ms"],
    &["pool", "--workers=3", "--tasks=9"],
    &["submit", "--delay=10ms"],
    &["queue", "--items=6"],
    &["coroutines", "--unit=10ms"],
    &["starve", "--threads=4"],
    &["levels", "--clients=6", "--wait=20ms"],
];

/// Words that Chinese people write as they are: programs, what is in code, signals, units.
const LATIN: [&str; 24] = [
    "func",
    "money",
    "mutex",
    "panic",
    "join",
    "submit",
    "result",
    "terminate",
    "wait",
    "finally",
    "Drop",
    "Python",
    "Rust",
    "Child",
    "CPU",
    "GIL",
    "SIGTERM",
    "PR_SET_CHILD_SUBREAPER",
    "PR_SET_PDEATHSIG",
    "ms",
    "µs",
    "us",
    "ns",
    "exitcode",
];

fn is_han(character: char) -> bool {
    ('\u{4e00}'..='\u{9fff}').contains(&character)
}

/// Runs of Latin letters, with what belongs to a name in them.
fn latin(text: &str) -> Vec<&str> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    let words = text.split(|character: char| !is_part(character));
    words.filter(|word| word.chars().any(|letter| letter.is_ascii_alphabetic())).collect()
}

/// What no reader of Chinese should see.
fn faults(text: &str, names: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    // The drawing with Python's and Rust's words for the same is code.
    for line in text.lines().filter(|line| !line.contains("  p.")) {
        let letters: Vec<char> = line.trim().chars().collect();
        // Between a lane's name and its picture there is a space, but no second character.
        if letters.windows(3).any(|three| is_han(three[0]) && three[1] == ' ' && is_han(three[2])) {
            faults.push(format!("a space in Chinese: {line}"));
        }
        let unknown = latin(line).into_iter().filter(|word| {
            let bare = word.trim_matches(|letter: char| letter.is_ascii_digit() || "-_".contains(letter));
            let is_known = |name: &str| name == *word || name == bare;
            !LATIN.contains(&bare) && !names.iter().any(|name| is_known(name)) && bare.len() > 1
        });
        faults.extend(unknown.map(|word| format!("{word} in: {line}")));
    }
    faults
}

/// The names of lessons and variants, and of what is told apart in them.
fn names(document: &Value) -> Vec<String> {
    let lesson = &document["lessons"][0];
    let mut names = vec![lesson["name"].as_str().unwrap().to_owned()];
    for variant in lesson["variants"].as_array().unwrap() {
        names.push(variant["name"].as_str().unwrap().to_owned());
        let spans =
            variant["lanes"].as_array().unwrap().iter().flat_map(|lane| lane["spans"].as_array().unwrap());
        let holds = spans.filter_map(|span| span["holds"].as_array()).flatten();
        names.extend(holds.map(|lock| lock.as_str().unwrap().to_owned()));
    }
    names
}

#[test]
fn every_lesson_in_chinese_is_chinese_and_its_json_english() {
    let folder = tempfile::tempdir().unwrap();
    let [json, page, picture] = ["json", "html", "svg"].map(|name| folder.path().join(name));
    let options = [("--json", &json), ("--report", &page), ("--svg", &picture)];
    let options: Vec<String> = options.map(|(option, path)| format!("{option}={}", path.display())).into();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    assert_eq!(SMALL.map(|arguments| arguments[0]), EXPERIMENTS.map(|entry| entry.name));
    for arguments in SMALL {
        let ended = lab(&[&["--lang=zh", "run", "--width=80"], arguments, &options].concat());
        // What was observed on a busy machine may be unexpected; the language is not.
        assert!(ended.stdout.contains("结论："), "{arguments:?}: {}{}", ended.stderr, ended.stdout);
        let text = fs::read_to_string(&json).unwrap();
        assert!(!text.chars().any(is_han), "{text}");
        let names = names(&serde_json::from_str(&text).unwrap());
        assert_eq!(faults(&ended.stdout, &names), [""; 0], "{arguments:?}");
        for line in ended.stdout.lines() {
            assert!(width(line) <= 80, "{} columns: {line}", width(line));
        }
        let page = fs::read_to_string(&page).unwrap();
        assert!(page.contains("<html lang=\"zh\">") && page.contains("符合预期"), "{arguments:?}");
        // Titles and texts, without markup.
        let picture = fs::read_to_string(&picture).unwrap();
        let said = picture.split("<style>").flat_map(|rest| rest.split('>')).filter_map(|rest| {
            rest.split_once('<').map(|(text, _)| text.trim()).filter(|text| !text.contains(['{', '}']))
        });
        let said = said.collect::<Vec<_>>().join("\n");
        assert_eq!(faults(&said, &names), [""; 0], "{arguments:?}");
    }
}

#[test]
fn json_is_the_same_in_both_languages() {
    let read = |lang: &str| {
        let ended = lab(&["run", "event", "--cars=3", "--red=20ms", "--json=-", "--lang", lang]);
        let document: Value = serde_json::from_str(&ended.stdout).unwrap();
        let lesson = &document["lessons"][0];
        let variants = lesson["variants"].as_array().unwrap().iter();
        let variants = variants.map(|variant| {
            let figures: Vec<_> = variant["figures"].as_object().unwrap().keys().cloned().collect();
            json!([variant["name"], variant["about"], figures, variant["lanes"][0]["name"]])
        });
        let keys = ["name", "question", "expected", "claims", "why"].map(|key| lesson[key].to_string());
        let said = format!("{keys:?}{:?}", variants.collect::<Vec<_>>());
        // Times differ from run to run.
        said.replace(|character: char| character.is_ascii_digit() || character == '.', "")
    };
    assert_eq!(read("en"), read("zh"));
}

#[test]
fn each_question_is_asked_in_both_languages_and_no_text_is_empty_or_the_same() {
    for entry in EXPERIMENTS {
        let (en, zh) = (entry.question(Lang::En), entry.question(Lang::Zh));
        assert!(en.ends_with('?') && zh.ends_with('？') && zh.chars().any(is_han), "{en} {zh}");
    }
    let (en, zh) = (format!("{:?}", Texts::of(Lang::En)), format!("{:?}", Texts::of(Lang::Zh)));
    let quoted =
        |text: &str| -> Vec<String> { text.split('"').skip(1).step_by(2).map(ToOwned::to_owned).collect() };
    let (en, zh) = (quoted(&en), quoted(&zh));
    assert!(en.len() > 20 && en.len() == zh.len(), "{en:?} {zh:?}");
    for (en, zh) in en.iter().zip(&zh) {
        assert!(!en.is_empty() && !zh.is_empty() && en != zh, "{en:?} {zh:?}");
    }
}

#[test]
fn the_environment_decides_and_the_option_wins() {
    let list = |lc_all: &str, lang: &str, options: &[&str]| {
        let mut command = Command::new(LAB);
        command.arg("list").args(options).env_clear().env("LC_ALL", lc_all).env("LANG", lang);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let (english, chinese) = (list("C", "", &["--lang=en"]), list("C", "", &["--lang=zh"]));
    assert!(english.is_ascii() && chinese.chars().any(is_han));
    assert_eq!(list("", "zh_CN.UTF-8", &[]), chinese);
    assert_eq!(list("en_US.UTF-8", "zh_CN.UTF-8", &[]), english);
    assert_eq!(list("zh_CN.UTF-8", "", &["--lang=en"]), english);
    assert_eq!(list("", "", &[]), english);
}
