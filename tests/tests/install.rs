//! What a packager gets: an installation in a temporary folder is looked at, and its units are
//! checked, and started by a systemd where one can be started.
#![allow(clippy::unwrap_used, reason = "a file that cannot be read is a test that fails")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use tempfile::TempDir;
use tests::skip_without;

/// The programs as their packages call them.
const PROGRAMS: [&str; 11] = [
    "server-iterative",
    "server-fork",
    "server-prefork",
    "server-thread",
    "server-pool",
    "server-mio",
    "server-tokio",
    "server-uring",
    "server-hybrid",
    "client",
    "lab",
];

/// The worst mark of `systemd-analyze security` that a unit may have, in tenths; 100 is the worst
/// of all.
const MOST_EXPOSED: &str = "25";

/// The one installation that all tests look at: below its folder, for the prefix /opt/shout.
static INSTALLATION: LazyLock<TempDir> = LazyLock::new(|| {
    let (folder, built) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let programs = Path::new(env!("CARGO_BIN_EXE_tested-lab")).parent().unwrap();
    for name in PROGRAMS {
        symlink(programs.join(format!("tested-{name}")), built.path().join(name)).unwrap();
    }
    let installed = Command::new(env!("CARGO_BIN_EXE_tested-xtask"))
        .args(["install", "--prefix", "/opt/shout", "--built"])
        .arg(built.path())
        .env("DESTDIR", folder.path())
        .output();
    succeeded(&installed.unwrap());
    folder
});

fn installed(path: &str) -> PathBuf {
    INSTALLATION.path().join("opt/shout").join(path)
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    told
}

fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(installed(folder)).unwrap().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn each_program_is_there_under_a_name_of_its_own_and_says_so() {
    let mut expected = PROGRAMS.map(|name| format!("shout-{name}"));
    expected.sort();
    assert_eq!(names("bin"), expected);
    for name in expected {
        let path = installed("bin").join(&name);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o755, "{name}");
        let help = succeeded(&Command::new(path).arg("--help").output().unwrap());
        let (usage, examples) = help.split_once("Examples:\n").unwrap();
        assert!(usage.contains(&format!("Usage: {name}")), "{help}");
        assert!(examples.lines().all(|line| line.contains(&format!("{name} "))), "{help}");
    }
}

#[test]
fn each_program_and_each_of_its_commands_has_a_manual_page() {
    let pages = names("share/man/man1");
    for page in PROGRAMS.map(|name| format!("shout-{name}.1")) {
        assert!(pages.contains(&page), "{page} is not in {pages:?}");
        let text = fs::read_to_string(installed("share/man/man1").join(&page)).unwrap();
        let name = page.trim_end_matches(".1");
        assert!(!name.contains("server") || text.contains("environment variable"), "{text}");
        assert!(text.contains(&format!(".TH {name} 1")) && text.contains(".SH EXAMPLES"), "{text}");
        // A hyphen is escaped there, so that it can be copied.
        assert!(text.replace('\\', "").contains(&format!("  {name} ")), "{text}");
    }
    for command in ["client-load", "client-merge", "lab-compare", "lab-run", "lab-run-deadlock"] {
        assert!(pages.contains(&format!("shout-{command}.1")), "{pages:?}");
    }
    assert!(!pages.contains(&"shout-lab-serve.1".to_owned()), "what is hidden has no page: {pages:?}");
}

#[test]
fn bash_completes_the_options_of_each_program() {
    for name in PROGRAMS.map(|name| format!("shout-{name}")) {
        let script = format!(
            "source '{}'; COMP_WORDS=({name} --vers); COMP_CWORD=1
            function=$(complete -p {name} | grep -o '[-]F [^ ]*' | cut -d' ' -f2)
            $function {name} --vers {name}; echo ${{COMPREPLY[@]}}",
            installed("share/bash-completion/completions").join(&name).display()
        );
        let told = succeeded(&Command::new("bash").args(["-c", &script]).output().unwrap());
        assert_eq!(told.trim(), "--version", "{name}");
        let zsh = fs::read_to_string(installed(&format!("share/zsh/site-functions/_{name}"))).unwrap();
        assert!(zsh.starts_with(&format!("#compdef {name}\n")), "{zsh}");
        let fish = installed(&format!("share/fish/vendor_completions.d/{name}.fish"));
        assert!(fs::read_to_string(fish).unwrap().contains(&format!("complete -c {name} ")));
    }
}

#[test]
fn the_units_are_valid_and_expose_little() {
    if skip_without(&[(&["systemd-analyze", "--version"], "there is no systemd-analyze")]) {
        return;
    }
    let units = names("lib/systemd/system");
    assert_eq!(units, ["shout-server@.service", "shout-server@.socket"]);
    // Verified as they are started: with a port, and with programs where they say they are.
    let folder = tempfile::tempdir().unwrap();
    let prefix = INSTALLATION.path().join("opt/shout").display().to_string();
    for unit in units {
        let text = fs::read_to_string(installed("lib/systemd/system").join(&unit)).unwrap();
        assert!(!text.contains("/usr/bin/"), "{text}");
        fs::write(folder.path().join(&unit), text.replace("/opt/shout", &prefix)).unwrap();
    }
    for unit in ["shout-server@8080.service", "shout-server@8080.socket"] {
        let path = folder.path().join(unit);
        let verified =
            Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(path).output().unwrap();
        assert_eq!((succeeded(&verified), &verified.stderr[..]), (String::new(), &b""[..]), "{unit}");
    }
    let security = Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--no-pager", "--threshold", MOST_EXPOSED])
        .arg(folder.path().join("shout-server@.service"))
        .output()
        .unwrap();
    let told = succeeded(&security);
    println!("{}", told.lines().last().unwrap_or_default());
}

#[test]
fn a_systemd_runs_every_server_and_restarts_it_under_load_without_a_lost_request() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
    let boot = programs.join("boot.sh").display().to_string();
    let boot = ["bash", &boot, &installed("").display().to_string()].map(str::to_owned);
    let boot = boot.each_ref().map(String::as_str);
    if skip_without(&[
        (&["test", "-x", "/lib/systemd/systemd"], "there is no systemd"),
        (&["ip", "-V"], "there is no ip (iproute2)"),
        (&[&boot[..], &["true"]].concat(), "systemd cannot be started in name spaces of its own"),
    ]) {
        return;
    }
    let operate = programs.join("operate.sh").display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let told =
        Command::new(boot[0]).args(&boot[1..]).args(["bash", &operate]).current_dir(folder.path()).output();
    let told = succeeded(&told.unwrap());
    println!("{told}");
    let servers = PROGRAMS.iter().filter(|name| name.starts_with("server-")).count();
    assert_eq!(told.matches("ok shout-server-").count(), servers, "{told}");
}
