//! What `deny.toml` asks of the dependencies: licences, sources, versions and names. It is asked here
//! without `cargo deny`, which takes minutes to be built; that one looks at more, also for advisories.
#![allow(clippy::unwrap_used, reason = "a test that cannot read is a test that fails")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Whether one of the alternatives of each part is allowed. `/` is an older word for OR.
fn is_allowed(license: &str, allowed: &[String]) -> bool {
    let is_term_allowed = |term: &str| allowed.iter().any(|one| one == term.trim_matches(['(', ')', ' ']));
    license.split(" AND ").all(|part| part.replace(" OR ", "/").split('/').any(is_term_allowed))
}

/// What follows `key =` in a line of `deny.toml`; a list of strings is written there as in JSON.
fn value_of<'a>(rules: &'a str, key: &str) -> &'a str {
    rules.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = ")).unwrap()
}

#[test]
fn what_is_depended_on_is_what_deny_toml_allows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let rules = std::fs::read_to_string(root.join("deny.toml")).unwrap();
    let targets: Vec<String> = serde_json::from_str(value_of(&rules, "targets")).unwrap();
    let allowed: Vec<String> = serde_json::from_str(value_of(&rules, "allow")).unwrap();
    let denied: Vec<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("{ name = \"")?.split('"').next()).collect();
    assert!(denied.contains(&"openssl-sys"), "{denied:?}");
    assert_eq!(value_of(&rules, "multiple-versions"), "\"deny\"");

    let mut command = Command::new(env!("CARGO"));
    command.args(["metadata", "--format-version=1", "--locked", "--offline"]).current_dir(root);
    let output =
        command.args(targets.iter().map(|target| format!("--filter-platform={target}"))).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();

    let mut versions = BTreeMap::<&str, Vec<&Value>>::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        assert!(!denied.contains(&name), "{name} is denied");
        let license = package["license"].as_str().unwrap();
        assert!(is_allowed(license, &allowed), "{name} has the licence {license}");
        let source = &package["source"];
        let is_known = source.is_null() || source == "registry+https://github.com/rust-lang/crates.io-index";
        assert!(is_known, "{name} comes from {source}");
        versions.entry(name).or_default().push(&package["version"]);
    }
    assert!(versions.len() > 100, "{}", versions.len());
    versions.retain(|_, versions| versions.len() > 1);
    assert!(versions.is_empty(), "several versions are compiled: {versions:?}");
}

#[test]
fn a_licence_is_allowed_if_each_part_has_an_alternative_that_is() {
    let allowed = ["MIT".to_owned(), "Zlib".to_owned()];
    for license in ["MIT", "GPL-3.0 OR MIT", "GPL-3.0/MIT", "(GPL-3.0 OR MIT) AND Zlib"] {
        assert!(is_allowed(license, &allowed), "{license}");
    }
    for license in ["GPL-3.0", "MIT AND GPL-3.0", "MIT WITH an-exception", "(MIT OR Zlib) AND GPL-3.0"] {
        assert!(!is_allowed(license, &allowed), "{license}");
    }
}
