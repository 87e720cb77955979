//! Promises about the container: its image is built as deploy/container/Containerfile says, and run
//! as an engine does, with the program as process 1 in a root folder that has nothing else.
//!
//! There is no engine here: the file's words are read, and `unshare` and `chroot` do what it says.

use std::fs;
use std::path::Path;
use std::process::Command;

use tests::skip_without;

/// The most bytes that the program may have.
const MOST_BYTES: u64 = 2_500_000;

/// Runs the image in $0 as the user $1, with the variables that follow and the program after them.
const RUN: &str = r#"
set -eu
ip link set lo up
root=$0 user=$1
shift
env -i PATH="$PATH" "$@" unshare --pid --fork --kill-child chroot --userspec="$user" "$root" $ENTRYPOINT > told 2> log &
engine=$!
trap 'kill -KILL $engine 2>/dev/null || true' EXIT
for _ in $(seq 400); do if grep -q '^listening on ' told; then break; fi; sleep 0.05; done
server=$(pgrep -P $engine)
echo "process $(sed -n 's/^NSpid:.*\t//p' /proc/$server/status), user $(stat -c %u /proc/$server)"
cat told
$CLIENT talk 127.0.0.1:8080 --count 1
# A process whose parent ends first becomes a child of process 1, which has to hear of its end.
nsenter -t $server -p sh -c '(sleep 2; exit 3) & '
pgrep -P $server > children || { echo "the orphan is not its child"; exit 1; }
for _ in $(seq 400); do if ! pgrep -P $server > children; then break; fi; sleep 0.05; done
if test -s children; then echo "a zombie is left"; exit 1; fi
kill -TERM $server
wait $engine
trap - EXIT
tail -n 1 log
"#;

/// What stands after an instruction of the Containerfile, in its last part or anywhere.
fn said<'a>(file: &'a str, instruction: &str) -> &'a str {
    let line = file.lines().rev().find_map(|line| line.strip_prefix(instruction));
    line.unwrap_or_else(|| panic!("there is no {instruction}")).trim()
}

#[test]
fn the_image_of_the_containerfile_runs_as_process_1_reaps_orphans_and_stops() {
    if skip_without(&[
        (
            &["unshare", "-n", "--pid", "--fork", "chroot", "/", "true"],
            "no root folder of one's own can be had",
        ),
        (&["ip", "-V"], "there is no ip (iproute2)"),
    ]) {
        return;
    }
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let file = fs::read_to_string(repository.join("deploy/container/Containerfile")).expect("it is here");
    let file = file.replace("\\\n", " ");

    // Build: the words of RUN, but for the place of the result.
    let image = tempfile::tempdir().expect("there is room for a folder");
    let steps = said(&file, "RUN ")
        .replace("mkdir /image", "true")
        .replace("/image/", &format!("{}/", image.path().display()));
    let built = Command::new("sh")
        .args(["-euc", &steps])
        .current_dir(&repository)
        .env("CARGO_TARGET_DIR", "target")
        .env("SERVER", said(&file, "ARG SERVER="))
        .output()
        .expect("a shell starts");
    assert!(built.status.success(), "{steps}\n{}", String::from_utf8_lossy(&built.stderr));
    let size = fs::metadata(image.path().join("server")).expect("it was built").len();
    assert!(size <= MOST_BYTES, "{size} bytes");

    // Run.
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let entrypoint = said(&file, "ENTRYPOINT ").trim_matches(['[', ']', '"']);
    assert_eq!(said(&file, "STOPSIGNAL "), "SIGTERM");
    let run = Command::new("unshare")
        .args(["-n", "bash", "-c", RUN])
        .arg(image.path())
        .args([said(&file, "USER "), said(&file, "ENV ")])
        .env("ENTRYPOINT", entrypoint)
        .env("CLIENT", env!("CARGO_BIN_EXE_tested-client"))
        .env_remove("SHOUT_LISTEN")
        .current_dir(folder.path())
        .output()
        .expect("it was there a moment ago");
    let told = String::from_utf8_lossy(&run.stdout);
    println!("{size} bytes\n{told}");
    assert!(run.status.success(), "{told}\n{}", String::from_utf8_lossy(&run.stderr));
    for words in ["process 1, user 65534", "listening on 0.0.0.0:8080", "HELLO BABY", "completed=1 failed=0"]
    {
        assert!(told.contains(words), "{words} is not in {told}");
    }
}
