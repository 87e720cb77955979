//! The command line: one program, five commands. Without a command it talks.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::hold::HoldOptions;
use crate::load::LoadCommand;
use crate::merge::MergeOptions;
use crate::pipe::PipeOptions;
use crate::talk::TalkOptions;
use crate::{hold, load, merge, pipe, talk};

/// Commands that a shell takes as they are.
const EXAMPLES: &str = "\
Examples:
  client --message 'good morning' --count 3  # to 127.0.0.1:8080
  client pipe < book.txt > BOOK.txt  # gigabytes too, in constant memory
  client load --connections 100 --duration 2s --hdr here.hlog  # every byte is checked
  client load --rate 2000 --size 1KiB --duration 1s  # what users of a busy service feel
  client merge here.hlog  # the logs of many clients make one result
  client hold --connections 100 --duration 1s  # many that are silent";

/// The repeating client: sends bytes to a server and checks that they come back with a-z turned to
/// A-Z.
///
/// Without a command it talks: `client 127.0.0.1:8080` is `client talk 127.0.0.1:8080`.
#[derive(Debug, Parser)]
#[command(name = "client", version, after_long_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    talk: TalkOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say something again and again, and print the replies
    Talk(TalkOptions),
    /// Send standard input through the server to standard output
    Pipe(PipeOptions),
    /// Load a server with many connections, check every byte and measure
    Load(Box<LoadCommand>),
    /// Make one result out of many loads' logs
    Merge(MergeOptions),
    /// Open many connections, leave them silent, ask each once, and close them
    Hold(HoldOptions),
}

/// Does what the command line says. Returns 0 when all went well, 1 when something failed, 2 on a
/// usage error.
pub fn run(cli: &Cli) -> ExitCode {
    let result = match &cli.command {
        None => talk::run(&cli.talk),
        Some(Command::Talk(options)) => talk::run(options),
        Some(Command::Pipe(options)) => pipe::run(options),
        Some(Command::Load(command)) => load::run(command),
        Some(Command::Merge(options)) => merge::run(options),
        Some(Command::Hold(options)) => hold::run(options),
    };
    result.unwrap_or_else(|error| serving::exit_code(Err(error)))
}
