//! Where the lab's results go: nothing old is lost, nothing new disappears, and a reader who leaves
//! is no error.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::harness::LAB;

const SHORT: &str = "-m mio -c 2 --rounds 1 --duration 150ms";

fn bash(folder: &Path, script: &str) -> Output {
    Command::new("bash").args(["-c", script, LAB]).current_dir(folder).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_reader_who_leaves_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    for command in [
        format!("compare {SHORT}"),
        format!("compare {SHORT} --json -"),
        "list".to_owned(),
        "million -c 50".to_owned(),
        "run counter".to_owned(),
    ] {
        let run = bash(folder.path(), &format!("\"$0\" {command} | true; exit ${{PIPESTATUS[0]}}"));
        assert_eq!(run.status.code(), Some(0), "{command}: {}", said(&run));
        assert!(!said(&run).contains("error"), "{command}: {}", said(&run));
    }
}

#[test]
fn a_closed_stdout_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let run = bash(folder.path(), "exec \"$0\" list >&-");
    assert_eq!(run.status.code(), Some(1));
    assert_eq!(said(&run), "error: standard output is closed: nothing could be printed\n");
}

#[test]
fn what_is_refused_leaves_the_old_results() {
    let folder = tempfile::tempdir().unwrap();
    for refused in
        ["million -c 9999999 --json keep", "compare --json keep --report ./keep", "report none --report keep"]
    {
        fs::write(folder.path().join("keep"), "old").unwrap();
        let run = bash(folder.path(), &format!("exec \"$0\" {refused}"));
        assert!(!run.status.success(), "{refused}");
        assert_eq!(fs::read_to_string(folder.path().join("keep")).unwrap(), "old", "{refused}");
    }
}

#[test]
fn names_that_are_no_text_are_names() {
    let folder = tempfile::tempdir().unwrap();
    let [json, page] =
        [&b"\xff.json"[..], b"\xff.html"].map(|name| folder.path().join(OsStr::from_bytes(name)));
    let mut lab = Command::new(LAB);
    lab.arg("compare").args(SHORT.split(' ')).arg("--json").arg(&json).arg("--report").arg(&page);
    let run = lab.output().unwrap();
    assert!(run.status.success(), "{}", said(&run));
    assert!(fs::read_to_string(json).unwrap().starts_with('{'));
    assert!(fs::read_to_string(page).unwrap().starts_with("<!DOCTYPE html>"));
}
