//! `client load` and `client merge` as programs: exit codes, files, one line for each error.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{nobody, server};

fn client(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_client")).args(arguments).env_remove("SHOUT_CONNECT").output().unwrap()
}

fn is_one_error_line(output: &Output, code: i32) -> String {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.starts_with("error: ") && stderr.trim_end().lines().count() == 1, "{stderr}");
    stderr
}

#[test]
fn a_load_writes_its_result_in_every_form_and_merge_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let address = server().to_string();
    let mut requests = 0;
    let logs = [file("a.hlog"), file("b.hlog")];
    for log in &logs {
        let output = client(&[
            "load",
            &address,
            "-c",
            "5",
            "-n",
            "2000",
            "-d",
            "20s",
            "--json",
            "-",
            "--hdr",
            log,
            "--hgrm",
            &file("hgrm"),
        ]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (&json["version"], &json["ok"], &json["requests"]),
            (&1.into(), &true.into(), &2000.into())
        );
        assert_eq!(json["response_ns"]["count"], 2000);
        assert_eq!(json["service_ns"], Value::Null);
        assert_eq!(json["errors"]["wrong_bytes"], 0);
        assert!(String::from_utf8_lossy(&output.stderr).contains("response time"));
        requests += 2000;
    }
    let distribution = std::fs::read_to_string(file("hgrm")).unwrap();
    assert!(distribution.contains("1/(1-Percentile)") && distribution.contains("#[Mean"));
    let output = client(&["merge", &logs[0], &logs[1], "--json", &file("json"), "--hgrm", &file("all.hgrm")]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("4000 requests"));
    let json: Value = serde_json::from_slice(&std::fs::read(file("json")).unwrap()).unwrap();
    assert_eq!((&json["tags"][0]["tag"], &json["tags"][0]["count"]), (&"response".into(), &requests.into()));
    assert!(Path::new(&file("all.hgrm")).exists());
}

#[test]
fn what_cannot_be_done_is_said_in_one_line() {
    assert!(is_one_error_line(&client(&["load", &nobody().to_string()]), 1).contains("refused"));
    let address = server().to_string();
    assert!(is_one_error_line(&client(&["load", &address, "-c", "1000000"]), 2).contains("--connections"));
    assert!(
        is_one_error_line(&client(&["load", &address, "--json", "/nowhere/x"]), 1).contains("/nowhere/x")
    );
    assert!(
        is_one_error_line(&client(&["load", &address, "--echo", "-d", "100ms"]), 1).contains("wrong bytes")
    );
    assert!(is_one_error_line(&client(&["merge", "/nowhere/x"]), 1).contains("/nowhere/x"));
    assert!(is_one_error_line(&client(&["merge", "Cargo.toml"]), 1).contains("Cargo.toml"));
}

#[test]
fn a_wrong_call_is_a_usage_error_that_names_the_option() {
    for (arguments, named) in [
        (&["load", "--size", "0"][..], "--size"),
        (&["load", "--size", "65MiB"], "--size"),
        (&["load", "--rate", "-1"], "--rate"),
        (&["load", "--rate", "nan"], "--rate"),
        (&["load", "--duration", "10"], "--duration"),
        (&["load", "--start-at", "tomorrow"], "--start-at"),
        (&["load", "--requests", "0"], "--requests"),
        (&["load", "--stages", "5"], "--stages"),
        (&["load", "--stages", "1s:0"], "--stages"),
        (&["load", "--stages", "1s:5", "--rate", "5"], "--rate"),
        (&["load", "--think-time", "1ms", "--rate", "5"], "--rate"),
        (&["load", "--payload", "/nowhere/x"], "No such file"),
        (&["load", "--payload-lines"], "--payload"),
        (&["load", "--fail-if", "p98>5ms"], "--fail-if"),
        (&["load", "--interval", "1ms"], "--interval"),
        (&["load", "--rank", "1"], "--ranks"),
        (&["load", "--rank", "2", "--ranks", "2"], "numbered from 0"),
        (&["load", "http://127.0.0.1:80/"], "is a URL"),
        (&["load", "127.0.0.1"], "has no port"),
        (&["load", "no-such-name.invalid:80"], "cannot find the address"),
        (&["laod"], "talk, pipe, load, merge, hold"),
        (&["load", "--new-connection-each", "--pipeline", "2"], "--pipeline"),
        (&["load", "nonsense"], "ADDR"),
        (&["merge"], "LOG"),
    ] {
        let output = client(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(named), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_rate_that_nobody_can_send_ends_in_time_and_is_said() {
    let begun = std::time::Instant::now();
    let output = client(&["load", &server().to_string(), "-c", "3", "-r", "1e9", "-d", "1s", "--json", "-"]);
    // A second for the measurement, two for the last answers, and a busy machine.
    assert!(begun.elapsed().as_secs() < 6, "{:?}", begun.elapsed());
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["unanswered"].as_u64().unwrap() > 900_000_000, "{json}");
}

#[test]
fn a_condition_that_holds_is_a_line_and_the_exit_code() {
    let address = server().to_string();
    let load = |conditions: &[&str]| {
        let mut arguments = vec!["load", &address, "-c", "2", "-n", "1k", "-d", "20s"];
        conditions.iter().for_each(|condition| arguments.extend(["--fail-if", condition]));
        client(&arguments)
    };
    assert_eq!(load(&["errors>0", "p99>10s", "requests<1k"]).status.code(), Some(0));
    let output = load(&["p50>0s", "errors>0", "requests>=1k"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 2), "{stderr}");
    assert!(stderr.contains("error: requests>=1k (--fail-if): it is 1,000"), "{stderr}");
}

#[test]
fn a_series_has_a_row_for_each_interval_and_all_of_the_load() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("series.csv");
    let output = client(&[
        "load",
        &server().to_string(),
        "-r",
        "500",
        "-d",
        "450ms",
        "--interval",
        "100ms",
        "--ndjson",
        "-",
        "--csv",
        csv.to_str().unwrap(),
        "--progress",
    ]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let rows: Vec<Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    let sum = |name: &str| rows.iter().filter_map(|row| row[name].as_u64()).sum::<u64>();
    assert!((5..=9).contains(&rows.len()), "{rows:?}");
    assert!(sum("sent") >= 224 && sum("sent") == sum("answered"), "{rows:?}");
    assert_eq!(std::fs::read_to_string(&csv).unwrap().lines().count(), rows.len() + 1);
    assert_eq!(
        stderr.lines().filter(|line| line.contains(" requests/s, p99 ")).count(),
        rows.len(),
        "{stderr}"
    );
}

#[test]
fn bytes_that_are_no_text_can_be_sent() {
    use std::os::unix::ffi::OsStrExt;
    let message = std::ffi::OsStr::from_bytes(b"-n \xff\xfe z");
    let output = Command::new(env!("CARGO_BIN_EXE_client"))
        .args(["load", &server().to_string(), "-n", "5", "-c", "1", "--message"])
        .arg(message)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
