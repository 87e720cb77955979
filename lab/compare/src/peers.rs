//! The same conversation served in Python, by the programs in `peers/`: found, started like any
//! foreign server, or left out with a line that says how to get what is missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::contender::{Foreign, PORT};
use harness::models::Makes;

/// A program in `peers/`.
struct Peer {
    name: &'static str,
    file: &'static str,
    /// What it needs beyond the interpreter.
    module: Option<&'static str>,
    makes: Makes,
}

const PEERS: [Peer; 4] = [
    Peer { name: "py-sequential", file: "sequential.py", module: None, makes: Makes::Nothing },
    Peer { name: "py-multiprocess", file: "multiprocess.py", module: None, makes: Makes::Process },
    Peer { name: "py-multithread", file: "multithread.py", module: None, makes: Makes::Thread },
    Peer { name: "py-coroutine", file: "coroutine.py", module: Some("gevent"), makes: Makes::Task },
];

/// What runs them.
const INTERPRETER: &str = "python3";

/// What is there, and what is not.
#[derive(Debug, Default)]
pub struct Found {
    /// Those that can be measured.
    pub peers: Vec<Foreign>,
    /// For each other one, or for all, why not and what to do.
    pub left_out: Vec<String>,
}

/// Looks for the programs, their interpreter and their modules.
pub fn find() -> Found {
    match folder() {
        Some(folder) => find_in(&folder),
        None => Found {
            peers: Vec::new(),
            left_out: vec![
                "all peers: there is no folder peers/ here or beside the source; run it where the project was cloned".to_owned(),
            ],
        },
    }
}

fn find_in(folder: &Path) -> Found {
    let mut found = Found::default();
    if !succeeds(&["--version"]) {
        found.left_out.push(format!(
            "all peers: {INTERPRETER} is not installed; `apt-get install python3` or its like brings it"
        ));
        return found;
    }
    for peer in PEERS {
        let path = folder.join(peer.file);
        if !path.is_file() {
            found.left_out.push(format!("{}: there is no {}", peer.name, path.display()));
        } else if let Some(module) =
            peer.module.filter(|module| !succeeds(&["-c", &format!("import {module}")]))
        {
            found.left_out.push(format!(
                "{}: {INTERPRETER} does not find {module}; `{INTERPRETER} -m pip install {module}` or the package python3-{module} \
                 brings it",
                peer.name
            ));
        } else {
            let command =
                format!("{INTERPRETER} {} --listen 127.0.0.1:{PORT}", quoted(&path.to_string_lossy()));
            found.peers.push(Foreign::peer(peer.name, command, peer.makes));
        }
    }
    found
}

/// In the current directory, or beside the sources that this program was built from.
fn folder() -> Option<PathBuf> {
    let beside_the_sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../peers");
    [PathBuf::from("peers"), beside_the_sources].into_iter().find_map(|folder| folder.canonicalize().ok())
}

fn succeeds(arguments: &[&str]) -> bool {
    let mut command = Command::new(INTERPRETER);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// For a shell, whatever is in it.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reaches_the_program_whole() {
        let path = "it's a $HOME/of \"mine\"";
        let output =
            Command::new("sh").args(["-c", &format!("printf %s {}", quoted(path))]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), path);
    }

    #[test]
    fn what_is_missing_is_named_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let found = find_in(folder.path());
        assert!(found.peers.is_empty());
        assert!(!found.left_out.is_empty());
        assert!(found.left_out.iter().all(|line| line.contains("there is no") || line.contains("install")));
    }
}
