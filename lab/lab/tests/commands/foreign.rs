//! Foreign servers, started as people really start them, and ended with all that they have started.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::harness::{Descendant, LAB, Lab, descendants, lab, wait_until, wait_until_gone};

/// Long enough for the tick of 10 ms in which CPU time is counted.
const SHORT: [&str; 5] = ["compare", "--foreign-only", "--connections=2", "--rounds=2", "--duration=300ms"];

/// Compares a server that this command starts.
fn measured(command: &str) -> Value {
    let ended = lab(&[&SHORT[..], &["--server", &format!("it={command}"), "--json=-"]].concat());
    assert_eq!(ended.code, Some(0), "{command}: {}", ended.stderr);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    document["points"][0]["servers"][0].clone()
}

fn refused(command: &str) -> String {
    let ended = lab(&[&SHORT[..], &["--server", &format!("it={command}")]].concat());
    assert_eq!(ended.code, Some(1), "{command}: {}", ended.stdout);
    ended.stderr
}

/// A server of ours, as if it were foreign.
fn server() -> String {
    format!("{LAB} serve mio -q --listen 127.0.0.1:{{port}}")
}

/// The same as a program of Python's, which must be there for it.
fn python(folder: &Path, program: &str) -> Option<String> {
    if Command::new("python3").arg("--version").output().is_err() {
        let _ = writeln!(std::io::stderr(), "skipped: python3 is not installed");
        return None;
    }
    let path = folder.join("server.py");
    fs::write(&path, program).unwrap();
    Some(format!("python3 {} {{port}}", path.display()))
}

#[test]
fn a_command_is_written_as_for_a_shell() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("settings"),
        format!("server() {{ {LAB} serve mio -q --listen 127.0.0.1:$1; }}\n"),
    )
    .unwrap();
    let (server, folder) = (server(), folder.path().display());
    for command in [
        server.clone(),
        format!("exec {server}"),
        format!("SHOUT_IDLE_TIMEOUT=7s {server}"),
        format!("cd {folder} && {server}"),
        format!("({server})"),
        format!("ulimit -n 100; {server}"),
        format!(". {folder}/settings; server {{port}}"),
        format!("{server} 2>&1 | cat"),
    ] {
        let row = measured(&command);
        assert!(row["figures"]["requests_per_s"].as_f64().unwrap() > 10.0, "{command}: {row}");
        // The server, at most a shell and a part of a pipe; never the keeper.
        let processes = row["figures"]["processes"].as_u64().unwrap();
        assert!((1..=4).contains(&processes), "{command}: {processes} processes");
        assert!(row["figures"]["server_cpu_ns_per_request"].as_f64().unwrap() > 100.0, "{command}: {row}");
    }
    assert_eq!(
        measured(&server)["figures"]["processes"],
        1,
        "something is left between the lab and a simple command"
    );
}

/// Whoever runs this command line.
fn running(marker: &str) -> Vec<i32> {
    let named = |process: &procfs::process::Process| {
        process.cmdline().is_ok_and(|words| words.iter().any(|word| word.contains(marker)))
    };
    let all = procfs::process::all_processes().unwrap().flatten();
    all.filter(|process| named(process)).map(|process| process.pid).collect()
}

#[test]
fn what_has_left_its_group_or_its_parent_ends_with_the_comparison() {
    // A number of its own, in the command line of what is started here and of nothing else.
    for (number, command) in [
        "setsid --wait SERVER",
        "setsid SERVER",
        "SERVER & sleep 0.1; exit 0",
        "nohup sh -c 'SERVER & wait' >/dev/null",
    ]
    .into_iter()
    .enumerate()
    {
        let marker = format!("--idle-timeout {}{number}s", 100_000 + std::process::id() % 10_000 * 10);
        let command = command.replace("SERVER", &format!("{} {marker}", server()));
        let row = measured(&command);
        assert!(row["figures"]["server_cpu_ns_per_request"].as_f64().unwrap() > 100.0, "{command}: {row}");
        let seconds = marker.rsplit(' ').next().unwrap();
        wait_until("nobody is left", || running(seconds).is_empty().then_some(()));
    }
}

fn driven(command: &str) -> (Lab, Vec<Descendant>) {
    let server = format!("it={command}");
    let lab =
        Lab::start(&["compare", "--foreign-only", "--connections=1", "--duration=10m", "--server", &server]);
    let is_ours = |tree: &Vec<Descendant>| tree.iter().any(|one| one.name == "lab-mio");
    let tree = wait_until("the server serves", || Some(descendants(lab.pid())).filter(is_ours));
    (lab, tree)
}

#[test]
fn it_ends_when_the_lab_is_killed_too() {
    for signals in [&[Signal::SIGKILL][..], &[Signal::SIGINT, Signal::SIGINT]] {
        let (lab, tree) = driven(&format!("setsid --wait {}", server()));
        for signal in signals {
            kill(lab.pid(), *signal).unwrap();
        }
        wait_until_gone(&tree);
        drop(lab);
    }
}

#[test]
fn a_server_that_hides_its_memory_loses_that_column_only() {
    let folder = tempfile::tempdir().unwrap();
    let program = "import ctypes, sys, socketserver\nctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\n\
        class Handler(socketserver.BaseRequestHandler):\n def handle(self):\n  \
        while data := self.request.recv(65536):\n   self.request.sendall(data.upper())\n\
        class Server(socketserver.ThreadingTCPServer):\n allow_reuse_address = True\n daemon_threads = True\n\
        Server(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()\n";
    let Some(command) = python(folder.path(), program) else { return };
    // Root may read everything.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let user = (1_000_000 + std::process::id()).to_string();
    let mut lab = if nix::unistd::geteuid().is_root() {
        let mut lab = Command::new("setpriv");
        lab.args(["--reuid", &user, "--clear-groups", LAB]);
        lab
    } else {
        Command::new(LAB)
    };
    let ran = lab.args(SHORT).args(["--server", &format!("it={command}"), "--json=-"]).output();
    let Some(ran) = ran.ok().filter(|ran| !String::from_utf8_lossy(&ran.stderr).contains("ermission denied"))
    else {
        let _ = writeln!(std::io::stderr(), "skipped: no other user may run the lab where it lies");
        return;
    };
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let row = &document["points"][0]["servers"][0];
    assert!(row["figures"]["requests_per_s"].as_f64().unwrap() > 10.0, "{row}");
    assert!(row["figures"]["peak_pss_bytes"].is_null(), "{row}");
    assert!(document["notes"].to_string().contains("may not read the memory of it"), "{}", document["notes"]);
}

#[test]
fn who_cannot_be_measured_gets_a_line_that_says_why() {
    let said = refused(&format!("{LAB} serve mio -q --listen [::1]:{{port}} && sleep 20"));
    assert!(said.contains("it listens on ::1, and must on 127.0.0.1"), "{said}");
    let said = refused("no-such-program {port}");
    assert!(said.contains("exit code 127") && said.contains("not found"), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let once = "import socket, sys\nlistener = socket.create_server(('127.0.0.1', int(sys.argv[1])))\nlistener.accept()\n";
    let Some(command) = python(folder.path(), once) else { return };
    let said = refused(&command);
    assert!(said.contains(", and must serve many clients"), "{said}");
}
