//! Promises about what `--help` ends with: each example is run, by a shell, in a network of its
//! own, so that the ports that it names are free.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use tests::{Launch, Model, promises};

promises!(each_example_of_the_help_starts_a_server_that_can_be_stopped);

/// Runs a server as a shell does, until it listens; then stops it.
const SERVE: &str = r#"
set -eu
ip link set lo up
rm -f told
bash -c "exec $0" > told &
for _ in $(seq 400); do if grep -q '^listening on ' told; then break; fi; sleep 0.05; done
grep -q '^listening on ' told
kill $!
wait $!
"#;

/// Runs one client after the other against a server at the default address.
const ASK: &str = r#"
set -eu
ip link set lo up
server-mio > told &
for _ in $(seq 400); do if grep -q '^listening on ' told; then break; fi; sleep 0.05; done
for client in "$@"; do echo "== $client"; bash -c "$client"; done
kill $!
wait $!
"#;

/// Whether no network can be made; says so then.
fn network_is_missing() -> bool {
    tests::skip_without(&[
        (&["unshare", "-n", "true"], "no network namespace can be made"),
        (&["ip", "-V"], "there is no ip (iproute2)"),
    ])
}

/// A folder in which programs are found by their names.
fn folder(programs: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    for (name, program) in programs {
        symlink(program, folder.path().join(name)).expect("a link can be made");
    }
    folder
}

/// Runs a script in a network of its own, and in a folder, whose programs it finds.
#[track_caller]
fn run(script: &str, arguments: &[String], folder: &Path) -> String {
    let path = std::env::var("PATH").expect("there is a path");
    let output = Command::new("unshare")
        .args(["-n", "bash", "-c", script])
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{}:{path}", folder.display()))
        .output()
        .expect("it was there a moment ago");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}\n{told}\n{}", String::from_utf8_lossy(&output.stderr));
    told
}

/// The examples at the end of a help.
#[track_caller]
fn examples(help: &[String]) -> Vec<String> {
    let begin = help.iter().position(|line| line == "Examples:").expect("the help has examples");
    let examples: Vec<String> = help[begin + 1..].iter().map(|line| line.trim().to_owned()).collect();
    assert!(examples.len() >= 3 && !examples.contains(&String::new()), "{examples:?}");
    examples
}

fn each_example_of_the_help_starts_a_server_that_can_be_stopped(model: Model) {
    if network_is_missing() {
        return;
    }
    let name = Path::new(model.program).file_name().expect("a program has a name").to_string_lossy();
    let name = name.trim_start_matches("tested-");
    let folder = folder(&[(name, model.program)]);
    // The help names the program as it is called.
    let called = Command::new(folder.path().join(name)).arg("--help").output().expect("it starts");
    let help: Vec<String> = String::from_utf8_lossy(&called.stdout).lines().map(str::to_owned).collect();
    for example in examples(&help) {
        assert!(example.contains(&format!("{name} ")), "{example}");
        run(SERVE, &[example], folder.path());
    }
    let renamed = Launch::of(model).options(&["--help"]).run().output;
    assert!(examples(&renamed)[0].starts_with("tested-server-"), "{renamed:?}");
}

#[test]
fn each_example_of_the_clients_help_succeeds_with_a_server() {
    if network_is_missing() {
        return;
    }
    let folder = folder(&[
        ("client", env!("CARGO_BIN_EXE_tested-client")),
        ("server-mio", env!("CARGO_BIN_EXE_tested-server-mio")),
    ]);
    std::fs::write(folder.path().join("book.txt"), "once upon a time\n").expect("there is room");
    let help = Command::new(folder.path().join("client")).arg("--help").output().expect("it starts");
    let help: Vec<String> = String::from_utf8_lossy(&help.stdout).lines().map(str::to_owned).collect();
    let examples = examples(&help);
    // The first argument of a script is its own name.
    let told = run(ASK, &[&["ask".to_owned()], &examples[..]].concat(), folder.path());
    assert_eq!(told.matches("errors: none").count(), 3, "{told}");
    let book = std::fs::read_to_string(folder.path().join("BOOK.txt")).expect("it was written");
    assert_eq!(book, "ONCE UPON A TIME\n");
}
