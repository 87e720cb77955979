//! `client talk`: says the same thing again and again and prints what comes back, on as many
//! connections as wanted.
//!
//! One thread per connection; each prints its own lines. The main thread sleeps on one channel,
//! where the signals and the ends of the connections arrive, and on nothing else: whatever the
//! others are blocked in, it can stop.

mod conversation;
mod printable;

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use common::shout;
use serving::Bell;
use serving::limit::raise_descriptors;
use serving::options::{parse_count, parse_duration};

use crate::connect::parse_server;
use crate::events::{announce_signals, next_event};
use conversation::{Failure, converse};

/// How long a stop waits for the replies under way.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// The most connections that one process opens: each has a thread.
const MOST_CONNECTIONS: usize = 10_000;

/// Stack of a connection's thread, in bytes. It holds two small buffers and what formatting a line
/// needs.
const STACK_BYTES: usize = 256 * 1024;

/// What `client talk` can be told.
#[derive(Debug, Clone, Args)]
pub struct TalkOptions {
    /// Server to talk to, as IP:PORT or NAME:PORT, with an IPv6 address in brackets
    #[arg(value_name = "ADDR", env = "SHOUT_CONNECT", default_value = "127.0.0.1:8080")]
    #[arg(value_parser = parse_server_or_command)]
    pub address: SocketAddr,

    /// What to say: any bytes, at least one
    #[arg(long, value_name = "TEXT", default_value = "hello baby", help_heading = "Talking")]
    #[arg(value_parser = OsStringValueParser::new().try_map(parse_message), allow_hyphen_values = true)]
    pub message: OsString,

    /// Say it this many times on each connection [default: until Ctrl-C]
    #[arg(long, value_name = "N", help_heading = "Talking")]
    #[arg(value_parser = parse_count::<{ usize::MAX }>)]
    pub count: Option<usize>,

    /// Pause between a reply and the next message, such as 100ms or 2s; 0s is none
    #[arg(long, value_name = "TIME", default_value = "500ms", help_heading = "Talking")]
    #[arg(value_parser = parse_duration)]
    pub interval: Duration,

    /// Connections that talk at once, each line marked with its own number
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Talking")]
    #[arg(value_parser = parse_count::<MOST_CONNECTIONS>)]
    pub connections: usize,

    /// Give up a connection when the server neither sends nor takes bytes for this long; 0s means
    /// never
    #[arg(long, value_name = "TIME", default_value = "10s", help_heading = "Limits")]
    #[arg(value_parser = parse_duration)]
    pub timeout: Duration,
}

/// Talks until all rounds are done, a signal comes, or nobody is left to talk to; then says how
/// many messages were answered.
///
/// The exit code is 0 also after a signal, and 1 if a reply was wrong or a connection was lost.
///
/// # Errors
/// If a connection cannot be opened, a reply cannot be printed, or the system has no thread to
/// spare.
pub fn run(options: &TalkOptions) -> anyhow::Result<ExitCode> {
    let talk = Arc::new(Talk::new(options)?);
    let (events, arriving) = mpsc::channel();
    announce_signals(events.clone(), || Event::Signal)?;
    // Where that fails or is not enough, connecting will say so.
    let _ = raise_descriptors();
    begin(&talk, &events)?;
    let ending = supervise(&talk, &arriving)?;
    // Whoever closed stdout has seen enough.
    if !ending.output_closed {
        complain(&talk.tally.to_string());
    }
    let failed = ending.lost_connection || talk.tally.wrong.load(Ordering::SeqCst) > 0;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What all connections share.
#[derive(Debug)]
struct Talk {
    options: TalkOptions,
    message: Vec<u8>,
    expected: Vec<u8>,
    /// Rung once, and never silenced: from then on everybody stops.
    stop: Bell,
    tally: Tally,
}

impl Talk {
    fn new(options: &TalkOptions) -> anyhow::Result<Self> {
        let message = options.message.as_bytes().to_vec();
        let mut expected = message.clone();
        shout(&mut expected);
        let stop = Bell::new().context("cannot make a descriptor to stop by")?;
        Ok(Self { options: options.clone(), message, expected, stop, tally: Tally::default() })
    }

    /// How a connection is called in messages.
    fn name(&self, number: usize) -> String {
        match self.options.connections {
            1 => self.options.address.to_string(),
            _ => format!("connection {number}"),
        }
    }

    /// What stands before each of its replies: nothing where there is only one connection.
    fn mark(&self, number: usize) -> String {
        match self.options.connections {
            1 => String::new(),
            connections => format!("{number:>width$}: ", width = connections.to_string().len()),
        }
    }
}

/// How many messages were sent and answered, on all connections together.
#[derive(Debug, Default)]
struct Tally {
    sent: AtomicU64,
    answered: AtomicU64,
    wrong: AtomicU64,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Answers first: a message is counted before its answer, so this order cannot show more
        // answers than messages.
        let answered = self.answered.load(Ordering::SeqCst);
        let sent = self.sent.load(Ordering::SeqCst);
        write!(f, "answered {answered} of {sent}")?;
        match self.wrong.load(Ordering::SeqCst) {
            0 => Ok(()),
            wrong => write!(f, ", {wrong} of them wrong"),
        }
    }
}

/// What the main thread waits for.
#[derive(Debug)]
enum Event {
    /// SIGINT, SIGTERM or SIGHUP.
    Signal,
    /// Connection `number` has ended.
    Ended { number: usize, result: Result<(), Failure> },
}

/// Starts the connections' threads. They are not joined: one may be blocked in connecting or
/// printing for long, and the end does not wait for it. What they have to say comes as an event.
fn begin(talk: &Arc<Talk>, events: &Sender<Event>) -> anyhow::Result<()> {
    for number in 1..=talk.options.connections {
        let (talk, events) = (Arc::clone(talk), events.clone());
        let hold = move || {
            let result = converse(&talk, number);
            let _ = events.send(Event::Ended { number, result });
        };
        let thread = thread::Builder::new().name(format!("talk {number}")).stack_size(STACK_BYTES);
        thread.spawn(hold).with_context(|| {
            format!("cannot start a thread for connection {number}; use fewer --connections")
        })?;
    }
    Ok(())
}

/// How it all ended.
#[derive(Debug, Default)]
struct Ending {
    lost_connection: bool,
    output_closed: bool,
}

/// Waits until all connections have ended. A first signal stops them; a second one, or
/// [`STOP_PATIENCE`], ends the wait.
fn supervise(talk: &Talk, arriving: &Receiver<Event>) -> anyhow::Result<Ending> {
    let mut ending = Ending::default();
    let mut open = talk.options.connections;
    let mut deadline = None;
    while open > 0 {
        match next_event(arriving, deadline) {
            Some(Event::Signal) if deadline.is_none() => {
                deadline = Some(Instant::now() + STOP_PATIENCE);
                talk.stop.ring();
            }
            Some(Event::Signal) | None => break,
            Some(Event::Ended { number, result }) => {
                open -= 1;
                match result {
                    Ok(()) => {}
                    Err(Failure::Connect(error)) => return Err(error),
                    Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {
                        ending.output_closed = true;
                        break;
                    }
                    Err(Failure::Output(error)) => return Err(error).context("cannot print a reply"),
                    Err(Failure::Broken(why)) => {
                        ending.lost_connection = true;
                        complain(&format!("error: {}: {why}", talk.name(number)));
                    }
                }
            }
        }
    }
    Ok(ending)
}

/// Writes one line to stderr, in one piece. A closed stderr is no reason to stop.
fn complain(line: &str) {
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// Takes any message but the empty one, whose reply would be complete before it was sent.
fn parse_message(text: OsString) -> Result<OsString, &'static str> {
    if text.as_os_str() == OsStr::new("") { Err("takes at least one byte") } else { Ok(text) }
}

/// Reads the address of a server. Where it is none, a mistyped command may be meant, since nothing
/// else tells the two apart.
fn parse_server_or_command(text: &str) -> Result<SocketAddr, String> {
    let is_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
    let hint = if is_word { "; the commands are talk, pipe, load, merge, hold" } else { "" };
    parse_server(text).map_err(|error| error + hint)
}
