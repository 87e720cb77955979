//! The servers that keep the promises.

/// Workers of the models that have a fixed number of them, unless a promise asks for another.
pub const WORKERS: usize = 4;

/// Processes of the hybrid server.
const HYBRID_PROCESSES: usize = 2;

/// How a server serves many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One conversation at a time.
    Iterative,
    /// A process per conversation.
    Fork,
    /// A fixed pool of processes.
    Prefork,
    /// A thread per conversation.
    Thread,
    /// A fixed pool of threads.
    Pool,
    /// All conversations in one event loop.
    Mio,
    /// A task per conversation, all on one thread.
    Tokio,
    /// A task per conversation, shared among threads.
    TokioWorkers,
    /// All conversations in one loop of completions.
    Uring,
    /// Event loops in threads of several processes.
    Hybrid,
}

/// One server that promises are tested against: a program, and how it is told to work.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// How it serves many.
    pub kind: Kind,
    /// Path of its binary.
    pub program: &'static str,
}

impl Model {
    /// How many of `wanted` conversations it serves at once, started without a limit.
    pub fn at_once(self, wanted: usize) -> usize {
        match self.kind {
            Kind::Iterative => 1,
            Kind::Prefork | Kind::Pool => wanted.min(WORKERS),
            _ => wanted,
        }
    }

    /// Whether it serves more than one conversation at a time.
    pub fn serves_several(self) -> bool {
        self.kind != Kind::Iterative
    }

    /// Whether this system has what the model needs; says so where not.
    pub fn can_be_tested(self) -> bool {
        if self.kind != Kind::Uring {
            return true;
        }
        let ring = server_uring::available();
        if let Err(error) = &ring {
            crate::skip(&format!("{error}"));
        }
        ring.is_ok()
    }

    /// Whether its conversations are served by children of its process.
    pub fn has_children(self) -> bool {
        matches!(self.kind, Kind::Fork | Kind::Prefork | Kind::Hybrid)
    }

    /// How many processes it starts before any client is there.
    pub(crate) fn worker_processes(self) -> usize {
        match self.kind {
            Kind::Prefork => WORKERS,
            Kind::Hybrid => HYBRID_PROCESSES,
            _ => 0,
        }
    }

    /// The options that limit it to `limit` conversations at once; the iterative server has one
    /// place whatever it is told.
    pub(crate) fn limit_options(self, limit: Option<usize>) -> Vec<String> {
        match (self.kind, limit) {
            (Kind::Prefork | Kind::Pool, limit) => {
                vec!["--workers".to_owned(), limit.unwrap_or(WORKERS).to_string()]
            }
            (Kind::Fork | Kind::Thread | Kind::Mio | Kind::Tokio | Kind::Uring, Some(limit)) => {
                vec!["--max-connections".to_owned(), limit.to_string()]
            }
            (Kind::TokioWorkers, limit) => {
                let mut options = vec!["--workers".to_owned(), WORKERS.to_string()];
                options.extend(limit.map(|limit| format!("--max-connections={limit}")));
                options
            }
            (Kind::Hybrid, limit) => {
                let processes = HYBRID_PROCESSES.to_string();
                let shape = ["--processes", &processes, "--threads", "2"].map(str::to_owned);
                let limit = limit.map(|limit| ["--max-connections".to_owned(), limit.to_string()]);
                shape.into_iter().chain(limit.into_iter().flatten()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// How many conversations it serves at once when it was started with
    /// [`Launch::limit`](crate::Launch::limit).
    pub fn places(self, limit: usize) -> usize {
        if self.kind == Kind::Iterative { 1 } else { limit }
    }
}
