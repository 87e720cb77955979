//! `docs/lessons.md` and its Chinese twin: every experiment is there, in the order of the list,
//! with the same commands.

use lessons::EXPERIMENTS;

const PAGES: [&str; 2] =
    [include_str!("../../../docs/lessons.md"), include_str!("../../../docs/lessons.zh.md")];

/// The names in its headings: ## 6. `deadlock`: ...
fn headings(page: &str) -> Vec<&str> {
    let headings = page.lines().filter(|line| line.starts_with("## "));
    headings.filter_map(|line| line.split('`').nth(1)).collect()
}

/// The commands, without the remarks after them.
fn commands(page: &str) -> Vec<&str> {
    let lines = page.lines().filter_map(|line| line.strip_prefix("    lab "));
    lines
        .filter(|line| line.starts_with("run "))
        .map(|line| line.split('#').next().unwrap_or(line).trim())
        .collect()
}

#[test]
fn every_experiment_has_a_heading_in_the_order_of_the_list() {
    for page in PAGES {
        let headings = headings(page);
        let listed: Vec<_> = EXPERIMENTS.iter().map(|entry| entry.name).collect();
        let found: Vec<_> = headings.iter().copied().filter(|name| listed.contains(name)).collect();
        assert_eq!(found, listed);
        assert_eq!(headings.len(), 12, "{headings:?}");
    }
}

#[test]
fn both_languages_have_the_same_commands_and_the_same_pictures() {
    let [english, chinese] = PAGES;
    assert_eq!(commands(english), commands(chinese));
    for name in headings(english) {
        let run = format!("run {name}");
        assert!(commands(english).iter().any(|command| command.starts_with(&run)), "no command for {name}");
    }
    let picture =
        |page: &'static str| page.lines().filter(|line| line.starts_with("    thread ")).collect::<Vec<_>>();
    assert_eq!(picture(english), picture(chinese));
}
