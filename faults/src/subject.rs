//! The servers that are put to the test.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};
use harness::models::{Makes, Model};
use nix::unistd::getpid;

/// Workers of the models whose workers are fixed processes or threads.
const WORKERS: usize = 4;

/// A server that can be started.
#[derive(Debug, Clone)]
pub struct Subject {
    /// What it is called, also on the command line.
    pub name: String,
    start: Start,
    /// Whether it is told how many workers it has.
    is_shaped: bool,
}

#[derive(Debug, Clone)]
enum Start {
    Own(Model),
    Program(PathBuf),
}

impl Subject {
    /// The models of that name, or all where no name is given; those that this system cannot run
    /// are refused if named, and said to be left out otherwise.
    ///
    /// # Errors
    /// If there is no such model, or this system cannot run it.
    pub fn of(names: &[String]) -> Result<Vec<Self>> {
        let mut subjects = Vec::new();
        for model in Model::all() {
            let is_named = names.iter().any(|name| name == model.name());
            match model.available() {
                Err(why) if is_named => bail!("{}: {why}", model.name()),
                Err(why) if names.is_empty() => crate::report::note(&format!("{}: {why}", model.name())),
                Ok(()) if is_named || names.is_empty() => {
                    subjects.push(Self {
                        name: model.name().to_owned(),
                        start: Start::Own(model),
                        is_shaped: true,
                    });
                }
                _ => {}
            }
        }
        if let Some(unknown) = names.iter().find(|name| Model::of(name).is_none()) {
            let known: Vec<_> = Model::all().map(Model::name).collect();
            bail!("there is no server {unknown}; there are {}", known.join(", "));
        }
        Ok(subjects)
    }

    /// Another program, which must understand the options of our servers.
    pub fn program(path: PathBuf) -> Self {
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Self { name, start: Start::Program(path), is_shaped: false }
    }

    /// The same, without a word about how many workers it has.
    pub fn alone(&self) -> Self {
        Self { is_shaped: false, ..self.clone() }
    }

    /// The command that becomes the server, and dies with this thread.
    pub fn command(&self) -> Vec<String> {
        let program = |path: &PathBuf| vec![path.to_string_lossy().into_owned()];
        match &self.start {
            Start::Program(path) => program(path),
            Start::Own(model) => {
                let own = getpid().to_string();
                // This program, also when its file has been replaced by a newer build meanwhile.
                let mut words = vec![format!("/proc/{own}/exe"), "serve".into(), "--dies-with".into(), own];
                words.push(model.name().to_owned());
                match model {
                    _ if !self.is_shaped => {}
                    Model::Prefork | Model::Pool | Model::TokioWorkers => {
                        words.push(format!("--workers={WORKERS}"));
                    }
                    Model::Hybrid => words.extend(["--threads=2", "--processes=2"].map(str::to_owned)),
                    _ => {}
                }
                words
            }
        }
    }

    /// The model, where it is one of ours.
    pub fn model(&self) -> Option<Model> {
        match self.start {
            Start::Own(model) => Some(model),
            Start::Program(_) => None,
        }
    }

    /// Whether it serves one conversation at a time.
    pub fn holds_one(&self) -> bool {
        self.model().is_some_and(Model::holds_one)
    }

    /// How many conversations it serves at once at the most, where that is few.
    pub fn places(&self) -> usize {
        match self.model() {
            Some(Model::Iterative) => 1,
            Some(Model::Prefork | Model::Pool) => WORKERS,
            _ => usize::MAX,
        }
    }

    /// Whether one thread makes the calls of all conversations, so that one failed call is one
    /// conversation's at the most.
    pub fn has_one_thread(&self) -> bool {
        let single =
            matches!(self.model(), Some(Model::Iterative | Model::Mio | Model::Tokio | Model::Uring));
        debug_assert!(!single || self.model().is_some_and(|model| model.makes() != Makes::Thread));
        single
    }

    /// Whether a worker process that has ended is replaced.
    pub fn replaces_workers(&self) -> bool {
        matches!(self.model(), Some(Model::Prefork | Model::Hybrid))
    }

    /// Whether worker processes serve.
    pub fn has_workers(&self) -> bool {
        matches!(self.model(), Some(Model::Fork | Model::Prefork | Model::Hybrid))
    }
}

/// A command of these words.
///
/// # Panics
/// If there are none.
pub fn command(words: &[String]) -> Command {
    let (program, arguments) = words.split_first().expect("a command has a program");
    let mut command = Command::new(program);
    command.args(arguments);
    command
}
