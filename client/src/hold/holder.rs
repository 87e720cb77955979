//! All connections of one process, on one event loop.

use std::io;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};

use super::connection::{BUFFER_BYTES, Connection, Did, Fault, MESSAGE_BYTES};
use super::{Account, HoldOptions, Step};
use crate::clock::now_ns;
use crate::connect::explain_connect;
use crate::load::{LoadOptions, Payload, histogram, splitmix};

/// How often it is told how far it has come.
const PROGRESS: Duration = Duration::from_millis(100);

/// The most events that one `epoll_wait` brings.
const EVENTS_PER_WAIT: usize = 1024;

/// All connections of this process. One that is lost leaves its place empty.
#[derive(Debug)]
pub struct Holder {
    pub(super) options: HoldOptions,
    payload: Payload,
    poll: Poll,
    events: Events,
    connections: Vec<Option<Connection>>,
    /// Lent to whichever connection has its turn.
    buffer: [u8; BUFFER_BYTES],
    times: Histogram<u64>,
}

/// A step that is being carried out.
struct Run {
    step: Step,
    in_flight: usize,
    account: Account,
}

impl Holder {
    /// None open yet.
    ///
    /// # Errors
    /// If the options contradict each other, or the system has no event queue to give.
    pub fn new(options: &HoldOptions) -> Result<Self> {
        let mut load = LoadOptions::new(options.address);
        (load.seed, load.size) = (options.seed, usize::from(MESSAGE_BYTES));
        load.source.clone_from(&options.source);
        load.check()?;
        // All places at once: what they cost must not grow while it is weighed.
        let connections = (0..options.connections).map(|_| None).collect();
        Ok(Self {
            payload: Payload::new(&load),
            poll: Poll::new().context("cannot make an event queue")?,
            events: Events::with_capacity(EVENTS_PER_WAIT),
            connections,
            buffer: [0; BUFFER_BYTES],
            times: histogram(),
            options: options.clone(),
        })
    }

    /// How many there are to be.
    pub fn places(&self) -> u64 {
        self.connections.len() as u64
    }

    /// How many are open.
    pub fn open(&self) -> u64 {
        self.connections.iter().flatten().count() as u64
    }

    /// Gives every connection the same to do, a bounded number of them at once, and waits until all
    /// have done it, or the server has answered nobody for `--timeout`. `tell` hears now and then
    /// with how many it is done.
    ///
    /// # Errors
    /// If the system cannot wait for events, or what `tell` says. What happened to connections is
    /// in the account.
    pub fn carry_out(&mut self, step: Step, tell: &mut impl FnMut(u64) -> Result<()>) -> Result<Account> {
        let window = if step == Step::Ask { self.options.in_flight } else { self.options.opening };
        let mut keys = self.keys(step).into_iter();
        let mut run =
            Run { step, in_flight: 0, account: Account { began_ns: now_ns(), ..Account::default() } };
        self.times.reset();
        let (mut told, mut moved) = (Instant::now(), Instant::now());
        loop {
            while run.in_flight < window {
                // Where one cannot be opened, no more are: what there is will do.
                if step == Step::Open && run.account.failed > 0 {
                    break;
                }
                let Some(key) = keys.next() else { break };
                self.begin(key, &mut run);
            }
            if run.in_flight == 0 {
                break;
            }
            if self.turn(&mut run)? {
                moved = Instant::now();
            }
            if !self.options.timeout.is_zero() && moved.elapsed() >= self.options.timeout {
                self.give_up(keys.len(), &mut run);
                break;
            }
            if told.elapsed() >= PROGRESS {
                tell(run.account.done)?;
                told = Instant::now();
            }
        }
        run.account.ended_ns = now_ns();
        run.account.times =
            self.times.iter_recorded().map(|it| (it.value_iterated_to(), it.count_at_value())).collect();
        Ok(run.account)
    }

    /// The connections in the order in which they are told: those that are open, for the sweep
    /// shuffled (Fisher and Yates).
    pub(super) fn keys(&self, step: Step) -> Vec<usize> {
        if step == Step::Open {
            return (0..self.connections.len()).collect();
        }
        let mut keys: Vec<usize> =
            (0..self.connections.len()).filter(|key| self.connections[*key].is_some()).collect();
        if step == Step::Ask {
            for last in (1..keys.len()).rev() {
                let random =
                    splitmix(self.options.seed ^ splitmix(self.options.first.wrapping_add(last as u64)));
                let chosen = random % (last as u64 + 1);
                keys.swap(last, usize::try_from(chosen).unwrap_or(last));
            }
        }
        keys
    }

    fn begin(&mut self, key: usize, run: &mut Run) {
        run.in_flight += 1;
        let now_ns = now_ns();
        let begun = match (run.step, &mut self.connections[key]) {
            (Step::Open, _) => self.open_one(key, now_ns),
            // It was lost after the keys were counted, which ends it.
            (_, None) => Err(Fault::Closed),
            (Step::Ask, Some(connection)) => {
                connection.ask(now_ns);
                Ok(())
            }
            (Step::Close, Some(connection)) => connection.end(now_ns),
        };
        match begun {
            // The first event of a new connection says that it is one. The others hear of nothing
            // that has happened already.
            Ok(()) if run.step == Step::Open => {}
            Ok(()) => self.go_on(key, run),
            Err(fault) => self.lose(key, &fault, run),
        }
    }

    pub(super) fn open_one(&mut self, key: usize, now_ns: u64) -> Result<(), Fault> {
        let source = self.options.source.get(key % self.options.source.len().max(1)).copied();
        let mut connection = Connection::open(source, self.options.address, now_ns)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry
            .register(connection.stream(), Token(key), interest)
            .map_err(|error| Fault::System("watch a connection", error))?;
        self.connections[key] = Some(connection);
        Ok(())
    }

    /// One turn of the loop. Says whether any connection has done, or will never do, what it was
    /// told.
    fn turn(&mut self, run: &mut Run) -> Result<bool> {
        let before = run.in_flight;
        match self.poll.poll(&mut self.events, Some(PROGRESS)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(error).context("cannot wait for events");
            }
            _ => {}
        }
        let keys: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
        for key in keys {
            self.go_on(key, run);
        }
        Ok(run.in_flight < before)
    }

    fn go_on(&mut self, key: usize, run: &mut Run) {
        let Some(connection) = &mut self.connections[key] else { return };
        let number = self.options.first.wrapping_add(key as u64);
        // Its greeting is one request, what it is asked in the sweep another.
        let request = self.payload.request(self.payload.key(number), u64::from(run.step == Step::Ask));
        match connection.go_on(&self.payload, &request, &mut self.buffer) {
            Ok(Did::Part | Did::Nothing) => {}
            Ok(Did::All) => {
                self.times.saturating_record(now_ns().saturating_sub(connection.began_ns));
                run.in_flight -= 1;
                run.account.done += 1;
                if run.step == Step::Close {
                    self.connections[key] = None;
                }
            }
            Err(fault) => self.lose(key, &fault, run),
        }
    }

    fn lose(&mut self, key: usize, fault: &Fault, run: &mut Run) {
        self.connections[key] = None;
        run.in_flight -= 1;
        run.account.failed += 1;
        if run.account.first_failure.is_none() {
            let number = self.options.first.wrapping_add(key as u64);
            let why = match fault {
                Fault::Connect(error) => explain_connect(self.options.address, error),
                other => other.to_string(),
            };
            run.account.first_failure = Some(format!("connection {number}: {why}"));
        }
    }

    /// Nobody is answered any more: what is in flight is lost, and the `untried` are not even
    /// asked.
    fn give_up(&mut self, untried: usize, run: &mut Run) {
        run.account.failed += run.in_flight as u64;
        if run.step != Step::Open {
            run.account.failed += untried as u64;
        }
        let silence = format!("no answer for {:?} on {} connections", self.options.timeout, run.in_flight);
        run.account.first_failure.get_or_insert(silence);
        for place in &mut self.connections {
            place.take_if(|connection| connection.waits());
        }
    }
}
