//! The models of this project: the one list. Whoever adds a model adds a line here, one to the
//! tests' list of servers, and one to README's table.

use std::ffi::CString;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use nix::sys::prctl;

/// Lines of code of each model's page.
const LINES: &[(&str, usize)] = include!(concat!(env!("OUT_DIR"), "/lines.rs"));

/// What a model is, as far as it matters to who chooses or measures it.
#[derive(Debug)]
struct Traits {
    /// What the server makes for each client.
    makes: Makes,
    /// Who dies with a crash.
    crash_ends: Isolation,
    /// How many workers it is given, if it can be told.
    workers: Workers,
    /// Whether it can use all cores.
    all_cores: bool,
    /// Bytes of memory for each client, in user space and in the kernel but without its socket, as
    /// measured and rounded up.
    bytes: u64,
    /// Its page in `plain/src/bin`.
    page: &'static str,
    /// Whether this machine has what it needs.
    available: fn() -> Result<(), String>,
}

/// What a server makes for each client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Makes {
    /// Nothing: it serves one after another.
    Nothing,
    /// A process.
    Process,
    /// A thread.
    Thread,
    /// An entry in the table of an event loop, which must not wait.
    Entry,
    /// A task, which may wait.
    Task,
}

/// Who dies with a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// One conversation.
    Client,
    /// Those of one worker process.
    Worker,
    /// All.
    Server,
}

/// How many workers a server is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// It has none, or decides itself.
    Own,
    /// One for each connection: one that no worker is free for would only wait.
    PerConnection,
    /// One for each core.
    PerCore,
}

const PLAIN: Traits = Traits {
    makes: Makes::Entry,
    crash_ends: Isolation::Server,
    workers: Workers::Own,
    all_cores: false,
    bytes: 128,
    page: "",
    available: || Ok(()),
};

macro_rules! traits {
    ({ $($field:ident: $value:expr),* $(, ..PLAIN)? }) => { Traits { $($field: $value,)* ..PLAIN } };
}

macro_rules! models {
    ($( $(#[doc = $doc:literal])+ $model:ident, $name:literal, $server:ident: $traits:tt )+) => {
        /// A model of this project.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
        pub enum Model {
            $( $(#[doc = $doc])+ #[value(name = $name)] $model, )+
        }

        /// A server of a model, with its own options.
        #[derive(Debug, Subcommand)]
        pub enum ServeCommand {
            $( $(#[doc = $doc])+ #[command(name = $name)] $model($server::Options), )+
        }

        impl Model {
            const ALL: &[Self] = &[$( Self::$model ),+];

            /// What it is called, also on the command line.
            pub fn name(self) -> &'static str {
                match self { $( Self::$model => $name, )+ }
            }

            fn traits(self) -> &'static Traits {
                match self { $( Self::$model => { const TRAITS: Traits = traits!($traits); &TRAITS } )+ }
            }
        }

        impl ServeCommand {
            fn model(&self) -> Model {
                match self { $( Self::$model(_) => Model::$model, )+ }
            }

            fn serve(&self) -> Result<()> {
                match self { $( Self::$model(options) => $server::run(options), )+ }
            }
        }
    };
}

// In the order of the lesson.
models! {
    /// One conversation at a time
    Iterative, "iterative", server_iterative: { makes: Makes::Nothing, page: "iterative", ..PLAIN }
    /// A process per conversation
    Fork, "fork", server_fork: {
        makes: Makes::Process,
        crash_ends: Isolation::Client,
        all_cores: true,
        bytes: 140 << 10,
        page: "fork",
        ..PLAIN
    }
    /// A fixed pool of processes, as many as connections
    Prefork, "prefork", server_prefork: {
        makes: Makes::Process,
        crash_ends: Isolation::Client,
        workers: Workers::PerConnection,
        all_cores: true,
        bytes: 140 << 10,
        page: "prefork",
        ..PLAIN
    }
    /// A thread per conversation
    Thread, "thread", server_thread: { makes: Makes::Thread, all_cores: true, bytes: 36 << 10, page: "thread", ..PLAIN }
    /// A fixed pool of threads, as many as connections
    Pool, "pool", server_pool: {
        makes: Makes::Thread,
        workers: Workers::PerConnection,
        all_cores: true,
        bytes: 36 << 10,
        page: "pool",
        ..PLAIN
    }
    /// All conversations on one thread, one event loop
    Mio, "mio", server_mio: { page: "mio", ..PLAIN }
    /// A task per conversation, all on one thread
    Tokio, "tokio", server_tokio: { makes: Makes::Task, bytes: 1024, page: "tokio", ..PLAIN }
    /// A task per conversation, on a thread per core
    TokioWorkers, "tokio-workers", server_tokio: {
        makes: Makes::Task,
        workers: Workers::PerCore,
        all_cores: true,
        bytes: 1024,
        page: "tokio",
        ..PLAIN
    }
    /// All conversations on one thread, completions instead of readiness
    Uring, "uring", server_uring:
        { bytes: 512, page: "uring", available: || server_uring::available().map_err(|error| error.to_string()), ..PLAIN }
    /// A process per core, an event loop in each
    Hybrid, "hybrid", server_hybrid:
        { crash_ends: Isolation::Worker, all_cores: true, page: "hybrid", ..PLAIN }
}

impl Model {
    /// All, in the order of the lesson.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied()
    }

    /// The one of that name.
    pub fn of(name: &str) -> Option<Self> {
        Self::all().find(|model| model.name() == name)
    }

    /// What the server makes for each client.
    pub fn makes(self) -> Makes {
        self.traits().makes
    }

    /// Who dies with a crash.
    pub fn isolation(self) -> Isolation {
        self.traits().crash_ends
    }

    /// How many workers it is given.
    pub fn workers(self) -> Workers {
        self.traits().workers
    }

    /// Whether it serves one conversation at a time, and the others wait.
    pub fn holds_one(self) -> bool {
        self.makes() == Makes::Nothing
    }

    /// Whether a request may wait without holding up those of other clients.
    pub fn can_wait(self) -> bool {
        matches!(self.makes(), Makes::Process | Makes::Thread | Makes::Task)
    }

    /// Whether each client costs a process or a thread.
    pub fn tasks_per_client(self) -> bool {
        matches!(self.makes(), Makes::Process | Makes::Thread)
    }

    /// Whether it can use all cores.
    pub fn uses_all_cores(self) -> bool {
        self.traits().all_cores
    }

    /// Bytes of memory for each client, in user space and in the kernel but without its socket, as
    /// measured and rounded up.
    pub fn bytes_per_client(self) -> u64 {
        self.traits().bytes
    }

    /// The name of its page in `plain/src/bin`; the same model with more threads has the same one.
    pub fn page(self) -> &'static str {
        self.traits().page
    }

    /// Lines of code of that page, without blank lines and comments.
    pub fn lines(self) -> Option<usize> {
        LINES.iter().find(|(page, _)| *page == self.page()).map(|(_, lines)| *lines)
    }

    /// Whether this machine has what it needs.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn available(self) -> Result<(), String> {
        (self.traits().available)()
    }
}

impl Isolation {
    /// What stands in a table under "crash ends".
    pub fn words(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Worker => "worker",
            Self::Server => "all",
        }
    }
}

impl ServeCommand {
    /// Serves until a signal stops it. No thread may exist yet: some fork.
    ///
    /// # Errors
    /// What the server failed with.
    pub fn run(&self) -> Result<()> {
        // The name by which `top` and `ps` show the process; otherwise that of the path it was
        // started by, `exe`.
        prctl::set_name(&CString::new(format!("lab-{}", self.model().name()))?)?;
        self.serve()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_has_a_page_and_a_name_of_its_own() {
        for model in Model::all() {
            assert_eq!(Model::of(model.name()), Some(model));
            assert!(model.lines().is_some_and(|lines| lines > 1), "{model:?}");
        }
    }
}
