//! A worker process, and the event loops in its threads.

use std::fmt::Display;
use std::io::PipeWriter;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use anyhow::Result;
use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry};
use rustix::io::Errno;
use server_mio::{EVENTS_PER_WAIT, LISTENER, SIGNALS, turn};
use serving::process::{self, FAILED, Name};
use serving::{Bell, Drain, Outcome, Pause, Signals, Tally, tcp};

use crate::Options;
use crate::conversations::Conversations;
use crate::post::{self, Report};

/// Stack of a thread in bytes, of which only the touched pages cost memory.
const STACK_BYTES: usize = 256 * 1024;

/// What all loops of a worker share.
#[derive(Debug)]
struct Shared<'a> {
    options: &'a Options,
    report: PipeWriter,
    /// All loops say that they serve when all can, and none before: half a worker serves nobody.
    ready: Barrier,
    /// Rung at a stop.
    bell: Bell,
}

/// A worker's life: it starts a thread for each loop, sleeps until it is told to stop, and ends
/// when they have.
pub(crate) fn work(place: usize, open: Conversations, options: &Options) -> ! {
    Name::of(&format_args!("worker {place}")).show();
    let (loops, report) = open.into_worker(place);
    let mut signals = Signals::new().unwrap_or_else(|error| die(&error));
    process::hear_only_sigterm().unwrap_or_else(|error| die(&error));
    let (ready, bell) = (Barrier::new(loops.len()), Bell::new().unwrap_or_else(|error| die(&error)));
    let shared = &Shared { options, report, ready, bell };
    thread::scope(|scope| {
        for (thread, (index, inbox)) in loops.into_iter().enumerate() {
            let builder =
                thread::Builder::new().name(format!("loop {place}.{thread}")).stack_size(STACK_BYTES);
            let started = builder.spawn_scoped(scope, move || serve_or_die(shared, index, &inbox));
            // Not an error to return: the scope would wait for the threads that have started, for
            // ever.
            started.unwrap_or_else(|error| die(&error));
        }
        while !signals.ask_to_stop(&Tally::default()) {
            serving::wait([Some(signals.as_fd())], None).unwrap_or_else(|error| die(&error));
        }
        Drain::begin(options.server.drain_timeout);
        shared.bell.ring();
    });
    process::exit(0)
}

/// Threads share their process's fate: where one cannot go on, the process ends at once, and is
/// replaced.
fn die(error: &impl Display) -> ! {
    log::error!("a worker failed: {error:#}");
    process::exit(FAILED)
}

fn serve_or_die(shared: &Shared<'_>, index: u32, inbox: &OwnedFd) {
    match panic::catch_unwind(AssertUnwindSafe(|| serve(shared, index, inbox))) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => die(&error),
        Err(_) => process::exit(FAILED),
    }
}

/// One event loop: that of `server-mio`, whose connections come out of an inbox.
fn serve(shared: &Shared<'_>, index: u32, inbox: &OwnedFd) -> Result<()> {
    // Prepare.
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(EVENTS_PER_WAIT);
    let mut open = server_mio::Conversations::new(poll.registry(), &shared.options.server)?;
    let mut tally = Tally::default();
    let mut arrivals = Arrivals {
        inbox,
        streams: Vec::with_capacity(post::MOST_PER_MESSAGE),
        failed: false,
        pause: Pause::default(),
    };
    let mut report = Report::new(&shared.report, index);
    poll.registry().register(&mut SourceFd(&inbox.as_raw_fd()), LISTENER, Interest::READABLE)?;
    poll.registry().register(&mut SourceFd(&shared.bell.as_fd().as_raw_fd()), SIGNALS, Interest::READABLE)?;
    shared.ready.wait();
    let mut arrival = false;

    while Drain::current().is_none() {
        // Wait.
        report.tell(&tally, true)?;
        let until = arrival.then(|| arrivals.pause.until().unwrap_or_else(Instant::now));
        arrival |= turn(&mut poll, &mut events, &mut open, until)?.arrival;

        // Admit.
        if arrival && arrivals.pause.until().is_none() {
            let more = arrivals.begin(poll.registry(), &mut open, &mut tally) && tcp::is_readable(inbox);
            // Edge-triggered: when the inbox is empty, the next arrival is a new edge.
            arrival = more || arrivals.failed;
        }

        // Retire.
        open.retire(&mut tally);
    }

    // Drain.
    let mut drain = Drain::begin(shared.options.server.drain_timeout);
    // What was passed before the stop is in the inbox by now.
    while arrivals.begin(poll.registry(), &mut open, &mut tally) {}
    report.tell(&tally, false)?;
    while tally.open() > 0 && !drain.is_over() {
        if drain.looks_again() {
            open.end_input(drain);
        }
        turn(&mut poll, &mut events, &mut open, Some(drain.next_look()))?;
        while arrivals.begin(poll.registry(), &mut open, &mut tally) {}
        open.retire(&mut tally);
        report.tell(&tally, false)?;
    }
    // The parent counts what is open still.
    tally.cut_open();
    Ok(())
}

/// The clients that the parent passes.
#[derive(Debug)]
struct Arrivals<'a> {
    inbox: &'a OwnedFd,
    streams: Vec<TcpStream>,
    /// Whether the last message could not be received: it is in the inbox still.
    failed: bool,
    pause: Pause,
}

impl Arrivals<'_> {
    /// Begins the conversations of one message, if there is one that can be received.
    fn begin(
        &mut self,
        registry: &Registry,
        open: &mut server_mio::Conversations,
        tally: &mut Tally,
    ) -> bool {
        let passed = post::receive(self.inbox, &mut self.streams);
        self.failed = passed.is_err();
        let passed = passed.unwrap_or_else(|error| {
            self.pause.begin("receive a connection", &error);
            None
        });
        let Some(passed) = passed else { return false };
        // The parent passes no more than there are descriptors for; but who is lost must be
        // counted, or a place is.
        for _ in self.streams.len()..passed {
            self.pause.begin("receive a connection", &Errno::MFILE.into());
            tally.accept();
            tally.close(Outcome::Failed);
        }
        for stream in self.streams.drain(..) {
            tally.accept();
            if let Err(error) = open.begin(registry, stream) {
                self.pause.begin("watch a connection", &error);
                tally.close(Outcome::Failed);
            }
        }
        true
    }
}
