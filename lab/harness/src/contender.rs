//! What is compared: a model of ours, or a foreign server.

use std::fmt;

use clap::ValueEnum;

/// A server model of this project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Model {
    /// One conversation at a time
    Iterative,
    /// A process per conversation
    Fork,
    /// A fixed pool of processes, as many as connections
    Prefork,
    /// A thread per conversation
    Thread,
    /// A fixed pool of threads, as many as connections
    Pool,
    /// All conversations on one thread, one event loop
    Mio,
    /// A task per conversation, all on one thread
    Tokio,
    /// All conversations on one thread, completions instead of readiness
    Uring,
    /// A process per core, an event loop in each
    Hybrid,
}

impl Model {
    /// All of them, in the order of the lesson.
    pub const ALL: [Self; 9] = [
        Self::Iterative,
        Self::Fork,
        Self::Prefork,
        Self::Thread,
        Self::Pool,
        Self::Mio,
        Self::Tokio,
        Self::Uring,
        Self::Hybrid,
    ];

    /// What it is called, also on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Iterative => "iterative",
            Self::Fork => "fork",
            Self::Prefork => "prefork",
            Self::Thread => "thread",
            Self::Pool => "pool",
            Self::Mio => "mio",
            Self::Tokio => "tokio",
            Self::Uring => "uring",
            Self::Hybrid => "hybrid",
        }
    }

    /// Whether a fixed number of workers serves.
    pub fn is_pool(self) -> bool {
        matches!(self, Self::Prefork | Self::Pool)
    }
}

/// One row of the comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contender {
    /// What it is called everywhere, however many connections there are.
    pub id: String,
    /// What the table calls it: unique in a comparison.
    pub name: String,
    /// How it is started.
    pub start: Start,
    /// How many connections the load opens to it; at least 1.
    pub connections: usize,
    /// Whether it sends bytes back as they are, instead of upper-cased.
    pub echo: bool,
    /// Whether it holds one conversation at a time, and the others wait.
    pub one_at_a_time: bool,
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
    /// One of ours, for that many connections. A pool has as many workers as there are connections,
    /// because a connection that no worker is free for would only wait.
    pub fn own(model: Model, connections: usize) -> Self {
        let server = model.name();
        let workers = model.is_pool().then_some(connections);
        let mut arguments = vec![server.to_owned()];
        arguments.extend(workers.map(|workers| format!("--workers={workers}")));
        Self {
            id: model.name().to_owned(),
            name: workers
                .map_or_else(|| server.to_owned(), |workers| format!("{server} --workers {workers}")),
            start: Start::Own(arguments),
            connections: if model == Model::Iterative { 1 } else { connections },
            echo: false,
            one_at_a_time: model == Model::Iterative,
        }
    }

    /// A foreign one, for that many connections.
    pub fn foreign(foreign: &Foreign, echo: bool, connections: usize) -> Self {
        Self {
            id: foreign.name.clone(),
            name: foreign.name.clone(),
            start: Start::Foreign(foreign.command.clone()),
            connections: if foreign.one_at_a_time { 1 } else { connections },
            echo,
            one_at_a_time: foreign.one_at_a_time,
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
    one_at_a_time: bool,
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
        Ok(Self { name: name.to_owned(), command: command.to_owned(), one_at_a_time: false })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One of the project's `peers/`, whose command has a place for the port.
    pub fn peer(name: &str, command: String, one_at_a_time: bool) -> Self {
        Self { name: name.to_owned(), command, one_at_a_time }
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
        let pool = Contender::own(Model::Prefork, 7);
        assert_eq!(pool.name, "prefork --workers 7");
        assert_eq!(pool.start.to_string(), "lab serve prefork --workers=7");
        assert_eq!(pool.connections, 7);
        assert_eq!(Contender::own(Model::Iterative, 7).connections, 1);
    }
}
