//! `client pipe`: stdin to the server, its replies to stdout, both directions at once.
//!
//! One thread sends and one receives, so the server may stop reading until its replies are read,
//! and nobody waits in a circle. Each owns one buffer; nothing else grows with the input. The main
//! thread sleeps on one channel, where the ends of both directions and the signals arrive, and
//! judges the end.

mod flow;
mod progress;

use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use clap::Args;
use serving::options::parse_duration;

use crate::connect::{connect, parse_server};
use crate::events::{announce_signals, next_event};
use flow::{Flow, Received, Sent, receive, send};
use progress::Meter;

/// How long an end waits for the other direction: after a signal for the replies under way, after
/// the server's end for the sender to look up.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// What `client pipe` can be told.
#[derive(Debug, Clone, Args)]
pub struct PipeOptions {
    /// Server to send to, as IP:PORT or NAME:PORT, with an IPv6 address in brackets
    #[arg(value_name = "ADDR", env = "SHOUT_CONNECT", default_value = "127.0.0.1:8080")]
    #[arg(value_parser = parse_server)]
    pub address: SocketAddr,

    /// Give up when replies are due and none comes for this long; 0s means never
    #[arg(long, value_name = "TIME", default_value = "10s", help_heading = "Limits")]
    #[arg(value_parser = parse_duration)]
    pub timeout: Duration,
}

/// Sends stdin, writes the replies to stdout, and ends when the server has answered everything and
/// closed.
///
/// The exit code is 0 also where stdout was closed early: its reader has seen enough.
///
/// # Errors
/// If not exactly as many bytes came back as were sent, with both counts; if the server cannot be
/// connected to; if stdin cannot be read or stdout not be written.
pub fn run(options: &PipeOptions) -> anyhow::Result<ExitCode> {
    let stream = connect(options.address)?;
    let flow = Arc::new(Flow::new(stream, options.timeout)?);
    let (events, arriving) = mpsc::channel();
    announce_signals(events.clone(), || Event::Signal)?;
    // Not std's stdin and stdout: these would copy every byte once more, and look for line ends.
    let input = duplicate(io::stdin()).context("cannot use stdin")?;
    let output = duplicate(io::stdout()).context("cannot use stdout")?;
    let progress = Meter::new(&input);
    begin(&flow, input, output, &progress, &events)?;
    let ending = supervise(&flow, &arriving);
    progress.finish();
    judge(&flow, options, ending)
}

/// What the main thread waits for.
#[derive(Debug)]
enum Event {
    /// SIGINT, SIGTERM or SIGHUP.
    Signal,
    Sent(Sent),
    Received(Received),
}

fn duplicate(stream: impl AsFd) -> io::Result<File> {
    Ok(File::from(stream.as_fd().try_clone_to_owned()?))
}

/// Starts both directions. The threads are not joined: one may be blocked in stdin or stdout for
/// ever.
fn begin(
    flow: &Arc<Flow>,
    input: File,
    output: File,
    progress: &Meter,
    events: &Sender<Event>,
) -> anyhow::Result<()> {
    let sender = (Arc::clone(flow), events.clone());
    let receiver = (Arc::clone(flow), events.clone(), progress.clone());
    let start_sending = move || {
        let (flow, events) = sender;
        let _ = events.send(Event::Sent(send(&flow, input)));
    };
    let start_receiving = move || {
        let (flow, events, progress) = receiver;
        let _ = events.send(Event::Received(receive(&flow, output, &progress)));
    };
    let start = |name: &str| thread::Builder::new().name(name.to_owned());
    start("send").spawn(start_sending).context("cannot start the sending thread")?;
    start("receive").spawn(start_receiving).context("cannot start the receiving thread")?;
    Ok(())
}

/// How both directions ended; `None` where one has not.
#[derive(Debug, Default)]
struct Ending {
    sent: Option<Sent>,
    received: Option<Received>,
    interrupted: bool,
}

/// Waits until both directions have ended. The first signal ends the input, and the replies to what
/// was sent are still delivered; a second one, or [`STOP_PATIENCE`], ends the wait.
fn supervise(flow: &Flow, arriving: &Receiver<Event>) -> Ending {
    let mut ending = Ending::default();
    let mut deadline = None;
    while ending.sent.is_none() || ending.received.is_none() {
        match next_event(arriving, deadline) {
            Some(Event::Signal) if !ending.interrupted => {
                ending.interrupted = true;
                deadline.get_or_insert(Instant::now() + STOP_PATIENCE);
                flow.end_input();
            }
            Some(Event::Signal) | None => break,
            Some(Event::Sent(sent)) => ending.sent = Some(sent),
            Some(Event::Received(received)) => {
                // Nothing more can come back, so there is nothing to send for. After a clean end
                // the sender is through already.
                ending.received = Some(received);
                deadline.get_or_insert(Instant::now() + STOP_PATIENCE);
                flow.cut();
            }
        }
    }
    ending
}

/// Success if, and only if, the whole input was sent and as many bytes were delivered.
fn judge(flow: &Flow, options: &PipeOptions, ending: Ending) -> anyhow::Result<ExitCode> {
    let (sent, received) = flow.counts();
    let counts = format!("{sent} bytes sent, {received} came back");
    let server = options.address;
    let why = match (ending.received, ending.sent) {
        (Some(Received::End), Some(Sent::All)) if sent == received => return Ok(ExitCode::SUCCESS),
        (Some(Received::NoOutput(error)), _) if error.kind() == ErrorKind::BrokenPipe => {
            // The reader has enough, which is their right.
            return Ok(ExitCode::SUCCESS);
        }
        (Some(Received::NoOutput(error)), _) => format!("cannot write the output: {error}; {counts}"),
        (Some(Received::Surplus), _) => format!("{server} sent back more than it was given: {counts}"),
        (_, Some(Sent::NoInput(error))) => format!("cannot read the input: {error}; {counts}"),
        _ if ending.interrupted => format!("interrupted: {counts}; the output is incomplete"),
        (Some(Received::Silence), _) => format!(
            "no reply from {server} for {}: {counts}; the server may be busy with other clients: wait longer with --timeout",
            humantime::format_duration(options.timeout)
        ),
        (Some(Received::Broken(error)), _) => format!("the connection to {server} broke: {error}; {counts}"),
        (Some(Received::End), Some(Sent::All)) => {
            format!("{server} closed the connection before everything was answered: {counts}")
        }
        _ => format!("{server} closed the connection before the input ended: {counts}"),
    };
    Err(anyhow!(why))
}
