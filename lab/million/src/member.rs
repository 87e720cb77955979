//! A client process, seen from inside: `lab crowd`, which the lab starts as often as it takes.
//!
//! One event loop for all of its connections. What it keeps for each is a socket and sixteen bytes,
//! so that the figures are the server's.

use std::io;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use client::load::{LoadOptions, Payload, histogram, splitmix};
use harness::clock::now_ns;
use harness::leash;
use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};
use nix::sys::prctl;
use serving::limit::raise_descriptors;

use super::connection::{BUFFER_BYTES, Connection, Fault, MESSAGE_BYTES, Turn};
use super::words::{Account, Order, Part, Word, hear, say};

/// A server that answers nobody for this long is given up.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often it is told how far it has come.
const PROGRESS: Duration = Duration::from_millis(100);

/// The most events that one `epoll_wait` brings.
const EVENTS_PER_WAIT: usize = 1024;

/// `lab crowd`
#[derive(Debug, Args)]
pub struct CrowdOptions {
    /// Die with this process, which must be the parent
    #[arg(long, value_name = "PID")]
    dies_with: i32,
    /// What it is, as JSON
    part: String,
}

/// Is a client process until the lab has nothing more to say.
///
/// # Errors
/// If the lab has gone, or the system denies it what it needs before it has any connection.
pub fn run(options: &CrowdOptions) -> Result<()> {
    leash::attach(options.dies_with)?;
    // The name by which `top` and `ps` show the process.
    prctl::set_name(c"lab-crowd")?;
    raise_descriptors()?;
    let part = serde_json::from_str(&options.part).context("cannot understand the lab")?;
    let mut member = Member::new(part)?;
    let (mut stdin, mut stdout) = (io::stdin().lock(), io::stdout().lock());
    say(&mut stdout, &Word::Ready)?;
    while let Some(order) = hear(&mut stdin)? {
        let account = member.carry_out(order, &mut |done| say(&mut stdout, &Word::Progress(done)))?;
        say(&mut stdout, &Word::Done(account))?;
    }
    Ok(())
}

/// All connections of this process. One that is lost leaves its place empty.
struct Member {
    part: Part,
    payload: Payload,
    poll: Poll,
    events: Events,
    connections: Vec<Option<Connection>>,
    /// Lent to whichever connection has its turn.
    buffer: [u8; BUFFER_BYTES],
    times: Histogram<u64>,
    patience: Duration,
}

/// An order that is being carried out.
struct Task {
    order: Order,
    in_flight: usize,
    account: Account,
}

impl Member {
    fn new(part: Part) -> Result<Self> {
        let mut load = LoadOptions::new(part.address);
        (load.seed, load.size) = (part.seed, usize::from(MESSAGE_BYTES));
        // All places at once: what they cost must not grow while it is weighed.
        let connections = (0..part.connections).map(|_| None).collect();
        Ok(Self {
            payload: Payload::new(&load),
            poll: Poll::new().context("cannot make an event queue")?,
            events: Events::with_capacity(EVENTS_PER_WAIT),
            connections,
            buffer: [0; BUFFER_BYTES],
            times: histogram(),
            patience: PATIENCE,
            part,
        })
    }

    /// Gives every connection the same to do, a bounded number of them at once, and waits until all
    /// have done it.
    fn carry_out(&mut self, order: Order, tell: &mut impl FnMut(u64) -> Result<()>) -> Result<Account> {
        let window = if order == Order::Ask { self.part.asking } else { self.part.opening };
        let mut keys = self.keys(order).into_iter();
        let mut task =
            Task { order, in_flight: 0, account: Account { began_ns: now_ns(), ..Account::default() } };
        self.times.reset();
        let (mut told, mut moved) = (Instant::now(), Instant::now());
        loop {
            while task.in_flight < window {
                // Who cannot open one connection opens no more, and goes on with what there is.
                if order == Order::Open && task.account.failed > 0 {
                    break;
                }
                let Some(key) = keys.next() else { break };
                self.begin(key, &mut task);
            }
            if task.in_flight == 0 {
                break;
            }
            if self.turn(&mut task)? {
                moved = Instant::now();
            }
            if moved.elapsed() >= self.patience {
                self.give_up(keys.len(), &mut task);
                break;
            }
            if told.elapsed() >= PROGRESS {
                tell(task.account.done)?;
                told = Instant::now();
            }
        }
        task.account.ended_ns = now_ns();
        task.account.times =
            self.times.iter_recorded().map(|it| (it.value_iterated_to(), it.count_at_value())).collect();
        Ok(task.account)
    }

    /// The connections in the order in which they are told: those that are open, for the sweep
    /// shuffled (Fisher and Yates).
    fn keys(&self, order: Order) -> Vec<usize> {
        if order == Order::Open {
            return (0..self.connections.len()).collect();
        }
        let mut keys: Vec<usize> =
            (0..self.connections.len()).filter(|key| self.connections[*key].is_some()).collect();
        if order == Order::Ask {
            for last in (1..keys.len()).rev() {
                let random = splitmix(self.part.seed ^ splitmix(self.part.first + last as u64));
                let chosen = random % (last as u64 + 1);
                keys.swap(last, usize::try_from(chosen).unwrap_or(last));
            }
        }
        keys
    }

    fn begin(&mut self, key: usize, task: &mut Task) {
        task.in_flight += 1;
        let now_ns = now_ns();
        let begun = match (task.order, &mut self.connections[key]) {
            (Order::Open, _) => self.open(key, now_ns),
            // It was lost after the keys were counted, which ends it.
            (_, None) => Err(Fault::Closed),
            (Order::Ask, Some(connection)) => {
                connection.ask(now_ns);
                Ok(())
            }
            (Order::Close, Some(connection)) => connection.end(now_ns),
        };
        match begun {
            // The first event of a new connection says that it is one. The others hear of nothing
            // that has happened already.
            Ok(()) if task.order == Order::Open => {}
            Ok(()) => self.go_on(key, task),
            Err(fault) => self.lose(key, &fault, task),
        }
    }

    fn open(&mut self, key: usize, now_ns: u64) -> Result<(), Fault> {
        let source = u32::from(self.part.source) + u32::try_from(key).unwrap_or(0) % self.part.sources;
        let mut connection = Connection::open(Ipv4Addr::from(source), self.part.address, now_ns)?;
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
    fn turn(&mut self, task: &mut Task) -> Result<bool> {
        let before = task.in_flight;
        match self.poll.poll(&mut self.events, Some(PROGRESS)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(error).context("cannot wait for events");
            }
            _ => {}
        }
        let keys: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
        for key in keys {
            self.go_on(key, task);
        }
        Ok(task.in_flight < before)
    }

    fn go_on(&mut self, key: usize, task: &mut Task) {
        let Some(connection) = &mut self.connections[key] else { return };
        let number = self.part.first + key as u64;
        // Its greeting is one request, what it is asked in the sweep another.
        let request = self.payload.request(self.payload.key(number), u64::from(task.order == Order::Ask));
        match connection.go_on(&self.payload, &request, &mut self.buffer) {
            Ok(Turn::Waits | Turn::Rests) => {}
            Ok(Turn::Done) => {
                self.times.saturating_record(now_ns().saturating_sub(connection.began_ns));
                task.in_flight -= 1;
                task.account.done += 1;
                if task.order == Order::Close {
                    self.connections[key] = None;
                }
            }
            Err(fault) => self.lose(key, &fault, task),
        }
    }

    fn lose(&mut self, key: usize, fault: &Fault, task: &mut Task) {
        self.connections[key] = None;
        task.in_flight -= 1;
        task.account.failed += 1;
        if task.account.first_failure.is_none() {
            let number = self.part.first + key as u64;
            task.account.first_failure = Some(format!("connection {number}: {fault}"));
        }
    }

    /// Nobody is answered any more: what is in flight is lost, and the `untried` are not even
    /// asked.
    fn give_up(&mut self, untried: usize, task: &mut Task) {
        task.account.failed += task.in_flight as u64;
        if task.order != Order::Open {
            task.account.failed += untried as u64;
        }
        let silence = format!("no answer for {:?} on {} connections", self.patience, task.in_flight);
        task.account.first_failure.get_or_insert(silence);
        for place in &mut self.connections {
            place.take_if(|connection| connection.waits());
        }
    }
}

#[cfg(test)]
mod tests;
