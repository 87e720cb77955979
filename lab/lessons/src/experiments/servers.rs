//! Three clients against each model in turn: who serves whom, and who waits for whom.
//!
//! The first client is slow: it asks, thinks, and asks again. The second asks once, is silent for a
//! while, and asks again. The third is quick. A server that holds one conversation at a time lets
//! the second wait until the first has left, although the processor is idle all the time: the server
//! sleeps in `recv`, and nobody is left to answer. The other models differ in who that "nobody" is.
//!
//! The clients record their own lanes. The server's are seen from outside, by the system calls that
//! its processes and threads are in (`watch`): nothing in a server knows of this lesson, so any
//! model can be shown.

mod watch;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::ops::RangeInclusive;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use harness::contender::Contender;
use harness::interrupt::Interrupt;
use harness::lang::Both;
use harness::models::{Makes, Model, Workers};
use harness::server::Server;
use serving::options::parse_duration;

use crate::Experiment;
use crate::stage::Stage;
use crate::texts::{Texts, say};
use crate::trace::{Lane, Mark, Recorder, State, Trace};
use crate::verdict::{Claim, Figure, Observation, Variant};

use self::watch::{ANY_CLIENT, Ports, Watch, client_name};

/// A client that waits longer for an answer has found a fault, beside what the others' pauses take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The others' pauses, in paces, and a little more.
const PACES: u32 = 8;

/// The shortest and the longest pace: what is seen must be longer than a look, and a server closes
/// clients that are silent for a minute.
const PACE: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(5);

/// Workers of a pool: fewer than the clients.
const WORKERS: usize = 2;

/// What a client says, and what it is answered.
const QUESTION: &[u8] = b"hello baby";
const ANSWER: &[u8] = b"HELLO BABY";

/// The mark of an answer; its value is the client's number.
const ANSWERED: &str = "answer";

/// An answer may be seen by the client so much later than the watch sees that the server waits for
/// the next question, or so much earlier, in nanoseconds.
const SEEN_LATE_NS: u64 = 5_000_000;

/// `lab run servers`
#[derive(Debug, Args)]
pub struct Servers {
    /// The models to show, separated by commas
    #[arg(short, long, value_name = "MODEL", value_enum, value_delimiter = ',')]
    #[arg(default_values = ["iterative", "fork", "thread", "pool", "mio", "tokio"])]
    models: Vec<Model>,

    /// The slow client thinks for this long before it asks again; all else is measured by it
    #[arg(long, value_name = "TIME", default_value = "120ms", value_parser = parse_pace)]
    pace: Duration,
}

/// How a model serves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Serves {
    /// One client after the other.
    InTurn,
    /// By processes, or by threads, that are there before anybody comes.
    ProcessPool,
    ThreadPool,
    /// Each client by one of its own.
    Process,
    Thread,
    /// All by one event loop.
    Loop,
    Tasks,
    /// Several event loops share the clients: the number of cores decides how many serve.
    Loops,
}

impl Serves {
    fn of(model: Model) -> Self {
        let (is_pool, shares) = (model.workers() == Workers::PerConnection, model.uses_all_cores());
        match model.makes() {
            Makes::Nothing => Self::InTurn,
            Makes::Process if is_pool => Self::ProcessPool,
            Makes::Thread if is_pool => Self::ThreadPool,
            Makes::Process => Self::Process,
            Makes::Thread => Self::Thread,
            Makes::Entry | Makes::Task if shares => Self::Loops,
            Makes::Entry => Self::Loop,
            Makes::Task => Self::Tasks,
        }
    }
}

/// What was seen of one model.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) model: &'static str,
    pub(crate) serves: Serves,
    /// The second client and the third, for their first answers.
    pub(crate) waited_ns: [u64; 2],
    /// How many processes, threads or event loops served, if that could be seen.
    pub(crate) served: Option<usize>,
}

/// A client: when it comes, and how long it pauses after each answer but the last.
struct Client {
    name: &'static str,
    comes_after: Duration,
    pauses: Vec<Duration>,
    /// What it does in a pause.
    what: &'static str,
}

impl Servers {
    /// Three, in the order in which they come.
    fn clients(&self) -> [Client; 3] {
        let pace = self.pace;
        [
            Client {
                name: "client 1, slow",
                comes_after: Duration::ZERO,
                pauses: vec![pace; 3],
                what: "thinks",
            },
            Client {
                name: "client 2, silent",
                comes_after: pace / 2,
                pauses: vec![pace * 2],
                what: "is silent",
            },
            Client { name: "client 3, quick", comes_after: pace, pauses: vec![pace / 4; 2], what: "" },
        ]
    }

    fn show(&self, model: Model) -> Result<Shown> {
        let interrupt = Interrupt::default();
        let contender =
            Contender::own(model, WORKERS, thread::available_parallelism().map_or(1, usize::from));
        let server = Server::start(&contender, None, &interrupt)?;
        let (address, ports) = (server.address(), Ports::default());
        let patience = PATIENCE + self.pace * PACES;
        let watch = Watch::begin(server.tree(), &ports);
        let clients = thread::scope(|scope| {
            let talk = |(number, client): (usize, Client)| {
                let ports = &ports;
                let thread = thread::Builder::new().name(client.name.to_owned());
                thread
                    .spawn_scoped(scope, move || client.talk(number, address, ports, patience))
                    .context("cannot start a thread")
            };
            let threads: Vec<_> = self.clients().into_iter().enumerate().map(talk).collect::<Result<_>>()?;
            let lanes =
                threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a client panicked"))?);
            lanes.collect::<Result<Vec<Lane>>>()
        });
        let watched = watch.end()?;
        let clients = clients?;
        server.stop()?;
        Ok(Shown::new(model, clients, watched))
    }
}

impl Client {
    fn talk(&self, number: usize, address: SocketAddr, ports: &Ports, patience: Duration) -> Result<Lane> {
        let mut me = Recorder::thread(self.name);
        me.enter_with(State::Sleeping, "");
        thread::sleep(self.comes_after);
        me.enter(State::Running);
        let mut stream = TcpStream::connect(address).context("a client cannot connect")?;
        stream.set_read_timeout(Some(patience))?;
        ports.add(stream.local_addr()?.port(), number);
        for pause in self.pauses.iter().map(Some).chain([None]) {
            me.enter_with(State::Blocked, "waits for its answer");
            stream.write_all(QUESTION)?;
            let mut answer = [0; ANSWER.len()];
            stream.read_exact(&mut answer).with_context(|| format!("{} was not answered", self.name))?;
            ensure!(answer == ANSWER, "{} was answered {}", self.name, answer.escape_ascii());
            me.mark_with(ANSWERED, (number + 1).to_string());
            if let Some(pause) = pause {
                me.enter_with(State::Sleeping, self.what);
                thread::sleep(*pause);
            }
        }
        me.enter(State::Running);
        stream.shutdown(Shutdown::Write)?;
        ensure!(stream.read(&mut [0])? == 0, "{} was answered more than it had asked", self.name);
        Ok(me.end())
    }
}

impl Experiment for Servers {
    const NAME: &'static str = "servers";
    const QUESTION: fn(&Texts) -> &'static str = |texts| texts.servers.question;

    fn run(&self, _stage: &Stage) -> Result<Observation> {
        let (mut variants, mut claims) = (Vec::new(), Vec::new());
        for model in &self.models {
            if let Err(why) = model.available() {
                crate::show::note(&format!("{} is left out: {why}", model.name()));
                continue;
            }
            let shown = self.show(*model).with_context(|| format!("{} could not be shown", model.name()))?;
            claims.push(shown.claim());
            variants.push(shown.variant());
        }
        Ok(Observation { variants, drawings: Both::default(), claims })
    }
}

/// What was seen of one model.
struct Shown {
    model: Model,
    clients: Vec<Lane>,
    server: Vec<Lane>,
    /// Whether it could be seen what the server waits for.
    is_seen: bool,
}

impl Shown {
    fn new(model: Model, clients: Vec<Lane>, watched: watch::Watched) -> Self {
        let mut server = watched.lanes;
        for (number, client) in clients.iter().enumerate() {
            for answer in &client.marks {
                mark(&mut server, number, answer);
            }
        }
        Self { model, clients, server, is_seen: watched.is_seen }
    }

    /// When the client got its first answer, and its last, in nanoseconds.
    fn answers(&self, client: usize) -> (u64, u64) {
        let marks = &self.clients[client].marks;
        (marks.first().map_or(u64::MAX, |mark| mark.at_ns), marks.last().map_or(u64::MAX, |mark| mark.at_ns))
    }

    /// How long the client waited for its first answer, in nanoseconds.
    fn waited(&self, client: usize) -> u64 {
        let asked = self.clients[client].spans.iter().find(|span| span.state == State::Blocked);
        self.answers(client).0.saturating_sub(asked.map_or(0, |span| span.begin_ns))
    }

    /// How many processes or threads have served clients, as far as that can be told: of event
    /// loops how many there are.
    fn servants(&self) -> usize {
        let is_loop = |lane: &&Lane| lane.spans.iter().any(|span| span.what == ANY_CLIENT);
        let loops = self.server.iter().filter(is_loop).count();
        if loops > 0 { loops } else { self.server.iter().filter(|lane| lane.has(ANSWERED)).count() }
    }

    /// From the first client's beginning to the last answer, in nanoseconds.
    fn took(&self) -> u64 {
        let last_ns = (0..self.clients.len()).map(|client| self.answers(client).1).max().unwrap_or(0);
        last_ns.saturating_sub(self.clients[0].spans.first().map_or(0, |span| span.begin_ns))
    }

    fn claim(&self) -> Claim {
        let [(_, last1), (first2, last2), (first3, _)] = [0, 1, 2].map(|client| self.answers(client));
        let (serves, servants) = (Serves::of(self.model), self.servants());
        let (holds, most) = match serves {
            Serves::InTurn => (first2 > last1 && first3 > last2, 1),
            Serves::ProcessPool | Serves::ThreadPool => {
                (first2 < last1 && first3 > last1.min(last2), WORKERS)
            }
            Serves::Process | Serves::Thread => (first2.max(first3) < last1, 3),
            Serves::Loop | Serves::Tasks | Serves::Loops => (first2.max(first3) < last1, 1),
        };
        // A busy machine may let the watch miss one.
        let as_many = !self.is_seen || serves == Serves::Loops || (1..=most).contains(&servants);
        let fact = Fact {
            model: self.model.name(),
            serves,
            waited_ns: [self.waited(1), self.waited(2)],
            served: self.is_seen.then_some(servants),
        };
        Claim::new(holds && as_many, |texts| (texts.servers.claim)(&fact))
    }

    fn variant(self) -> Variant {
        let unknown = || Figure::Word("unknown".to_owned());
        let servants = if self.is_seen { Figure::count(self.servants()) } else { unknown() };
        let figures = vec![
            ("client 2 waited", Figure::Time(self.waited(1))),
            ("client 3 waited", Figure::Time(self.waited(2))),
            ("servants", servants),
            ("time", Figure::Time(self.took())),
        ];
        let about = say(|texts| (texts.servers.about)(Serves::of(self.model)));
        let lanes = [self.clients, self.server].concat();
        Variant { name: self.model.name().to_owned(), about, trace: Trace::new(lanes), figures }
    }
}

fn parse_pace(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(pace) if PACE.contains(&pace) => Ok(pace),
        _ => Err("takes a time from 10ms to 5s".to_owned()),
    }
}

/// Marks the client's answer also in the lane of who has given it: who waited for this client then,
/// or the only one that waited for any.
fn mark(server: &mut [Lane], number: usize, answer: &Mark) {
    let client = client_name(number);
    let waits_for = |lane: &Lane, what: &str| {
        let near = |begin_ns: u64, end_ns: u64| {
            begin_ns <= answer.at_ns + SEEN_LATE_NS && answer.at_ns <= end_ns + SEEN_LATE_NS
        };
        lane.spans.iter().any(|span| span.what == what && near(span.begin_ns, span.end_ns))
    };
    let one = |what: &str| {
        let mut waiting = (0..server.len()).filter(|lane| waits_for(&server[*lane], what));
        waiting.next().filter(|_| waiting.next().is_none())
    };
    if let Some(lane) = one(&client).or_else(|| one(ANY_CLIENT)) {
        server[lane].marks.push(answer.clone());
        server[lane].marks.sort_by_key(|mark| mark.at_ns);
    }
}
