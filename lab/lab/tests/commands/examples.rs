//! What `lab --help` ends with: each example is run, one after the other, in one folder.

use std::env;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::harness::LAB;

#[test]
fn each_example_of_the_help_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    symlink(LAB, folder.path().join("lab")).unwrap();
    let help = Command::new(LAB).arg("--help").output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout);
    let (_, examples) = help.split_once("\nExamples:\n").unwrap();
    assert!(examples.lines().count() >= 3, "{examples}");
    let path = format!("{}:{}", folder.path().display(), env::var("PATH").unwrap());
    for example in examples.lines() {
        let run =
            Command::new("bash").args(["-c", example]).current_dir(folder.path()).env("PATH", &path).output();
        let run = run.unwrap();
        assert!(run.status.success(), "{example}\n{}", String::from_utf8_lossy(&run.stderr));
    }
    for file in ["churn.json", "churn.html", "deadlock.html"] {
        assert!(folder.path().join(file).metadata().unwrap().len() > 1_000, "{file}");
    }
}
