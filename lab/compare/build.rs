//! Remembers the compiler, since figures depend on it.

use std::env;
use std::process::Command;

#[allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]
fn main() {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().ok();
    let version = version.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    println!("cargo::rustc-env=LAB_RUSTC={}", version.trim());
    println!("cargo::rerun-if-changed=build.rs");
}
