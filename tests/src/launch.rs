//! Starting a server.

use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use crate::server::{Exit, Server};
use crate::{Model, eventually, processes};

/// Variables of the developer's environment that would change what a server does.
const FOREIGN_VARIABLES: [&str; 16] = [
    "RUST_LOG",
    "RUST_LOG_STYLE",
    "NO_COLOR",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "SHOUT_LISTEN",
    "SHOUT_BACKLOG",
    "SHOUT_MAX_CONNECTIONS",
    "SHOUT_IDLE_TIMEOUT",
    "SHOUT_DRAIN_TIMEOUT",
    "SHOUT_WORK",
    "SHOUT_WORKERS",
    "SHOUT_PROCESSES",
    "SHOUT_THREADS",
];

/// A [`script`](Launch::script) that hands the standard input over as the first descriptor after
/// the standard ones; the variables are those of sd_listen_fds(3).
pub const HAND_OVER: &str = "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\"";

/// How a server is to be started. Without further words: on a free port of 127.0.0.1, with
/// [`WORKERS`](crate::model::WORKERS) where the model has a fixed number of them.
#[derive(Debug)]
pub struct Launch {
    model: Model,
    listen: Option<String>,
    options: Vec<String>,
    limit: Option<usize>,
    plain: bool,
    variables: Vec<(String, String)>,
    script: Option<String>,
    stdin: Stdio,
}

impl Launch {
    /// A server of this model.
    pub fn of(model: Model) -> Self {
        Self {
            model,
            listen: Some("127.0.0.1:0".to_owned()),
            options: Vec::new(),
            limit: None,
            plain: false,
            variables: Vec::new(),
            script: None,
            stdin: Stdio::null(),
        }
    }

    /// With these options, after the ones that the harness gives.
    pub fn options(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|&option| option.to_owned()));
        self
    }

    /// On this address; `None` leaves the option out.
    pub fn listen(mut self, address: Option<&str>) -> Self {
        self.listen = address.map(str::to_owned);
        self
    }

    /// With this many places for conversations; [`Model::places`] says what it makes of that.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// A plain server, which knows no options: its only argument is the address.
    pub fn plain(mut self) -> Self {
        self.plain = true;
        self
    }

    /// With an environment variable.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// By a shell that first runs `script`, whose last command must be `exec "$0" "$@"` with what
    /// it wants around it.
    pub fn script(mut self, script: &str) -> Self {
        self.script = Some(script.to_owned());
        self
    }

    /// With this standard input.
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.stdin = stdin.into();
        self
    }

    /// With this socket, as service managers hand one over.
    pub fn handed_over(self, socket: impl Into<OwnedFd>) -> Self {
        self.script(HAND_OVER).stdin(socket.into())
    }

    /// Starts the server and waits until it says its address.
    ///
    /// # Panics
    /// If its first line is not exactly the promised one.
    #[track_caller]
    pub fn start(self) -> Server {
        let model = self.model;
        let mut server = Server::new(model, self.spawn());
        let first = server.stdout().wait_for("address line", |lines| lines.first().cloned());
        let address = first.strip_prefix("listening on ").and_then(|address| address.parse().ok());
        server.set_address(address.unwrap_or_else(|| panic!("this is not the address line: {first:?}")));
        server
    }

    /// Starts the server, which may be refused: waits for its address line or its end.
    ///
    /// # Errors
    /// How it ended, where it did.
    #[track_caller]
    pub fn attempt(self) -> Result<Server, Exit> {
        let model = self.model;
        let mut server = Server::new(model, self.spawn());
        let stdout = server.stdout();
        eventually("it says its address or ends", || stdout.has_ended() || !stdout.so_far().is_empty());
        let first = stdout.so_far().into_iter().next();
        let address = first.and_then(|line| line.strip_prefix("listening on ")?.parse().ok());
        match address {
            Some(address) => {
                server.set_address(address);
                Ok(server)
            }
            None => Err(server.wait_exit()),
        }
    }

    /// Starts a server that cannot say its address; waits until it listens.
    #[track_caller]
    pub fn start_unheard(self) -> Server {
        let model = self.model;
        let mut server = Server::new(model, self.spawn());
        let mut addresses = Vec::new();
        eventually("the server listens", || {
            addresses = processes::listening_addresses(server.pid());
            !addresses.is_empty()
        });
        server.set_address(addresses[0]);
        server
    }

    /// Starts the server and waits for its end, for calls that are refused.
    #[track_caller]
    pub fn run(self) -> Exit {
        let model = self.model;
        Server::new(model, self.spawn()).wait_exit()
    }

    fn spawn(self) -> Child {
        let mut command = match self.script {
            Some(script) => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(script).arg(self.model.program);
                shell
            }
            None => Command::new(self.model.program),
        };
        for variable in FOREIGN_VARIABLES {
            command.env_remove(variable);
        }
        if let Some(address) = self.listen {
            command.args((!self.plain).then_some("--listen")).arg(address);
        }
        let limit_options = if self.plain { Vec::new() } else { self.model.limit_options(self.limit) };
        command
            .args(limit_options)
            .args(self.options)
            .envs(self.variables)
            .stdin(self.stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server's program can be started")
    }
}
