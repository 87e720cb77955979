//! The programs, and what is generated from their command lines.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::Shell;

/// What each program's name begins with where it is one among all of a system's.
const PREFIX: &str = "shout-";

/// The shells that are served.
pub(crate) const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// All programs, as their packages call them.
fn commands() -> [Command; 11] {
    [
        server_iterative::Options::command(),
        server_fork::Options::command(),
        server_prefork::Options::command(),
        server_thread::Options::command(),
        server_pool::Options::command(),
        server_mio::Options::command(),
        server_tokio::Options::command(),
        server_uring::Options::command(),
        server_hybrid::Options::command(),
        client::cli::Cli::command(),
        lab::Cli::command(),
    ]
}

/// The names of all programs: as their packages call them, and as they are installed.
pub(crate) fn names() -> impl Iterator<Item = (String, String)> {
    commands().into_iter().map(|command| (command.get_name().to_owned(), installed_name(&command)))
}

fn installed_name(command: &Command) -> String {
    format!("{PREFIX}{}", command.get_name())
}

/// All programs, as they are installed.
fn installed() -> impl Iterator<Item = Command> {
    commands().into_iter().map(|command| {
        let name = installed_name(&command);
        // Clap wants names that live as long as the program, and these are few.
        let leaked: &'static str = name.clone().leak();
        serving::options::renamed(command, &name).name(leaked).bin_name(name).display_name(leaked)
    })
}

/// Writes the manual pages of all programs and of their commands.
///
/// # Errors
/// If a file cannot be written.
pub(crate) fn write_man(folder: &Path) -> Result<()> {
    make(folder)?;
    installed()
        .try_for_each(|command| clap_mangen::generate_to(command, folder))
        .context("no manual pages")?;
    for (_, name) in names() {
        let path = folder.join(format!("{name}.1"));
        let page = fs::read_to_string(&path)?;
        // What stands after the options is examples in all of them, and their heading says so.
        let page = page.replace(".SH EXTRA\n", ".SH EXAMPLES\n").replace("\nExamples:\n", "\n");
        fs::write(&path, page)?;
    }
    Ok(())
}

/// Writes the completions of all programs for a shell, in files that are called as it expects.
///
/// # Errors
/// If a file cannot be written.
pub(crate) fn write_completions(shell: Shell, folder: &Path) -> Result<()> {
    make(folder)?;
    for mut command in installed() {
        let name = command.get_name().to_owned();
        // bash-completion looks for the bare name.
        let file = match shell {
            Shell::Bash => name.clone(),
            Shell::Zsh => format!("_{name}"),
            _ => format!("{name}.{shell}"),
        };
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, name, &mut script);
        fs::write(folder.join(file), script)?;
    }
    Ok(())
}

/// Makes a folder, and those that it is in.
///
/// # Errors
/// One line that names it.
pub(crate) fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}
