//! `client merge` as a program: logs of many clients are one result, and nothing that went wrong is
//! lost in it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use serde_json::Value;

use crate::support::server;

fn client(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
    command.args(arguments).current_dir(folder).env_remove("SHOUT_CONNECT").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The logs of three clients that loaded one server together, `0.hlog` to `2.hlog`.
fn three() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let address = server().to_string();
    thread::scope(|scope| {
        for rank in ["0", "1", "2"] {
            let (path, address) = (folder.path(), &address);
            scope.spawn(move || {
                let load = ["load", address, "-c", "6", "-r", "300", "-d", "1500ms", "--start-in", "500ms"];
                let ranked = ["--ranks", "3", "--rank", rank, "--hdr", "{rank}.hlog"];
                let output = client(path, &[load.as_slice(), &ranked].concat());
                assert!(output.status.success(), "{}", text(&output.stderr));
                assert!(text(&output.stdout).starts_with(&format!("rank {rank} of 3 (--rank)\n")));
            });
        }
    });
    folder
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)))
}

#[test]
fn three_ranks_are_one_result_in_files_in_a_folder_and_in_a_stream() {
    let folder = three();
    let path = folder.path();
    let merged = client(path, &["merge", "0.hlog", "1.hlog", "2.hlog", "--expect", "3", "--json", "-"]);
    assert_eq!(merged.status.code(), Some(0), "{}", text(&merged.stderr));
    let merged = json(&merged);
    assert_eq!(
        (&merged["ok"], &merged["logs"], &merged["missing"]),
        (&true.into(), &3.into(), &Value::Array(vec![]))
    );
    let requests: u64 =
        (0..3).map(|rank| merged["clients"][rank]["load"]["requests"].as_u64().unwrap()).sum();
    assert_eq!(merged["requests"], requests);
    assert!((400..=500).contains(&requests), "{requests}");
    let seed = |rank: usize| merged["clients"][rank]["load"]["load"]["seed"].as_u64().unwrap();
    assert!(seed(0) != seed(1) && seed(1) != seed(2));
    let same = client(path, &["merge", ".", "--json", "-"]);
    assert_eq!(json(&same)["requests"], requests);

    let stream: Vec<u8> =
        (0..3).flat_map(|rank| fs::read(path.join(format!("{rank}.hlog"))).unwrap()).collect();
    fs::write(path.join("stream"), stream).unwrap();
    let input = fs::File::open(path.join("stream")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
    let output = command.args(["merge", "-", "--json", "-"]).stdin(input).output().unwrap();
    assert_eq!((&json(&output)["requests"], &json(&output)["logs"]), (&requests.into(), &3.into()));
}

#[test]
fn who_is_missing_is_named_and_the_rest_is_merged() {
    let folder = three();
    let path = folder.path();
    let whole = fs::read(path.join("2.hlog")).unwrap();
    for left in [0, whole.len() / 2] {
        fs::write(path.join("2.hlog"), &whole[..left]).unwrap();
        let output = client(path, &["merge", "0.hlog", "1.hlog", "2.hlog"]);
        let stdout = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{stdout}");
        assert!(stdout.starts_with("2 logs that cover ") && stdout.contains("missing: 2.hlog: "), "{stdout}");
    }
    let output = client(path, &["merge", "0.hlog", "1.hlog"]);
    assert!(text(&output.stdout).contains("missing: rank 2: there are 3"), "{}", text(&output.stdout));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_cannot_be_one_result_is_refused_in_one_line() {
    let folder = three();
    let path = folder.path();
    fs::copy(path.join("0.hlog"), path.join("same.hlog")).unwrap();
    client(
        path,
        &["load", &server().to_string(), "-c", "1", "-s", "9", "-d", "1500ms", "--hdr", "other.hlog"],
    );
    for (logs, why) in [
        (["0.hlog", "same.hlog"], "0.hlog and same.hlog are the same log"),
        (["0.hlog", "other.hlog"], "the loads are not alike: address is "),
    ] {
        let output = client(path, &["merge", logs[0], logs[1]]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(why) && stderr.trim_end().lines().count() == 1, "{stderr}");
    }
    let forced = client(path, &["merge", "0.hlog", "other.hlog", "--force"]);
    assert!(text(&forced.stdout).contains("2 logs"), "{}", text(&forced.stderr));
}

#[test]
fn a_client_that_failed_makes_the_merged_result_fail() {
    let folder = three();
    let path = folder.path();
    let log = fs::read_to_string(path.join("1.hlog")).unwrap();
    let wrong =
        log.replacen("\"ok\":true", "\"ok\":false", 1).replacen("\"wrong_bytes\":0", "\"wrong_bytes\":8", 1);
    fs::write(path.join("1.hlog"), wrong).unwrap();
    let output = client(path, &["merge", "."]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert!(stdout.contains("errors: 8 wrong bytes") && stdout.contains("failed: rank 1: "), "{stdout}");
}

#[test]
fn what_was_said_may_look_like_the_beginning_of_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let address = server().to_string();
    let load = ["load", &address, "-c", "1", "-n", "5", "--message", "#[client load] {", "--hdr", "log"];
    assert!(client(folder.path(), &load).status.success());
    let merged = client(folder.path(), &["merge", "log", "--json", "-"]);
    assert_eq!(merged.status.code(), Some(0), "{}", text(&merged.stderr));
    assert_eq!(json(&merged)["requests"], 5);
}
