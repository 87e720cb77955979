//! `lab list` and `lab run` from the outside: what they show, and the files that they write.

use std::collections::BTreeMap;
use std::fs;

use lessons::EXPERIMENTS;
use serde_json::Value;

use crate::lesson::lab;

/// Small, with processes and threads.
const SMALL: [&str; 5] = ["run", "tickets", "--buyers=3", "--look=5ms", "--delay=3ms"];

#[test]
fn the_list_has_a_line_for_each_experiment() {
    let ended = lab(&["list"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), EXPERIMENTS.len());
    for (line, entry) in ended.stdout.lines().zip(EXPERIMENTS) {
        assert!(line.starts_with(entry.name) && line.ends_with('?'), "{line}");
    }
}

#[test]
fn what_cannot_be_run_is_refused_with_code_2_and_a_line_that_helps() {
    let nonsense: [(&[&str], &str); 4] = [
        (&["run"], "lab list"),
        (&["run", "spoon"], "spoon"),
        (&["run", "--all", "counter"], "--all"),
        (&["run", "counter", "--width=3"], "--width"),
    ];
    for (arguments, named) in nonsense {
        let ended = lab(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(named), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn the_text_fits_its_width_and_has_no_colour_in_a_pipe() {
    for width in ["40", "72", "120"] {
        let ended = lab(&[&SMALL[..], &["--width", width, "--ascii"]].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stdout.is_ascii(), "{}", ended.stdout);
        let widest = ended.stdout.lines().map(str::len).max().unwrap();
        assert!(widest <= width.parse().unwrap(), "{widest} columns:\n{}", ended.stdout);
        for part in ["no-lock:", "lock-look:", "verdict: as expected", "\n+ ", "why:"] {
            assert!(ended.stdout.contains(part), "no {part} in\n{}", ended.stdout);
        }
    }
}

#[test]
fn a_page_and_a_picture_stand_alone_and_tell_lane_state_begin_and_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (page, picture) = (path("page.html"), path("picture.svg"));
    let ended = lab(&[&SMALL[..], &["--report", &page, "--svg", &picture]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for file in [page, picture] {
        let text = fs::read_to_string(&file).unwrap();
        for reference in ["src=", "href=", "url(", "@import"] {
            assert!(!text.contains(reference), "{reference} in {file}");
        }
        assert!(text.contains("<title>buyer 1: holding, from "), "{file}");
        assert!(text.contains("prefers-color-scheme:dark"), "{file}");
        for element in ["svg", "g", "text", "rect", "title", "figure", "div", "table", "tr", "td", "dl", "dd"]
        {
            let opened =
                text.matches(&format!("<{element}>")).count() + text.matches(&format!("<{element} ")).count();
            let empty = text
                .split('<')
                .filter(|tag| tag.starts_with(&format!("{element} ")) && tag.contains("/>"))
                .count();
            let closed = text.matches(&format!("</{element}>")).count();
            assert_eq!(opened, closed + empty, "<{element}> in {file}");
        }
    }
}

/// The rules of the format for the phases that the lab uses: the fields that each must have, no
/// negative time, and on every thread an order of time in which spans nest.
fn validate(document: &Value) {
    let mut threads: BTreeMap<(i64, i64), Vec<(f64, f64)>> = BTreeMap::new();
    let mut named = Vec::new();
    let mut last: BTreeMap<(i64, i64), f64> = BTreeMap::new();
    for event in document["traceEvents"].as_array().unwrap() {
        let thread = (event["pid"].as_i64().unwrap(), event["tid"].as_i64().unwrap());
        assert!(!event["name"].as_str().unwrap().is_empty(), "{event}");
        if event["ph"] == "M" {
            assert!(["process_name", "thread_name"].contains(&event["name"].as_str().unwrap()), "{event}");
            assert!(!event["args"]["name"].as_str().unwrap().is_empty(), "{event}");
            if event["name"] == "thread_name" {
                assert!(!named.contains(&thread), "two lanes on one thread: {event}");
                named.push(thread);
            }
            continue;
        }
        let ts = event["ts"].as_f64().unwrap();
        assert!(ts >= 0.0 && last.insert(thread, ts).is_none_or(|last| last <= ts), "{event}");
        assert!(named.contains(&thread), "a thread without a name: {event}");
        match event["ph"].as_str().unwrap() {
            "X" => {
                let dur = event["dur"].as_f64().unwrap();
                assert!(dur > 0.0, "{event}");
                let open = threads.entry(thread).or_default();
                // A thousandth of a microsecond is a nanosecond; rounding is less.
                open.retain(|(_, end)| *end > ts + 0.0005);
                assert!(open.iter().all(|(_, end)| ts + dur <= end + 0.0005), "it does not nest: {event}");
                open.push((ts, ts + dur));
            }
            "i" => assert_eq!(event["s"], "t", "{event}"),
            other => panic!("phase {other}: {event}"),
        }
    }
    assert!(!threads.is_empty());
}

#[test]
fn the_trace_keeps_the_rules_of_the_trace_event_format() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace.json");
    let file_name = file.to_str().unwrap();
    let runs: [&[&str]; 2] = [&SMALL, &["run", "counter", "--workers=5"]];
    for run in runs {
        let ended = lab(&[run, &["--trace", file_name]].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let document: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        validate(&document);
        let spans =
            document["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X").count();
        assert!(spans >= 9, "{spans}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_is_run() {
    for option in ["--report", "--svg", "--trace", "--json"] {
        let ended = lab(&["run", "tickets", "--delay=10m", option, "/nonexistent/file"]);
        assert_eq!(ended.code, Some(1));
        assert!(
            ended.stderr.contains(&format!("cannot write {option} /nonexistent/file")),
            "{}",
            ended.stderr
        );
    }
}
