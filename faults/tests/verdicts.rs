//! The program as its users see it: what is wrong is called so, what is right is not, and a row's
//! command repeats it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// The misbehaving server as a program of its own, and its path; it is there as long as the folder
/// is.
fn misbehaving() -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("there is a folder for it");
    let path = folder.path().join("misbehaving-server");
    let script = format!("#!/bin/sh\nexec '{}' misbehave \"$@\"\n", env!("CARGO_BIN_EXE_faults"));
    fs::write(&path, script).expect("there is room for it");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let path = path.to_string_lossy().into_owned();
    (folder, path)
}

fn faults(arguments: &[&str], manner: &str) -> (Output, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faults"));
    let output =
        command.args(arguments).env("MISBEHAVE", manner).output().expect("the program can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, text)
}

/// `accept4` of the misbehaving server fails with EMFILE.
fn calls(manner: &str, span: &str) -> (Output, String) {
    let (_folder, program) = misbehaving();
    let program = ["calls", "--program", &program];
    let row = ["--call", "accept4", "--errno", "EMFILE", "--nth", "2", "--phase", "serve", span];
    faults(&[&program[..], &row[..]].concat(), manner)
}

#[track_caller]
fn assert_bad(manner: &str, span: &str, verdict: &str) {
    let (output, text) = calls(manner, span);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&format!("!! 1 {verdict}")), "{text}");
    assert!(text.contains("-p faults -- calls --server"), "{text}");
    assert!(text.contains(&format!("--call accept4 --errno EMFILE --nth 2 {span} --phase serve")), "{text}");
}

fn passes(arguments: &[&str]) {
    let (output, text) = faults(arguments, "");
    assert_eq!(output.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains("!!"), "{text}");
}

#[test]
fn a_server_that_spins_is_called_so() {
    assert_bad("spins", "--ever", "spun");
}

#[test]
fn a_server_that_dies_is_called_so() {
    assert_bad("dies", "--once", "died");
}

#[test]
fn a_server_that_serves_nobody_any_more_is_called_so() {
    assert_bad("hangs", "--ever", "hung");
}

#[test]
fn a_server_that_answers_wrong_is_called_so() {
    assert_bad("is wrong", "--once", "wrong bytes");
}

#[test]
fn a_server_that_floods_its_log_is_called_so() {
    assert_bad("floods", "--once", "log flood");
}

#[test]
fn a_server_that_does_not_stop_is_called_so() {
    assert_bad("is deaf", "--once", "slow stop");
}

#[test]
fn a_server_that_waits_and_goes_on_is_called_so() {
    for span in ["--once", "--ever"] {
        let (output, text) = calls("", span);
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(text.contains("1 paused") && !text.contains("!!"), "{text}");
    }
}

#[test]
fn a_stop_that_loses_answers_is_called_so() {
    let (_folder, program) = misbehaving();
    let (output, text) = faults(&["storm", "stops", "--program", &program, "--minutes", "0.05"], "");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("!! Pours: lost") || text.contains("!! Chats: lost"), "{text}");
}

#[test]
fn rows_of_every_kind_are_written_as_json() {
    let folder = tempfile::tempdir().expect("there is a folder for it");
    let file = folder.path().join("rows.json");
    let path = file.to_string_lossy().into_owned();
    let row = ["calls", "--server", "mio", "--server", "fork", "--call", "accept4", "--nth", "1", "--once"];
    let (output, text) = faults(
        &[&row[..], &["--errno", "ENFILE", "--phase", "serve", "--seed", "5", "--json", &path]].concat(),
        "",
    );
    assert_eq!(output.status.code(), Some(0), "{text}");
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).expect("it is written")).expect("it is JSON");
    assert_eq!(json["seed"], 5);
    let rows = json["rows"].as_array().expect("there are rows");
    assert_eq!(rows.len(), 2, "{text}");
    for row in rows {
        assert_eq!(
            (&row["call"], &row["errno"], &row["phase"]),
            (&"accept4".into(), &"ENFILE".into(), &"serve".into())
        );
        assert_eq!(row["verdict"], "paused", "{text}");
    }
}

#[test]
fn what_was_found_before_ctrl_c_is_shown() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faults"));
    command.args(["calls", "--server", "mio", "--jobs", "2"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = command.spawn().expect("the program can be started");
    let mut told = BufReader::new(run.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
    assert!(told.any(|line| line.contains(" rows, 2 at a time")));
    kill(Pid::from_raw(i32::try_from(run.id()).expect("it fits")), Signal::SIGINT).expect("it runs");
    // The rows that have begun are in it.
    assert!(told.any(|line| line.contains(" rows, seed ")));
    let output = run.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(" rows, 0 bad"), "{text}");
}

#[test]
fn a_storm_that_ctrl_c_ends_tells_what_it_found() {
    let folder = tempfile::tempdir().expect("there is room for a directory");
    let file = folder.path().join("storms.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_faults"));
    command.args(["storm", "stops", "freezes", "--server", "mio", "--minutes", "60", "--json"]).arg(&file);
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be started");
    let mut told = BufReader::new(run.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    assert!(told.any(|line| line.starts_with("storm ")));
    std::thread::sleep(std::time::Duration::from_millis(300));
    kill(Pid::from_raw(i32::try_from(run.id()).expect("it fits")), Signal::SIGINT).expect("it runs");
    assert!(told.any(|line| line.ends_with(" 0 failures")));
    let output = run.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "error: interrupted\n");
    let found = fs::read_to_string(file).expect("it was written");
    assert_eq!(found.matches("\"storm\"").count(), 1, "the first storm alone: {found}");
}

#[test]
fn what_does_not_exist_is_refused_with_what_there_is() {
    for (arguments, told) in [
        (["calls", "--server", "nginx"], "there are iterative, fork"),
        (["calls", "--call", "fork"], "there are accept4, recvfrom"),
        (["calls", "--errno", "ENOTHING"], "no call's manual page names ENOTHING"),
    ] {
        let (output, _) = faults(&arguments, "");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(told), "{said}");
    }
}

#[test]
fn without_strace_it_says_how_to_get_it() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faults"));
    let output = command.arg("calls").env("PATH", "/nonexistent").output().expect("it can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("apt-get install strace"), "{said}");
}

#[test]
fn a_runtime_that_loses_its_event_queue_ends_the_server() {
    let folder = tempfile::tempdir().expect("there is room for a directory");
    let json = folder.path().join("rows.json");
    let row = ["--call", "epoll_wait", "--errno", "EINVAL", "--nth", "2,5", "--once", "--phase", "serve"];
    let json = json.to_str().expect("it is UTF-8");
    let servers = ["calls", "--server", "tokio", "--server", "tokio-workers", "--json", json];
    passes(&[&servers[..], &row[..]].concat());
    let found = fs::read_to_string(json).expect("it was written");
    // Not by tokio's own abort, which there is in debug builds only.
    assert_eq!(found.matches("Code(101)").count(), 4, "{found}");
}

#[test]
fn tiny_pieces_pass_over_a_server_that_is_right() {
    passes(&["short", "--server", "iterative", "--server", "prefork", "--minutes", "0.1"]);
}

#[test]
fn storms_pass_over_a_server_that_is_right() {
    for arguments in [
        &["storm", "kills", "--server", "prefork", "--minutes", "0.1"][..],
        &["storm", "freezes", "--server", "hybrid", "--minutes", "0.05"],
        &["storm", "descriptors", "--server", "mio", "--minutes", "0.05"],
        &["storm", "processes", "--server", "hybrid", "--minutes", "0.05"],
        &["storm", "slow", "--server", "uring", "--minutes", "0.05"],
    ] {
        passes(arguments);
    }
}
