//! Counts the lines of code of each model's page, since who chooses a model also chooses how much
//! there is to understand.

use std::path::Path;
use std::{env, fs};

#[allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a build script speaks to cargo, and fails by panicking"
)]
fn main() {
    let pages = Path::new("../../plain/src/bin");
    println!("cargo::rerun-if-changed={}", pages.display());
    let mut lines: Vec<(String, usize)> = Vec::new();
    for page in fs::read_dir(pages).into_iter().flatten().flatten().map(|page| page.path()) {
        let name = page.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        if let (Some(name), Ok(text)) = (name, fs::read_to_string(&page)) {
            lines.push((name, text.lines().filter(|line| is_code(line)).count()));
        }
    }
    lines.sort();
    let target = Path::new(&env::var("OUT_DIR").expect("cargo names a folder")).join("lines.rs");
    fs::write(target, format!("&{lines:?}")).expect("the folder can be written");
}

/// Neither blank nor a comment.
fn is_code(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with("//")
}
