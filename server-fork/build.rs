//! Links the program statically where the C library is there as archives: its processes then have
//! 13 memory maps instead of 30, and a new one costs 0.8 of the CPU (docs/performance.md). Where
//! they are missing, for another machine, or with flags that decide it themselves
//! (`RUSTFLAGS='-C target-feature=-crt-static'`), it is linked as usual.
//!
//! rustc asks for shared libraries by name, and a package's own arguments come after these. So the
//! linker is given a folder to search first, in which those names lead to archives.
#![allow(clippy::print_stdout, reason = "cargo reads it")]

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs, io};

/// What rustc links with, and what is taken for it.
const ARCHIVES: [[&str; 2]; 7] = [
    ["libc.a", "libc.a"],
    ["libdl.a", "libdl.a"],
    ["libgcc_s.a", "libgcc_eh.a"],
    ["libm.a", "libm.a"],
    ["libpthread.a", "libpthread.a"],
    ["librt.a", "librt.a"],
    ["libutil.a", "libutil.a"],
];

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=../server-fork/build.rs");
    let of_cargo = |name: &str| env::var(name).unwrap_or_default();
    let flags = of_cargo("CARGO_ENCODED_RUSTFLAGS");
    let decided = ["crt-static", "prefer-dynamic", "sanitizer"].iter().any(|flag| flags.contains(flag));
    if decided || of_cargo("TARGET") != of_cargo("HOST") || of_cargo("CARGO_CFG_TARGET_ENV") != "gnu" {
        return Ok(());
    }
    // What a static program begins with must be there too.
    let found: Option<Vec<PathBuf>> =
        ARCHIVES.iter().map(|[_, archive]| archive).chain(&["rcrt1.o"]).map(|file| find(file)).collect();
    let Some(found) = found else { return Ok(()) };
    let folder = PathBuf::from(of_cargo("OUT_DIR"));
    for ([name, _], archive) in ARCHIVES.iter().zip(&found) {
        let _ = fs::remove_file(folder.join(name));
        symlink(archive, folder.join(name))?;
        println!("cargo:rerun-if-changed={}", archive.display());
    }
    let program = if of_cargo("CARGO_PKG_NAME") == "tests" { "tested-server-fork" } else { "server-fork" };
    println!("cargo:rustc-link-arg-bin={program}=-L{}", folder.display());
    // GNU's linker looks into each archive once, and these need each other.
    for argument in ["-static-pie", "-Wl,--start-group", "-lgcc_s", "-lgcc", "-lc", "-Wl,--end-group"] {
        println!("cargo:rustc-link-arg-bin={program}={argument}");
    }
    Ok(())
}

/// Where the compiler that links has this file.
fn find(file: &str) -> Option<PathBuf> {
    let linker = env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    let output = Command::new(linker).arg(format!("-print-file-name={file}")).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim_end());
    // It says a bare name of what it does not have.
    (path.is_absolute() && path.exists()).then_some(path)
}
