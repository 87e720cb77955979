//! `lab compare` from the outside: what it prints, what it leaves behind, how it takes nonsense and
//! interruptions.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::harness::{Descendant, Ended, LAB, Lab, descendants, lab, wait_until, wait_until_gone};

/// The smallest comparison that measures something.
const SHORT: [&str; 5] = ["compare", "--connections=4", "--duration=200ms", "--warm-up=20ms", "--rounds=2"];

fn short(arguments: &[&str]) -> Ended {
    lab(&[&SHORT[..], arguments].concat())
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout)
        .unwrap_or_else(|error| panic!("{error}: {:?} {}", ended.stdout, ended.stderr))
}

/// A lab that drives `fork` with four connections for a long time, and the five processes of that
/// server.
fn in_the_middle_of_a_run() -> (Lab, Vec<Descendant>) {
    let lab = Lab::start(&["compare", "--models=fork", "--connections=4", "--duration=10m"]);
    let servers = wait_until("the server serves four connections", || {
        Some(descendants(lab.pid())).filter(|tree| tree.len() >= 5)
    });
    (lab, servers)
}

#[test]
fn a_short_comparison_measures_every_model() {
    let ended = short(&["--json=-"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let document = json(&ended);
    assert_eq!(document["version"], 3);
    assert_eq!(document["settings"]["duration_s"], 0.2);
    let servers = document["points"][0]["servers"].as_array().unwrap();
    let names: Vec<_> = servers.iter().map(|server| server["id"].as_str().unwrap()).collect();
    let mut all = vec!["iterative", "fork", "prefork", "thread", "pool", "mio", "tokio", "tokio-workers"];
    all.extend(server_uring::available().is_ok().then_some("uring"));
    all.push("hybrid");
    assert_eq!(names, all);
    // A process or a thread for each of the four connections, or for each of the four workers, and
    // the one that accepts. Of server-hybrid's workers, as many as the cores that it was given,
    // each has a thread beside the one with the loop.
    let expected = |name: &str, processes: u64, workers: u64| match name {
        "fork" | "prefork" => (5, 5),
        "thread" | "pool" => (1, 5),
        // Those that it was given, and the one that accepts.
        "tokio-workers" => (1, workers + 1),
        "hybrid" => (processes.max(2), processes * 2 - 1),
        _ => (1, 1),
    };
    for (server, name) in servers.iter().zip(names) {
        let figures = &server["figures"];
        assert!(figures["requests_per_s"].as_f64().unwrap() > 100.0, "{server}");
        assert!(figures["server_cpu_ns_per_request"].as_f64().unwrap() > 100.0, "{server}");
        assert!(figures["p50_ns"].as_u64() <= figures["p99_ns"].as_u64(), "{server}");
        assert!(figures["peak_pss_bytes"].as_u64().unwrap() > 4096, "{server}");
        let [processes, threads] = ["processes", "threads"].map(|figure| figures[figure].as_u64().unwrap());
        assert_eq!(
            (processes, threads),
            expected(name, processes, server["workers"].as_u64().unwrap_or(0)),
            "{server}"
        );
        assert_eq!(server["rounds"].as_array().unwrap().len(), 2);
        assert!(server["failure"].is_null());
    }
    let best = servers.iter().filter(|server| server["figures"]["of_best"] == 1.0).count();
    assert!(best >= 1);
}

#[test]
fn the_table_has_a_row_for_each_server_and_says_what_was_measured() {
    let ended = short(&["--models=iterative,mio", "--details"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for expected in [
        "iterative ",
        "mio ",
        "4 connections",
        "64-byte requests",
        "1 connection instead of 4",
        "wrong: 0",
        "Linux",
    ] {
        assert!(ended.stdout.contains(expected), "no {expected:?} in\n{}", ended.stdout);
    }
    assert!(
        !ended.stdout.contains('\x1b') && ended.stderr.is_empty(),
        "colour or progress in a pipe: {}",
        ended.stderr
    );
    let is_last_line = |line: &str| ended.stdout.lines().last().unwrap().contains(line);
    assert_eq!(is_last_line("DEBUG BUILD"), cfg!(debug_assertions), "{}", ended.stdout);
}

#[test]
fn a_foreign_server_is_measured_beside_ours() {
    let server = format!("again={LAB} serve thread --listen 127.0.0.1:{{port}}");
    let ended = short(&["--models=thread", "--server", &server, "--json=-"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let foreign = &json(&ended)["points"][0]["servers"][1];
    assert_eq!(foreign["id"], "again");
    assert_eq!(foreign["is_foreign"], true);
    assert_eq!(foreign["figures"]["processes"], 1, "a shell is left between the lab and the server");
}

#[test]
fn a_foreign_server_that_echoes_is_measured_too() {
    if Command::new("python3").arg("--version").output().is_err() {
        let _ = writeln!(std::io::stderr(), "skipped: python3 is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("echo.py");
    let program = "import socketserver, sys\n\
        class Echo(socketserver.BaseRequestHandler):\n    \
            def handle(self):\n        \
                while data := self.request.recv(65536): self.request.sendall(data)\n\
        socketserver.ThreadingTCPServer(('127.0.0.1', int(sys.argv[1])), Echo).serve_forever()\n";
    fs::write(&script, program).unwrap();
    let server = format!("python=python3 {} {{port}}", script.display());
    let ended = short(&["--foreign-only", "--echo-server", &server]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("python "), "{}", ended.stdout);
}

#[test]
fn wrong_bytes_fail_the_comparison_and_are_counted() {
    // It upper-cases, where the lab is told to expect an echo.
    let server = format!("wrong={LAB} serve mio --listen 127.0.0.1:{{port}}");
    let ended = short(&["--models=mio", "--echo-server", &server, "--json=-"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("error: wrong: round 1: "), "{}", ended.stderr);
    let document = json(&ended);
    assert!(document["points"][0]["servers"][0]["figures"]["requests_per_s"].as_f64().unwrap() > 0.0);
    assert!(document["points"][0]["servers"][1]["failure"]["wrong_bytes"].as_u64().unwrap() > 0);
}

#[test]
fn a_server_that_does_not_start_is_told_in_one_line_and_the_others_are_measured() {
    let ended = short(&["--models=mio", "--server", "gone=sh -c 'echo no luck >&2; exit 3' {port}"]);
    assert_eq!(ended.code, Some(1));
    let why = "gone: round 1: the server ended with exit code 3 before it listened; its last words: no luck";
    assert_eq!(ended.stderr, format!("error: {why}\n"));
    assert!(ended.stdout.contains("mio ") && ended.stdout.contains("FAILED: gone"), "{}", ended.stdout);
    let alone = short(&["--foreign-only", "--server", "gone=sh -c 'echo no luck >&2; exit 3' {port}"]);
    assert_eq!((alone.code, alone.stderr), (Some(1), ended.stderr));
    assert!(!alone.stdout.contains("model"), "there is nothing to show: {}", alone.stdout);
}

#[test]
fn ctrl_c_leaves_no_process_and_ends_with_code_1() {
    let (lab, servers) = in_the_middle_of_a_run();
    kill(lab.pid(), Signal::SIGINT).unwrap();
    let ended = lab.end();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("error: interrupted after 0 of 3 runs"), "{}", ended.stderr);
    assert_eq!(servers.iter().filter(|server| server.lives()).count(), 0);
}

#[test]
fn ctrl_c_keeps_what_was_measured_so_far() {
    let folder = tempfile::tempdir().unwrap();
    let (json, report) = (folder.path().join("results.json"), folder.path().join("report.html"));
    // The first point is measured at once; the second opens more connections than the first, which
    // tells that it has begun.
    let lab = Lab::start(&[
        "compare",
        "--models=fork",
        "--connections=1,6",
        "--duration=2s",
        "--warm-up=0s",
        "--json",
        json.to_str().unwrap(),
        "--report",
        report.to_str().unwrap(),
    ]);
    let servers = wait_until("the second point is measured", || {
        Some(descendants(lab.pid())).filter(|tree| tree.len() >= 7)
    });
    kill(lab.pid(), Signal::SIGINT).unwrap();
    let ended = lab.end();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("error: interrupted after 1 of 6 runs"), "{}", ended.stderr);
    assert_eq!(servers.iter().filter(|server| server.lives()).count(), 0);
    assert!(ended.stdout.contains("fork "), "{}", ended.stdout);
    let document: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!((&document["interrupted"], &document["runs"]), (&Value::Bool(true), &Value::from(1)));
    let points = document["points"].as_array().unwrap();
    assert_eq!(points.len(), 1);
    assert!(points[0]["servers"][0]["figures"]["requests_per_s"].as_f64().unwrap() > 0.0);
    assert!(fs::read_to_string(&report).unwrap().contains("interrupted after 1 of 6 runs"));
}

#[test]
fn every_scenario_measures_what_it_promises() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    let ended = lab(&[
        "compare",
        "--scenarios=requests,pipeline,bulk,churn,idle,paced,slow,cpu,mixed",
        "--models=thread,mio",
        "--connections=4",
        "--duration=300ms",
        "--warm-up=10ms",
        "--rounds=1",
        "--json",
        path.to_str().unwrap(),
    ]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let document: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let points = document["points"].as_array().unwrap();
    let names: Vec<_> = points.iter().map(|point| point["scenario"].as_str().unwrap()).collect();
    let paced = ["paced"; 2];
    let expected =
        [&["requests", "pipeline", "bulk", "churn", "idle"][..], &paced, &["slow", "cpu", "mixed"]].concat();
    assert_eq!(names, expected);
    for point in points {
        let servers = point["servers"].as_array().unwrap();
        assert_eq!(servers.len(), 2);
        for server in servers {
            let figures = &server["figures"];
            let at_least = |name: &str, least: f64| {
                assert!(
                    figures[name].as_f64().unwrap() >= least,
                    "{name} of {} in {}",
                    server["id"],
                    point["scenario"]
                );
            };
            match point["scenario"].as_str().unwrap() {
                "idle" => assert!(figures["idle"]["kernel_own_bytes"].is_number() && figures["samples"] == 0),
                "bulk" => at_least("bytes_per_s", 1e6),
                // 20 microseconds of computing for each request, and whatever else it costs.
                "cpu" => at_least("server_cpu_ns_per_request", 20_000.0),
                "slow" => assert!(figures["alone"]["response_p99_ns"].as_u64() > Some(0)),
                "mixed" => at_least("bulk_bytes_per_s", 1e5),
                "paced" => {
                    let (offered, reached) = (
                        point["offered_per_s"].as_f64().unwrap(),
                        figures["requests_per_s"].as_f64().unwrap(),
                    );
                    assert!(reached < offered * 1.5, "{reached} of {offered} requests/s");
                }
                _ => at_least("requests_per_s", 100.0),
            }
        }
    }
}

#[test]
fn peers_that_are_found_take_part_and_those_that_are_not_are_named_with_the_remedy() {
    if Command::new("python3").arg("--version").output().is_err() {
        let _ = writeln!(std::io::stderr(), "skipped: python3 is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("peers")).unwrap();
    let program = "import socketserver, sys\n\
        class Shout(socketserver.BaseRequestHandler):\n    \
            def handle(self):\n        \
                while data := self.request.recv(65536): self.request.sendall(data.upper())\n\
        host, port = sys.argv[sys.argv.index('--listen') + 1].split(':')\n\
        socketserver.ThreadingTCPServer((host, int(port)), Shout).serve_forever()\n";
    fs::write(folder.path().join("peers/multithread.py"), program).unwrap();
    let mut command = Command::new(LAB);
    command.args(SHORT).args(["--models=thread", "--peers", "--json=-"]).current_dir(folder.path());
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let ended = Lab(child).end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let document = json(&ended);
    let peer = &document["points"][0]["servers"][1];
    assert_eq!((&peer["id"], &peer["is_foreign"]), (&Value::from("py-multithread"), &Value::Bool(true)));
    assert!(peer["figures"]["requests_per_s"].as_f64().unwrap() > 10.0);
    let left_out = document["left_out"].as_array().unwrap();
    assert_eq!(left_out.len(), 3, "{left_out:?}");
    assert!(left_out[0].as_str().unwrap().starts_with("py-sequential: there is no "), "{left_out:?}");
}

#[test]
fn a_killed_lab_leaves_no_process() {
    let (lab, servers) = in_the_middle_of_a_run();
    kill(lab.pid(), Signal::SIGKILL).unwrap();
    assert_eq!(lab.end().code, None);
    wait_until_gone(&servers);
}

#[test]
fn a_server_that_dies_is_told_and_its_other_processes_are_gone() {
    let (lab, servers) = in_the_middle_of_a_run();
    kill(Pid::from_raw(servers[0].pid), Signal::SIGKILL).unwrap();
    let ended = lab.end();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("fork: round 1: the server was ended by SIGKILL"), "{}", ended.stderr);
    wait_until_gone(&servers);
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let mut lab = Lab::start(&[&SHORT[..], &["--models=mio"]].concat());
    drop(lab.0.stdout.take());
    let ended = lab.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn json_goes_to_a_file_beside_the_table_and_a_wrong_path_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    fs::write(&path, "x".repeat(1 << 20)).unwrap();
    let ended = short(&["--models=mio", "--json", path.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("mio "));
    let document: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(document["points"][0]["servers"][0]["id"], "mio");

    let ended = lab(&["compare", "--duration=10m", "--json=/nonexistent/results.json"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("cannot write --json /nonexistent/results.json"), "{}", ended.stderr);
}

#[test]
fn nonsense_is_refused_with_code_2_and_a_line_that_names_the_option() {
    let nonsense: [(&[&str], &str); 10] = [
        (&["--duration=0s"], "--duration"),
        (&["--duration=5"], "--duration"),
        (&["--rounds=0"], "--rounds"),
        (&["--size=0"], "--size"),
        (&["--connections=-1"], "--connections"),
        (&["--models=spoon"], "--models"),
        (&["--server=x"], "--server"),
        (&["--server=x=sleep 9"], "{port}"),
        (&["--foreign-only"], "--foreign-only"),
        (&["--server=mio=./mine {port}"], "two servers are called mio"),
    ];
    for (arguments, named) in nonsense {
        let ended = lab(&[&["compare"], arguments].concat());
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(named), "{arguments:?}: {}", ended.stderr);
    }
}
