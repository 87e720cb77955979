//! The plain servers, a page each: built from the sources, and started like any foreign server.

use std::path::Path;
use std::process::{Command, Stdio};

use harness::contender::{Foreign, PORT};
use harness::models::{Model, Workers};

use crate::peers::{Found, quoted};

/// What stands before a model's name where its plain server is meant.
const PREFIX: &str = "plain-";

/// The name of a model's plain server.
pub fn name_of(model: &str) -> String {
    format!("{PREFIX}{model}")
}

/// Builds the plain servers of these models with cargo.
pub fn find(models: &[Model]) -> Found {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Found::default();
    let built = Command::new("cargo")
        .args(["build", "--release", "--quiet", "--package", "plain", "--target-dir", "target"])
        .current_dir(&workspace)
        .stdin(Stdio::null())
        .status();
    if !built.is_ok_and(|status| status.success()) {
        found.left_out.push(format!(
            "all plain servers: cargo cannot build them from {}; run it where the project was cloned",
            workspace.display()
        ));
        return found;
    }
    for model in models {
        let name = name_of(model.name());
        if let Some(why) = why_not(*model) {
            found.left_out.push(format!("{name}: {why}"));
            continue;
        }
        let program = workspace.join("target/release").join(model.page());
        let command = format!("{} 127.0.0.1:{PORT}", quoted(&program.to_string_lossy()));
        found.peers.push(Foreign::peer(&name, command, model.makes()));
    }
    found
}

/// Why a model has no plain server to be measured beside it.
fn why_not(model: Model) -> Option<&'static str> {
    if model.workers() == Workers::PerConnection {
        // With more connections than these, some would wait.
        Some("the number of its workers is fixed on its page")
    } else if model.name() != model.page() {
        Some("its page has one thread")
    } else {
        None
    }
}
