//! What is compared: a model of ours, or a foreign server.

use std::fmt;

use crate::models::{Makes, Model, Workers};

/// One row of the comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contender {
    /// What it is called everywhere, however many connections there are: unique in a comparison.
    pub id: String,
    /// How it is started.
    pub start: Start,
    /// How many connections the load opens to it; at least 1.
    pub connections: usize,
    /// Whether it sends bytes back as they are, instead of upper-cased.
    pub echo: bool,
    /// What it makes for each client, as far as that is known.
    pub makes: Option<Makes>,
}

/// How a server is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// The lab runs itself again as `lab serve` with these arguments.
    Own(Vec<String>),
    /// A shell command, with `{port}` where the port belongs.
    Foreign(String),
}

impl Contender {
    /// One of ours, for that many connections, on so many cores.
    pub fn own(model: Model, connections: usize, cores: usize) -> Self {
        let workers = match model.workers() {
            Workers::Own => None,
            Workers::PerConnection => Some(connections),
            Workers::PerCore => Some(cores),
        };
        let mut arguments = vec![model.name().to_owned()];
        arguments.extend(workers.map(|workers| format!("--workers={workers}")));
        Self {
            id: model.name().to_owned(),
            start: Start::Own(arguments),
            connections: if model.holds_one() { 1 } else { connections },
            echo: false,
            makes: Some(model.makes()),
        }
    }

    /// A foreign one, for that many connections.
    pub fn foreign(foreign: &Foreign, echo: bool, connections: usize) -> Self {
        Self {
            id: foreign.name.clone(),
            start: Start::Foreign(foreign.command.clone()),
            connections: if foreign.makes == Some(Makes::Nothing) { 1 } else { connections },
            echo,
            makes: foreign.makes,
        }
    }
}

/// What stands for the port in a foreign server's command.
pub const PORT: &str = "{port}";

/// The longest name of a foreign server, in characters: a table has to hold it.
const NAME_CHARACTERS: usize = 40;

/// A foreign server as the command line names it: `NAME=COMMAND`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    name: String,
    command: String,
    makes: Option<Makes>,
}

impl Foreign {
    /// Reads `NAME=COMMAND`.
    ///
    /// # Errors
    /// A line that says what the option takes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, command) = text.split_once('=').ok_or("takes NAME=COMMAND")?;
        let (name, command) = (name.trim(), command.trim());
        if name.is_empty() || name.chars().count() > NAME_CHARACTERS || name.chars().any(char::is_control) {
            return Err(format!(
                "takes NAME=COMMAND, with a name of 1 to {NAME_CHARACTERS} printable characters"
            ));
        }
        if !command.contains(PORT) {
            return Err(format!("the command must say {PORT} where the port to listen on belongs"));
        }
        Ok(Self { name: name.to_owned(), command: command.to_owned(), makes: None })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One of the project's `peers/`, whose command has a place for the port.
    pub fn peer(name: &str, command: String, makes: Makes) -> Self {
        Self { name: name.to_owned(), command, makes: Some(makes) }
    }
}

impl Contender {
    /// Whether it holds one conversation at a time, and the others wait.
    pub fn holds_one(&self) -> bool {
        self.makes == Some(Makes::Nothing)
    }

    /// How many workers it is given, if it is told.
    pub fn workers(&self) -> Option<usize> {
        let Start::Own(arguments) = &self.start else { return None };
        arguments.iter().find_map(|argument| argument.strip_prefix("--workers=")?.parse().ok())
    }
}

impl Start {
    /// Adds arguments that only our servers know.
    pub fn add(&mut self, more: &[&str]) {
        if let Self::Own(arguments) = self {
            arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        }
    }

    /// Whether the server is not of this project.
    pub fn is_foreign(&self) -> bool {
        matches!(self, Self::Foreign(_))
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(arguments) => write!(f, "lab serve {}", arguments.join(" ")),
            Self::Foreign(command) => f.write_str(command),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_server_has_a_name_and_a_command_with_a_port() {
        let foreign = Foreign::parse("nc=nc -lk {port} -e a=b").unwrap();
        assert_eq!((foreign.name.as_str(), foreign.command.as_str()), ("nc", "nc -lk {port} -e a=b"));
        for nonsense in ["", "x", "=y {port}", "x=", "x=y", "a\nb=y {port}"] {
            assert!(Foreign::parse(nonsense).is_err(), "{nonsense:?} was taken");
        }
    }

    #[test]
    fn a_pool_has_a_worker_for_every_connection_and_iterative_has_one_connection() {
        let pool = Contender::own(Model::Prefork, 7, 2);
        assert_eq!((pool.id.as_str(), pool.workers()), ("prefork", Some(7)));
        assert_eq!(pool.start.to_string(), "lab serve prefork --workers=7");
        assert_eq!(pool.connections, 7);
        assert_eq!(Contender::own(Model::Iterative, 7, 2).connections, 1);
        assert_eq!(Contender::own(Model::TokioWorkers, 7, 2).workers(), Some(2));
    }
}
