//! `deploy/kubernetes`: no cluster is here, so the manifests are held against the schemas, and the
//! commands in them are run as a cluster would.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tests::deploy::{bounded, installed, python, root, told};
use tests::{Kind, Model, Server};

const CLIENT: &str = env!("CARGO_BIN_EXE_tested-client");

/// Reads a manifest, validates it, and prints its documents as JSON. It fails where a document is
/// not what its schema allows, where there is no schema, or where a field that nobody knows is
/// allowed.
const READ: &str = "
import json, sys
import kubernetes_validate, yaml
version = kubernetes_validate.latest_version()
documents = list(yaml.safe_load_all(open(sys.argv[1])))
for document in documents:
    kubernetes_validate.validate(document, version, strict=True)
    document['spec']['nobodyKnowsThis'] = 1
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError:
        del document['spec']['nobodyKnowsThis']
    else:
        sys.exit('an unknown field was allowed')
print(json.dumps(documents))
";

/// The documents of a manifest as it is applied, with a moment for `$START`.
fn manifest(name: &str, start: &str) -> Option<Value> {
    let envsubst = installed("envsubst")?;
    let file = fs::File::open(root().join("deploy/kubernetes").join(name)).expect("it is there");
    let output = Command::new(envsubst).arg("$START").env("START", start).stdin(file).output();
    let text = output.expect("it can be started").stdout;
    assert!(text.starts_with(b"# No cluster has run this yet."), "{name}");
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = folder.path().join(name);
    fs::write(&path, text).expect("it can be written");
    let json = python(READ, &[&path])?;
    Some(serde_json::from_slice(&json).expect("it is JSON"))
}

fn words(list: &Value) -> Vec<String> {
    let words = list.as_array().unwrap_or_else(|| panic!("{list} is no list"));
    words.iter().map(|word| word.as_str().expect("each is text").to_owned()).collect()
}

fn server() -> Server {
    let model = Model { kind: Kind::Thread, program: env!("CARGO_BIN_EXE_tested-server-thread") };
    Server::start(model, &[])
}

#[test]
fn the_job_is_valid_and_its_pods_logs_are_one_result() {
    let start = SystemTime::now() + Duration::from_secs(5);
    let start = start.duration_since(SystemTime::UNIX_EPOCH).expect("it is later").as_secs().to_string();
    let Some(job) = manifest("load.yaml", &start) else { return };
    let (spec, server) = (&job[0]["spec"], server());
    let container = &spec["template"]["spec"]["containers"][0];
    let pods = spec["completions"].as_u64().expect("it is a number");
    let mut arguments = words(&container["args"]);
    for argument in &mut arguments {
        // Everything else is as it is.
        for (option, value) in [("--connections=", "6"), ("--rate=", "300"), ("--duration=", "1s")] {
            if argument.starts_with(option) {
                *argument = format!("{option}{value}");
            }
        }
    }
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let log_of = |pod: u64| folder.path().join(format!("{pod}.log"));
    thread::scope(|scope| {
        for pod in 0..pods {
            let (arguments, server, log_of) = (&arguments, &server, &log_of);
            scope.spawn(move || {
                let [client, load, address] = words(&container["command"]).try_into().expect("three words");
                assert_eq!((client.as_str(), address.as_str()), ("client", "shout:8080"));
                // Both streams are in a pod's log.
                let log = fs::File::create(log_of(pod)).expect("a log can be made");
                let errors = log.try_clone().expect("a descriptor can be copied");
                let mut command = bounded(CLIENT);
                command.args([load, server.address().to_string()]).args(arguments);
                command.env("JOB_COMPLETION_INDEX", pod.to_string()).stdout(log).stderr(errors);
                assert!(command.status().expect("it can be started").success());
            });
        }
    });
    let all: Vec<u8> =
        (0..pods).flat_map(|pod| fs::read(log_of(pod)).expect("it was written just now")).collect();
    assert!(String::from_utf8_lossy(&all).contains("rank 2 of 3 (JOB_COMPLETION_INDEX)"));
    fs::write(folder.path().join("all"), all).expect("it can be written");
    let logs = fs::File::open(folder.path().join("all")).expect("it is there");
    let mut merge = Command::new(CLIENT);
    merge.args(["merge", "-", "--expect", &pods.to_string(), "--json", "-"]).stdin(logs);
    let output = merge.output().expect("it can be started");
    assert!(output.status.success(), "{}", told(&output));
    let merged: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!((&merged["ok"], &merged["logs"]), (&true.into(), &pods.into()), "{merged}");
    let requests = merged["requests"].as_u64().unwrap_or_default();
    assert!((270..=310).contains(&requests), "{merged}");
    server.stop();
}

#[test]
fn the_server_is_valid_and_its_probe_tells_a_server_that_answers_from_one_that_is_gone() {
    let Some(all) = manifest("server.yaml", "") else { return };
    let container = &all[0]["spec"]["template"]["spec"]["containers"][0];
    let [client, talk, address, rest @ ..] = &words(&container["readinessProbe"]["exec"]["command"])[..]
    else {
        panic!("{container}")
    };
    let port = container["ports"][0]["containerPort"].to_string();
    assert_eq!((client.as_str(), address), ("client", &format!("127.0.0.1:{port}")));
    assert!(words(&container["command"]).iter().any(|word| word.ends_with(&format!(":{port}"))));
    let server = server();
    let address = server.address().to_string();
    let probe = || {
        let mut command = Command::new(CLIENT);
        command.arg(talk).arg(&address).args(rest).stdin(Stdio::null());
        command.output().expect("it can be started").status.success()
    };
    assert!(probe());
    server.stop();
    assert!(!probe());
}
