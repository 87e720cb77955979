//! `lab million`, with fewer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::Process;
use serde_json::Value;

use crate::harness::{Descendant, Ended, LAB, Lab, descendants, lab, wait_until, wait_until_gone};

fn million(arguments: &[&str]) -> Ended {
    lab(&[&["million", "--json=-"], arguments].concat())
}

fn document(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

/// Makes sure that all went well with that many connections.
fn check(ended: &Ended, connections: u64) -> Value {
    assert_eq!(ended.code, Some(0), "{}{}", ended.stderr, ended.stdout);
    let document = document(ended);
    for phase in ["opened", "asked", "closed"] {
        assert_eq!(document[phase]["done"], connections, "{document}");
        assert_eq!(document[phase]["failed"], 0, "{document}");
        let [p50, p99, max] =
            ["p50_ns", "p99_ns", "max_ns"].map(|name| document[phase][name].as_u64().unwrap());
        assert!(0 < p50 && p50 <= p99 && p99 <= max, "{document}");
    }
    let counts = format!("accepted={connections} completed={connections} failed=0 timed_out=0");
    assert!(document["status"].as_str().unwrap().contains(&counts), "{document}");
    document
}

/// A lab in the middle of opening or holding connections, and all of its processes.
fn in_the_middle_of_a_run() -> (Lab, Vec<Descendant>) {
    let lab = Lab::start(&["million", "--connections=10000", "--in-flight=1"]);
    let is_client = |process: &Descendant| process.name == "lab-hold";
    let serves = |process: &Descendant| {
        let holds = Process::new(process.pid).and_then(|it| it.fd_count());
        !is_client(process) && holds.is_ok_and(|descriptors| descriptors > 500)
    };
    let begun = |tree: &Vec<Descendant>| tree.iter().any(is_client) && tree.iter().any(serves);
    let tree = wait_until("hundreds are connected", || Some(descendants(lab.pid())).filter(begun));
    (lab, tree)
}

#[test]
fn two_hundred_conversations_are_opened_weighed_asked_and_closed() {
    let document = check(&million(&["--connections=200", "--seed=7"]), 200);
    assert!(document["growth"]["kernel_bytes"].is_number() && document["limits"]["files"].is_number());
    assert_eq!(document["seed"], 7);
    assert!(document["failures"].as_array().unwrap().is_empty());
}

#[test]
fn a_single_conversation_is_enough() {
    check(&million(&["--connections=1"]), 1);
}

#[test]
fn the_text_says_what_was_planned_and_what_was_found() {
    let ended = lab(&["million", "--connections=100"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for part in [
        "100 connections",
        "open files, whole system",
        "fs.file-max",
        "opening  100 open and greeted",
        "resting  memory of each conversation",
        "asking   100 asked",
        "closing  100 ended",
        "accepted=100 completed=100 failed=0",
    ] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
}

#[test]
fn more_than_fits_is_refused_with_the_resource_and_its_number() {
    let ended = lab(&["million", "--connections=10000000"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.starts_with("error: 10,000,000 connections do not fit: "), "{ended:?}");
    assert!(ended.stderr.contains("would do for") && ended.stderr.lines().count() == 1, "{ended:?}");
    assert!(!ended.stdout.contains("\nopening "), "{ended:?}");
}

#[test]
fn the_plan_alone_starts_nothing() {
    let ended = lab(&["million", "--plan", "--connections=100"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("descriptors per server process") && !ended.stdout.contains("\nopening "));
    let document = document(&million(&["--plan"]));
    let planned = document["plan"]["layout"]["connections"].as_u64().unwrap();
    assert!((1..=1_000_000).contains(&planned) && document["opened"].is_null(), "{document}");
}

#[test]
fn a_model_that_holds_a_fixed_number_is_a_usage_error() {
    let ended = lab(&["million", "--model=iterative"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("--model iterative"), "{ended:?}");
}

#[test]
fn ctrl_c_ends_all_its_processes_and_says_how_far_it_came() {
    let (lab, tree) = in_the_middle_of_a_run();
    kill(lab.pid(), Signal::SIGINT).unwrap();
    let ended = lab.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("interrupted"), "{ended:?}");
    wait_until_gone(&tree);
}

#[test]
fn a_killed_lab_leaves_nobody() {
    let (mut lab, tree) = in_the_middle_of_a_run();
    lab.0.kill().unwrap();
    wait_until_gone(&tree);
}

#[test]
fn a_server_that_dies_is_said_to_have_died() {
    let (lab, tree) = in_the_middle_of_a_run();
    let server = tree.iter().find(|process| process.name != "lab-hold").unwrap();
    kill(Pid::from_raw(server.pid), Signal::SIGKILL).unwrap();
    let ended = lab.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("the server was ended by SIGKILL"), "{ended:?}");
    wait_until_gone(&tree);
}

#[test]
fn a_server_that_stops_answering_ends_it_with_a_line() {
    let (lab, tree) = in_the_middle_of_a_run();
    for server in tree.iter().filter(|process| process.name != "lab-hold") {
        let _ = kill(Pid::from_raw(server.pid), Signal::SIGSTOP);
    }
    let ended = lab.end();
    assert_eq!(ended.code, Some(1));
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.starts_with("error: ") && last.contains("no answer for 15s"), "{}", ended.stderr);
    wait_until_gone(&tree);
}

/// A client process whose descriptors do not suffice, spoken to as the lab would.
#[test]
fn a_client_that_runs_out_of_descriptors_says_so_and_goes_on_with_what_it_has() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let script = "ulimit -n 30 && exec \"$0\" hold --dies-with \"$@\" --orders --first=500 --connections=100 --opening=1";
    let (parent, address) = (std::process::id().to_string(), listener.local_addr().unwrap().to_string());
    let mut command = Command::new("sh");
    command.args(["-c", script, LAB, &parent, &address]);
    let mut lab = Lab(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    // It answers each client's greeting, and keeps it until this process ends.
    thread::spawn(move || {
        let mut clients = Vec::new();
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut message = [0; 64];
            client.read_exact(&mut message).unwrap();
            message.make_ascii_uppercase();
            client.write_all(&message).unwrap();
            clients.push(client);
        }
    });
    let mut lines = BufReader::new(lab.0.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "\"ready\"");
    let stdin = lab.0.stdin.as_mut().unwrap();
    stdin.write_all(b"open\n").unwrap();
    let account = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let account = account.map(|word| word["done"].clone()).find(|done| !done.is_null()).unwrap();
    let done = account["done"].as_u64().unwrap();
    assert!((10..30).contains(&done), "{account}");
    assert_eq!(account["failed"], 1, "{account}");
    let first = account["first_failure"].as_str().unwrap();
    assert!(first.starts_with(&format!("connection {}: cannot connect", 500 + done)), "{account}");
    assert!(first.contains("no free descriptor"), "{account}");
}

#[test]
fn a_lower_limit_on_descriptors_makes_more_processes() {
    for (descriptors, connections) in [(300, 1000), (100, 200)] {
        let script =
            format!("ulimit -n {descriptors} && exec \"$0\" million --connections={connections} --json=-");
        let mut command = Command::new("sh");
        command.args(["-c", &script, LAB]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let document = check(&Lab(command.spawn().unwrap()).end(), connections);
        let layout = &document["plan"]["layout"];
        assert!(layout["server_processes"].as_u64().unwrap() >= 5, "{document}");
        assert!(layout["client_processes"].as_u64().unwrap() >= 5, "{document}");
        assert_eq!(document["workers"]["processes"], layout["server_processes"]);
        assert!(document["workers"]["most"].as_u64().unwrap() < descriptors, "{document}");
    }
}

#[test]
fn twenty_thousand_conversations_are_held_by_several_processes() {
    let arguments = ["--connections=20000", "--processes=3"];
    let plan = million(&[&arguments[..], &["--plan"]].concat());
    if plan.code != Some(0) {
        // Not by `eprintln`, whose words the test harness keeps to itself when a test passes.
        let _ = writeln!(std::io::stderr(), "skipped: twenty thousand: {}", plan.stderr);
        return;
    }
    let document = check(&million(&arguments), 20_000);
    assert!(document["plan"]["layout"]["client_processes"].as_u64().unwrap() >= 2);
    let [least, most] = ["least", "most"].map(|name| document["workers"][name].as_u64().unwrap());
    assert_eq!(document["workers"]["processes"], 3);
    assert!((4_000..=most).contains(&least) && most < 9_000, "{document}");
    // A socket costs the kernel some kilobytes, whatever else this machine does meanwhile.
    let kernel = document["growth"]["kernel_bytes"].as_f64().unwrap();
    assert!((3_000.0..30_000.0).contains(&kernel), "{document}");
}
