//! Where results go: nothing old is lost, nothing new disappears.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::nobody;

const CLIENT: &str = env!("CARGO_BIN_EXE_client");

/// By a shell, in a folder of its own.
fn shell(folder: &Path, script: &str) -> Output {
    Command::new("sh").args(["-c", script, CLIENT]).current_dir(folder).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_load_that_cannot_begin_leaves_the_old_results() {
    let folder = tempfile::tempdir().unwrap();
    for option in ["json", "hdr", "hgrm"] {
        fs::write(folder.path().join("keep"), "old").unwrap();
        let run = shell(folder.path(), &format!("exec \"$0\" load {} --{option} keep", nobody()));
        assert_eq!(run.status.code(), Some(1), "{}", said(&run));
        assert_eq!(fs::read_to_string(folder.path().join("keep")).unwrap(), "old", "--{option}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn two_results_for_one_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = shell(folder.path(), &format!("exec \"$0\" load {} --json x --hdr ./x", nobody()));
    assert_eq!((run.status.code(), said(&run).lines().count()), (Some(2), 1), "{}", said(&run));
    assert!(said(&run).contains("--json and --hdr name the same file"), "{}", said(&run));
}

#[test]
fn a_closed_stdout_is_an_error_and_a_thrown_away_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["pipe 127.0.0.1:1", "load 127.0.0.1:1", "127.0.0.1:1", "merge log"] {
        let run = shell(folder.path(), &format!("exec \"$0\" {command} </dev/null >&-"));
        assert_eq!(run.status.code(), Some(1), "{command}: {}", said(&run));
        assert_eq!(said(&run), "error: standard output is closed: nothing could be printed\n", "{command}");
    }
    for away in ["/dev/null", "'&1' 1<>/dev/null"] {
        let run = shell(folder.path(), &format!("exec \"$0\" --version >{away}"));
        assert!(run.status.success(), "{}", said(&run));
    }
}

#[test]
fn a_name_that_is_no_text_is_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join(OsStr::from_bytes(b"\xff.log"));
    fs::write(&name, "no log").unwrap();
    let run = Command::new(CLIENT).arg("merge").arg(&name).output().unwrap();
    assert!(said(&run).contains("log"), "{}", said(&run));
    let json = folder.path().join(OsStr::from_bytes(b"\xfe.json"));
    let run =
        Command::new(CLIENT).args(["load", &nobody().to_string(), "--json"]).arg(&json).output().unwrap();
    assert_eq!(run.status.code(), Some(1));
    assert!(!json.exists());
}
