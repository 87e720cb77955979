//! `lab run --all`: each experiment in turn, and each as expected.
#![allow(clippy::unwrap_used, reason = "a test that cannot read is a test that fails")]

mod lesson;

use harness::lang::Lang;
use lessons::EXPERIMENTS;

use lesson::lab;

#[test]
fn all_experiments_are_run_and_as_expected() {
    let ended = lab(&["run", "--all", "--width=80"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stderr, ended.stdout);
    for entry in EXPERIMENTS {
        assert!(
            ended.stdout.contains(&format!("{}: {}", entry.name, &entry.question(Lang::En)[..20])),
            "{}",
            ended.stdout
        );
    }
    assert_eq!(ended.stdout.matches("verdict: as expected").count(), EXPERIMENTS.len());
}
