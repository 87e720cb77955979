//! The books and the other documents: a chapter for every experiment and every server in both
//! languages, commands that are the same in both, links that lead somewhere, tables that are what
//! their command prints.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lessons::EXPERIMENTS;

use crate::harness::LAB;

const LANGUAGES: [&str; 2] = ["en", "zh"];

/// The pages of `plain/src/bin`, each with a server and a chapter.
const SERVERS: [&str; 9] =
    ["iterative", "fork", "prefork", "thread", "pool", "mio", "tokio", "uring", "hybrid"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn chapter(language: &str, name: &str) -> String {
    read(&root().join(format!("book/{language}/src/{name}.md")))
}

/// Every Markdown document of the project.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if entry.file_type().unwrap().is_dir() {
                let is_made = name.starts_with('.') || ["target", "node_modules"].contains(&name.as_str());
                folders.extend((!is_made).then_some(path));
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 50, "{found:?}");
    found
}

#[test]
fn every_experiment_and_every_server_has_a_chapter_in_both_languages() {
    for language in LANGUAGES {
        let summary = chapter(language, "SUMMARY");
        let order = |folder: &str| -> Vec<String> {
            let begin = format!("({folder}/");
            let links = summary.split(&begin).skip(1);
            links.map(|rest| rest.split(".md").next().unwrap().to_owned()).collect()
        };
        assert_eq!(order("lessons"), EXPERIMENTS.map(|entry| entry.name));
        assert_eq!(order("servers"), SERVERS);
        for name in SERVERS {
            let text = chapter(language, &format!("servers/{name}"));
            assert!(
                text.contains(&format!("{{{{#include ../../../../plain/src/bin/{name}.rs}}}}")),
                "{name}"
            );
            assert!(text.contains(&format!("(../pictures/servers-{name}.svg)")), "{name}");
        }
        for entry in EXPERIMENTS {
            let text = chapter(language, &format!("lessons/{}", entry.name));
            assert!(text.contains(&format!("(../pictures/lesson-{}.svg)", entry.name)), "{}", entry.name);
            assert!(text.matches("<details>").count() >= 2, "{}: two exercises", entry.name);
            assert_eq!(
                text.matches("<details>").count(),
                text.matches("</details>").count(),
                "{}",
                entry.name
            );
        }
    }
}

/// The commands of a lesson, without the remarks after them.
fn commands(text: &str) -> Vec<&str> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("    lab "));
    lines.map(|line| line.split('#').next().unwrap_or(line).trim()).collect()
}

#[test]
fn both_languages_have_the_same_commands() {
    for entry in EXPERIMENTS {
        let [english, chinese] =
            LANGUAGES.map(|language| chapter(language, &format!("lessons/{}", entry.name)));
        assert_eq!(commands(&english), commands(&chinese), "{}", entry.name);
        assert!(!commands(&english).is_empty(), "{}", entry.name);
    }
}

#[test]
fn both_languages_have_the_same_chapters() {
    let [english, chinese] = LANGUAGES.map(|language| targets(&chapter(language, "SUMMARY")));
    assert_eq!(english, chinese);
}

#[test]
fn loads_from_many_machines_are_made_alike_in_both_languages() {
    let [english, chinese] = LANGUAGES.map(|language| chapter(language, "machines"));
    let code = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with("    ") || line.starts_with("{{#include"));
        let spans = text
            .lines()
            .filter(|line| line.starts_with("| "))
            .flat_map(|line| line.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>());
        lines.map(str::to_owned).chain(spans).collect()
    };
    assert_eq!(code(&english), code(&chinese));
    assert!(code(&english).len() > 20, "{:?}", code(&english));
}

/// The targets of a document's links and pictures that are files, and of its includes.
fn targets(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut is_code = false;
    for line in text.lines() {
        is_code ^= line.trim_start().starts_with("```");
        for rest in line.split("{{#include ").skip(1) {
            targets.push(rest.split([':', '}']).next().unwrap().to_owned());
        }
        if is_code || line.starts_with("    ") {
            continue;
        }
        for rest in line.split("](").skip(1) {
            let target = rest.split([')', ' ', '#']).next().unwrap();
            if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                targets.push(target.to_owned());
            }
        }
    }
    targets
}

#[test]
fn every_link_leads_to_a_file() {
    let mut count = 0;
    for document in documents() {
        for target in targets(&read(&document)) {
            let path = document.parent().unwrap().join(&target);
            assert!(path.exists(), "{}: {target}", document.display());
            count += 1;
        }
    }
    assert!(count > 100, "{count} links");
}

#[test]
fn a_table_in_a_document_is_what_its_command_prints() {
    let mut count = 0;
    for document in documents() {
        let text = read(&document);
        for rest in text.split("<!-- begin: lab ").skip(1) {
            let (command, rest) = rest.split_once(" -->\n").unwrap();
            let table = rest.split("<!-- end -->").next().unwrap();
            let printed =
                Command::new(LAB).args(command.split_whitespace()).current_dir(root()).output().unwrap();
            assert!(printed.status.success(), "{command}");
            let printed = String::from_utf8(printed.stdout).unwrap();
            assert_eq!(table.trim(), printed.trim(), "{}: run book/make tables", document.display());
            count += 1;
        }
    }
    assert!(count >= 2, "{count} tables");
}

#[test]
fn the_first_page_is_short_and_has_a_line_for_each_server() {
    for page in ["README.md", "README.zh.md"] {
        let text = read(&root().join(page));
        assert!(text.lines().count() <= 120, "{page}: {}", text.lines().count());
        for name in SERVERS {
            assert!(text.contains(&format!("| `server-{name}` |")), "{page}: {name}");
        }
    }
}
