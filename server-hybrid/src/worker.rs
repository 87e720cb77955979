//! A worker process, and the event loops in its threads.

use std::net::TcpListener as StdListener;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::Instant;

use anyhow::Result;
use common::process::{self, FAILED, Name};
use common::{AcceptPause, Outcome, Signals, Tally, stop};
use mio::net::{TcpListener, TcpStream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll};
use nix::errno::Errno;
use server_mio::{ADMISSIONS_PER_TURN, Conversations, EVENTS_PER_WAIT, LISTENER, SIGNALS, turn};

use crate::ledger::{Account, Ledger};
use crate::post::{Inbox, Letter, Post};
use crate::{Balance, Options};

/// Stack of a thread in bytes, of which only the touched pages cost memory.
const STACK_BYTES: usize = 256 * 1024;

/// What one event loop works with: its own, which its successor will inherit.
#[derive(Debug)]
pub(crate) struct Desk {
    /// Its place among the loops of all processes.
    pub(crate) index: usize,
    pub(crate) listener: StdListener,
    pub(crate) inbox: Inbox,
}

/// What all loops work with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct House<'a> {
    pub(crate) options: &'a Options,
    pub(crate) ledger: Ledger,
    pub(crate) post: &'a Post,
    /// The most conversations of one loop, by the descriptors of its process.
    pub(crate) share: usize,
}

/// A worker process's life: it starts a thread for each desk, sleeps until it is told to stop, and ends when they have.
pub(crate) fn work(number: usize, house: House<'_>, desks: Vec<Desk>, signals: &mut Signals) -> ! {
    Name::of(&format_args!("worker {number}")).show();
    // The parent's handlers write into the parent's pipe; they go with its `Signals`.
    let heard = Signals::new().and_then(|own| {
        *signals = own;
        process::hear_only_sigterm()
    });
    let loops: Vec<usize> = desks.iter().map(|desk| desk.index).collect();
    let worked = heard.and_then(|()| {
        thread::scope(|scope| {
            for (thread, desk) in desks.into_iter().enumerate() {
                let builder = thread::Builder::new().name(format!("loop {number}.{thread}"));
                builder.stack_size(STACK_BYTES).spawn_scoped(scope, move || serve_or_die(house, desk))?;
            }
            while !signals.arrived(&Tally::default()).stop {
                common::wait([Some(signals.as_fd())], None)?;
            }
            stop::begin();
            loops.iter().for_each(|&index| house.post.ring(index));
            Ok(())
        })
    });
    match worked {
        Ok(()) => process::exit(0),
        Err(error) => {
            log::error!("a worker cannot work: {error}");
            process::exit(FAILED)
        }
    }
}

/// Threads share their process's fate: where one cannot go on, the process ends, and is replaced.
fn serve_or_die(house: House<'_>, desk: Desk) {
    match panic::catch_unwind(AssertUnwindSafe(|| serve(house, desk))) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            log::error!("{error:#}");
            process::exit(FAILED);
        }
        Err(_) => process::exit(FAILED),
    }
}

/// One event loop: that of `server-mio`, with places and clients that are shared with others.
fn serve(
    House { options, ledger, post, share }: House<'_>,
    Desk { index, listener, inbox }: Desk,
) -> Result<()> {
    // Prepare.
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(EVENTS_PER_WAIT);
    let mut open = Conversations::new(poll.registry(), options.server.idle_timeout)?;
    let mut account = Account::open(ledger, index);
    let mut tally = Tally::default();
    let mut pause = AcceptPause::default();
    let mut listener = TcpListener::from_std(listener);
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    poll.registry().register(&mut SourceFd(&inbox.as_fd().as_raw_fd()), SIGNALS, Interest::READABLE)?;
    // A predecessor may have left clients in both.
    let (mut arrival, mut mail) = (true, true);

    while !stop::stopping() {
        // Admit.
        if std::mem::take(&mut mail) {
            take_over(&inbox, &account, &poll, &mut open, &mut tally, &mut pause);
        }
        let mut admissions = 0;
        while arrival && admissions < ADMISSIONS_PER_TURN && pause.until().is_none() {
            // Its own process's descriptors may be used up while others have some left.
            let room = tally.open() < share
                || (options.balance == Balance::HandOver && account.others_have_room(share));
            if !room || !account.take(tally.open()) {
                break;
            }
            let Some((stream, peer)) = pause.accept(|| listener.accept())? else {
                // Unless a pause cut the look short, the queue is empty.
                arrival = pause.until().is_some();
                break;
            };
            // Edge-triggered: when the queue is empty, the next arrival is a new edge.
            arrival = common::one_waits(&listener);
            admissions += 1;
            if options.balance == Balance::HandOver
                && hand_over(&stream, &mut account, post, tally.open(), share)
            {
                continue;
            }
            tally.accept();
            log::debug!("serving {peer}");
            begin(stream, &poll, &mut open, &mut tally, &mut pause);
        }
        settle(&mut account, &tally, post);

        // Wait.
        let until = if admissions == ADMISSIONS_PER_TURN { Some(Instant::now()) } else { pause.until() };
        let woken = turn(&mut poll, &mut events, &mut open, &mut tally, until)?;
        arrival |= woken.arrival;
        mail |= woken.signal;

        // Retire.
        if woken.tick {
            open.end_silent(&mut tally);
        }
        settle(&mut account, &tally, post);
    }

    // Drain.
    drop(listener);
    account.close();
    take_over(&inbox, &account, &poll, &mut open, &mut tally, &mut pause);
    open.end_input();
    let deadline = Instant::now() + options.server.drain_timeout;
    while tally.open() > 0 && Instant::now() < deadline {
        settle(&mut account, &tally, post);
        turn(&mut poll, &mut events, &mut open, &mut tally, Some(deadline))?;
        open.end_delivered(&mut tally);
    }
    tally.cut_open();
    settle(&mut account, &tally, post);
    Ok(())
}

/// Hands a client that was just accepted over to a loop that has clearly fewer of them, if one is found; says whether it did.
fn hand_over(stream: &TcpStream, account: &mut Account, post: &Post, open: usize, share: usize) -> bool {
    let Some(index) = account.less_busy(open, share) else { return false };
    if post.hand_over(index, stream, account.sender()).is_err() {
        account.keep(index);
        return false;
    }
    account.hand_over();
    true
}

/// Reads the loop's letters: serves the clients that others have handed over, with the places that they had.
fn take_over(
    inbox: &Inbox,
    account: &Account,
    poll: &Poll,
    open: &mut Conversations,
    tally: &mut Tally,
    pause: &mut AcceptPause,
) {
    while let Some(letter) = inbox.next() {
        let Letter::Client(client, sender) = letter else { continue };
        account.take_over(sender);
        tally.accept();
        match client {
            Some(client) => {
                if let Ok(peer) = client.peer_addr() {
                    log::debug!("serving {peer}");
                }
                begin(TcpStream::from_std(client), poll, open, tally, pause);
            }
            None => {
                pause.begin("take a connection over", &Errno::EMFILE.into());
                tally.close(Outcome::Failed);
            }
        }
    }
}

/// Begins a conversation that is counted already.
fn begin(
    stream: TcpStream,
    poll: &Poll,
    open: &mut Conversations,
    tally: &mut Tally,
    pause: &mut AcceptPause,
) {
    if let Err(error) = open.begin(poll.registry(), stream) {
        pause.begin("watch a connection", &error);
        tally.close(Outcome::Failed);
    }
}

/// Publishes what has been counted, then tells those that have got a place by it.
fn settle(account: &mut Account, tally: &Tally, post: &Post) {
    for index in account.settle(tally) {
        post.ring(index);
    }
}
