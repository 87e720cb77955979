//! For packagers: completions, manual pages, and an installation of all programs.
//!
//! The programs themselves know nothing of it, so it costs them no byte: what describes a command
//! line is public in their libraries. In reading order: [`programs`] lists them and writes what is
//! generated; [`install`] puts everything where a system expects it.
#![forbid(unsafe_code)]

mod install;
mod programs;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::install::InstallOptions;

/// For packagers: completions, manual pages, and an installation of all programs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the manual pages of all programs and their commands into a folder
    Man {
        /// The folder; it is made where it is missing
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Write the completions of all programs for bash, zsh and fish into a folder
    Completions {
        /// The folder; it is made where it is missing
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Build all programs and install them, with units, manual pages and completions
    Install(InstallOptions),
}

fn main() -> ExitCode {
    serving::exit_code(match Cli::parse().command {
        Command::Man { folder } => programs::write_man(&folder),
        Command::Completions { folder } => {
            programs::SHELLS.into_iter().try_for_each(|shell| programs::write_completions(shell, &folder))
        }
        Command::Install(options) => install::run(&options),
    })
}
