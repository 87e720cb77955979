//! The budgets that keep each plain server a page, and the difference between two servers a lesson.

use std::fs;
use std::path::{Path, PathBuf};

/// The most lines that a plain server's file may have.
const LINES: [(&str, usize); 10] = [
    ("bin/iterative", 15),
    ("bin/thread", 15),
    ("bin/pool", 25),
    ("bin/fork", 25),
    ("bin/prefork", 25),
    ("bin/mio", 40),
    ("bin/tokio", 15),
    ("bin/uring", 100),
    ("bin/hybrid", 60),
    ("lib", 60),
];

/// The most lines in which two plain servers may differ.
const CHANGES: [(&str, &str, usize); 7] = [
    ("bin/iterative", "bin/thread", 5),
    ("bin/iterative", "bin/prefork", 20),
    ("bin/thread", "bin/fork", 15),
    ("bin/thread", "bin/pool", 20),
    ("bin/thread", "bin/mio", 35),
    ("bin/thread", "bin/tokio", 15),
    ("bin/mio", "bin/hybrid", 30),
];

/// The most lines in which the paragraphs of two dependable servers may differ: the function that
/// begins with *Prepare*, without its comments and blank lines.
const RUNS: [(&str, &str, usize); 5] = [
    ("server-iterative", "server-thread", 40),
    ("server-thread", "server-fork", 25),
    ("server-thread", "server-mio", 40),
    ("server-mio", "server-tokio", 40),
    ("server-mio", "server-uring", 40),
];

#[test]
fn every_file_and_every_difference_keeps_its_budget() {
    let lines = LINES.map(|(file, most)| (file.to_owned(), read(file).lines().count(), most));
    let changes = CHANGES
        .map(|(from, to, most)| (format!("{from} -> {to}"), changed_lines(&read(from), &read(to)), most));
    let runs = RUNS.map(|(from, to, most)| {
        (format!("{from} -> {to}, run"), changed_lines(&paragraphs(from), &paragraphs(to)), most)
    });
    let mut grown = Vec::new();
    for (what, count, most) in lines.into_iter().chain(changes).chain(runs) {
        println!("{what}: {count} lines of {most}");
        if count > most {
            grown.push(format!("{what}: {count} lines, and the budget is {most}"));
        }
    }
    assert!(grown.is_empty(), "{}", grown.join("\n"));
}

#[test]
fn every_server_has_a_budget_and_begins_with_one_sentence() {
    let sources = fs::read_dir(source("bin")).expect("the sources are here");
    for entry in sources {
        let name = entry.expect("the folder can be read").file_name();
        let file = format!("bin/{}", name.to_string_lossy().trim_end_matches(".rs"));
        assert!(LINES.iter().any(|(budgeted, _)| *budgeted == file), "{file} has no budget");
        let text = read(&file);
        let heading: Vec<_> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        assert!(matches!(heading[..], [sentence] if sentence.ends_with('.')), "{file} begins: {heading:?}");
    }
}

#[test]
fn every_dependable_server_has_the_same_paragraphs_in_the_same_order() {
    let servers = fs::read_dir(workspace("")).expect("the sources are here").flatten();
    let servers = servers.map(|entry| entry.file_name().to_string_lossy().into_owned());
    for server in servers.filter(|name| name.starts_with("server-")) {
        let text = function_with_paragraphs(&server);
        let headings = text.lines().map(str::trim).filter(|line| {
            matches!(*line, "// Prepare." | "// Wait." | "// Admit." | "// Retire." | "// Drain.")
        });
        let headings: Vec<&str> = headings.collect();
        assert_eq!(
            headings,
            ["// Prepare.", "// Wait.", "// Admit.", "// Retire.", "// Drain."],
            "the paragraphs of {server}"
        );
    }
}

#[test]
fn changed_lines_are_counted_as_diff_does() {
    assert_eq!(changed_lines("a\nb\nc\n", "a\n    b\nc\n"), 0, "white space does not count");
    assert_eq!(changed_lines("a\nb\nc\n", "a\nx\nc\n"), 2, "one goes, one comes");
    assert_eq!(changed_lines("a\nb\nc\nd\n", "b\nc\nd\ne\nf\n"), 3, "what stays need not stay in its place");
    assert_eq!(changed_lines("", "a\nb\n"), 2);
}

/// How many `<` and `>` lines `diff -w` prints: all lines of both but the longest sequence that
/// they share.
fn changed_lines(from: &str, to: &str) -> usize {
    let lines = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split_whitespace().collect::<String>()).collect()
    };
    let (from, to) = (lines(from), lines(to));
    // How many lines what has been read of `from` shares with each beginning of `to`.
    let mut shared = vec![0; to.len() + 1];
    for old in &from {
        let mut before = 0;
        for (index, new) in to.iter().enumerate() {
            let above = shared[index + 1];
            shared[index + 1] = if old == new { before + 1 } else { above.max(shared[index]) };
            before = above;
        }
    }
    from.len() + to.len() - 2 * shared[to.len()]
}

/// The function in a server's `lib.rs` that begins with *Prepare*.
fn function_with_paragraphs(server: &str) -> String {
    let text = fs::read_to_string(workspace(server).join("src/lib.rs")).expect("the file is here");
    let prepare = text.find("// Prepare.").unwrap_or_else(|| panic!("{server} does not prepare"));
    let is_head = |line: &str| ["fn ", "pub fn ", "async fn "].iter().any(|head| line.starts_with(head));
    let begin = text[..prepare].lines().rfind(|line| is_head(line)).expect("it is in a function");
    let begin = text[..prepare].rfind(begin).expect("it was just seen");
    let length = text[begin..].find("\n}\n").expect("the function ends");
    text[begin..begin + length].to_owned()
}

/// The same without comments and blank lines.
fn paragraphs(server: &str) -> String {
    let text = function_with_paragraphs(server);
    let code = text.lines().filter(|line| !line.trim().is_empty() && !line.trim().starts_with("//"));
    code.collect::<Vec<_>>().join("\n")
}

fn read(file: &str) -> String {
    fs::read_to_string(source(&format!("{file}.rs"))).expect("the file is here")
}

fn source(path: &str) -> PathBuf {
    workspace("plain/src").join(path)
}

fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
