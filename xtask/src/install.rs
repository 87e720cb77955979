//! An installation: every file where a system expects it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use clap::Args;
use clap_complete::Shell;

use crate::programs;

/// Where the programs are in the units of this repository.
const UNITS_PROGRAMS: &str = "/usr/bin/";

/// What the installation can be told.
#[derive(Debug, Args)]
pub(crate) struct InstallOptions {
    /// Where the programs will be found, such as /usr; they are put there below $DESTDIR, if set
    #[arg(long, value_name = "DIR", default_value = "/usr/local")]
    prefix: PathBuf,

    /// The profile that they are built with
    #[arg(long, value_name = "NAME", default_value = "release")]
    profile: String,

    /// Take the programs from this folder, under their packages' names, instead of building them
    #[arg(long, value_name = "DIR", conflicts_with = "profile")]
    built: Option<PathBuf>,
}

/// Builds all programs and installs them.
///
/// # Errors
/// If something cannot be built or written.
pub(crate) fn run(options: &InstallOptions) -> Result<()> {
    ensure!(options.prefix.is_absolute(), "--prefix takes an absolute path, such as /usr");
    let built = match &options.built {
        Some(folder) => folder.clone(),
        None => build(&options.profile)?,
    };
    let root = root_folder(&options.prefix);

    for (own, installed) in programs::names() {
        put(&built.join(own), &root.join("bin").join(installed), 0o755)?;
    }
    programs::write_man(&root.join("share/man/man1"))?;
    programs::write_completions(Shell::Bash, &root.join("share/bash-completion/completions"))?;
    programs::write_completions(Shell::Zsh, &root.join("share/zsh/site-functions"))?;
    programs::write_completions(Shell::Fish, &root.join("share/fish/vendor_completions.d"))?;
    install_units(&root, &options.prefix)?;
    for document in
        ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE", "deploy/haproxy/haproxy.cfg"]
    {
        let document = repository().join(document);
        let name = document.file_name().context("a document has a name")?;
        put(&document, &root.join("share/doc/shout").join(name), 0o644)?;
    }
    Ok(())
}

/// The prefix below `$DESTDIR`.
fn root_folder(prefix: &Path) -> PathBuf {
    let below = prefix.strip_prefix("/").unwrap_or(prefix);
    match env::var_os("DESTDIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => Path::new(&folder).join(below),
        None => prefix.to_owned(),
    }
}

/// Builds all programs, and says in which folder they are.
fn build(profile: &str) -> Result<PathBuf> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(repository()).args(["build", "--locked", "--profile", profile, "--bins"]);
    for (package, _) in programs::names() {
        cargo.args(["--package", &package]);
    }
    ensure!(cargo.status().context("cannot start cargo")?.success(), "the programs cannot be built");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    // The profile `dev` has the folder of a time when it was called so.
    Ok(repository().join(target).join(if profile == "dev" { "debug" } else { profile }))
}

/// Copies the units, which then name the programs where they are.
fn install_units(root: &Path, prefix: &Path) -> Result<()> {
    let folder = root.join("lib/systemd/system");
    programs::make(&folder)?;
    let programs = format!("{}/", prefix.join("bin").display());
    for unit in fs::read_dir(repository().join("deploy/systemd"))? {
        let unit = unit?.path();
        let text = fs::read_to_string(&unit)?.replace(UNITS_PROGRAMS, &programs);
        write(&folder.join(unit.file_name().context("a unit has a name")?), text.as_bytes(), 0o644)?;
    }
    Ok(())
}

fn put(from: &Path, to: &Path, mode: u32) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    write(to, &bytes, mode)
}

/// Writes a file that may be a program that runs: a new one takes its name.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let folder = path.parent().context("a file is in a folder")?;
    programs::make(folder)?;
    let new = tempfile::NamedTempFile::new_in(folder)?;
    fs::write(new.path(), bytes)?;
    fs::set_permissions(new.path(), fs::Permissions::from_mode(mode))?;
    new.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

/// This repository, in which the program was built.
fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
