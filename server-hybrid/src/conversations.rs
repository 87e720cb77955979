//! The open conversations, as the parent knows them: which event loop of which worker has how many.

use std::io::{self, ErrorKind, PipeReader, PipeWriter};
use std::mem;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use serving::process::{self, Pid, Places, Signal};
use serving::{Drain, Outcome, Pause, Tally, reports};

use crate::post::{self, Record};

/// How long the parent sleeps before it tries a full inbox again.
const RETRY: Duration = Duration::from_millis(5);

/// What the parent knows of one event loop. It survives the worker: a successor gets the same
/// inbox.
#[derive(Debug)]
struct Loop {
    state: State,
    /// Its conversations, with those that are on their way to it.
    open: usize,
    /// Those that are to be passed next. At the end of a turn it is empty, unless the inbox is full
    /// or there is no worker.
    next: Vec<TcpStream>,
    outbox: OwnedFd,
    inbox: OwnedFd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has no worker.
    Absent,
    /// Its worker has been started, and has not said that it serves.
    Starts,
    Serves,
    /// Its worker wants no more clients.
    Leaves,
}

/// A table of the event loops.
#[derive(Debug)]
pub(crate) struct Conversations {
    places: Places,
    /// `threads` of them for each worker.
    loops: Vec<Loop>,
    threads: usize,
    /// The most conversations of one worker.
    share: usize,
    events: PipeReader,
    report: PipeWriter,
    /// What is logged where the system lets nothing more be passed.
    pause: Pause,
    /// Whether a stop has come.
    ending: bool,
    /// Whether the workers have been told to stop.
    told: bool,
}

impl Conversations {
    /// The loops of so many workers with so many threads each, which are yet to be started. A
    /// worker will have at most `share` conversations.
    ///
    /// # Errors
    /// If there are no descriptors for the inboxes.
    pub(crate) fn new(processes: usize, threads: usize, share: usize) -> io::Result<Self> {
        let (events, report) = reports::pipe()?;
        let new = |_| {
            let (outbox, inbox) = post::pair()?;
            let next = Vec::with_capacity(post::MOST_PER_MESSAGE);
            Ok(Loop { state: State::Absent, open: 0, next, outbox, inbox })
        };
        let loops = (0..processes * threads).map(new).collect::<io::Result<_>>()?;
        let (places, pause) = (Places::new(processes), Pause::default());
        Ok(Self { places, loops, threads, share, events, report, pause, ending: false, told: false })
    }

    /// The next place that a worker may be started for.
    pub(crate) fn next_empty(&self) -> Option<usize> {
        self.places.next_empty()
    }

    /// A worker has been started for `place`.
    pub(crate) fn started(&mut self, place: usize, child: Pid) {
        self.places.started(place, child);
        let loops = self.of(place);
        self.loops[loops].iter_mut().for_each(|own| own.state = State::Starts);
    }

    /// A worker could not be started; the next one is, after a pause.
    pub(crate) fn not_started(&mut self, error: &io::Error) {
        self.places.not_started(error);
    }

    /// When the next worker may be started, or a full inbox be tried again.
    pub(crate) fn until(&self) -> Option<Instant> {
        let full = self.loops.iter().any(|own| own.state != State::Absent && !own.next.is_empty());
        let retry = || self.pause.until().unwrap_or_else(|| Instant::now() + RETRY);
        self.places.next_start().into_iter().chain(full.then(retry)).min()
    }

    /// The loops of the worker in `place`.
    fn of(&self, place: usize) -> Range<usize> {
        place * self.threads..(place + 1) * self.threads
    }

    /// The loop with the fewest conversations, of those that take one more.
    pub(crate) fn fewest(&self) -> Option<usize> {
        let takes = |own: &Loop| {
            // At a stop there is no time to wait until a worker has started; what it gets before is
            // in its inbox.
            let serves = own.state == State::Serves || (self.ending && own.state == State::Starts);
            serves && own.next.len() < post::MOST_PER_MESSAGE
        };
        let workers = self.loops.chunks(self.threads).enumerate();
        workers
            .filter(|(_, loops)| loops.iter().map(|own| own.open).sum::<usize>() < self.share)
            .flat_map(|(place, loops)| self.of(place).zip(loops))
            .filter(|(_, own)| takes(own))
            .min_by_key(|(_, own)| own.open)
            .map(|(index, _)| index)
    }

    /// How many are open; where no loop takes one more, the server is as full as at any limit.
    pub(crate) fn load(&self, tally: &Tally) -> usize {
        if self.fewest().is_some() { tally.open() } else { usize::MAX }
    }

    /// The loop `index` gets a conversation, with the next [`Conversations::pass`].
    pub(crate) fn begin(&mut self, index: usize, stream: TcpStream) {
        self.loops[index].open += 1;
        self.loops[index].next.push(stream);
    }

    /// Passes to the loops what they have got. A loop whose inbox is full gets it later.
    pub(crate) fn pass(&mut self) {
        for index in 0..self.loops.len() {
            // What a worker that has died had not received goes to those that live.
            while self.loops[index].state == State::Absent
                && let Some(fewest) = self.fewest()
                && let Some(stream) = self.loops[index].next.pop()
            {
                self.loops[index].open -= 1;
                self.begin(fewest, stream);
            }
        }
        for own in self.loops.iter_mut().filter(|own| own.state != State::Absent && !own.next.is_empty()) {
            // A worker that has died may have left more than one message holds.
            let count = own.next.len().min(post::MOST_PER_MESSAGE);
            match post::pass(&own.outbox, &own.next[..count]) {
                Ok(()) => drop(own.next.drain(..count)),
                // It has not received for long: its loop waits for a core, or stands still.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => self.pause.begin("pass connections to a worker", &error),
            }
        }
    }

    /// Counts what the workers have reported so far; never waits.
    pub(crate) fn count(&mut self, tally: &mut Tally) -> io::Result<()> {
        // Records are written whole, so a buffer that holds a whole number of them never splits one
        // (pipe(7)).
        let mut records = [0; Record::BYTES * 200];
        while let length @ 1.. = reports::read(&mut self.events, &mut records)? {
            for record in records[..length].chunks_exact(Record::BYTES).filter_map(Record::decode) {
                let own = usize::try_from(record.index).ok().and_then(|index| self.loops.get_mut(index));
                let Some(own) = own else { continue };
                own.state = if record.serves { State::Serves } else { State::Leaves };
                let outcomes = [Outcome::Completed, Outcome::Failed, Outcome::TimedOut];
                for (outcome, count) in outcomes.into_iter().zip(record.ended) {
                    (0..count).for_each(|_| tally.close(outcome));
                    own.open -= count as usize;
                }
            }
        }
        Ok(())
    }

    /// Counts what has ended: what workers have reported, and as failed the conversations of
    /// workers that have died.
    pub(crate) fn retire(&mut self, tally: &mut Tally) -> io::Result<()> {
        while let Some((pid, _)) = process::reap() {
            // What the worker reported before its end is in the pipe by now.
            self.count(tally)?;
            let Some(place) = self.places.ended(pid) else { continue };
            let loops = self.of(place);
            for own in &mut self.loops[loops] {
                own.state = State::Absent;
                // Clients that it has not received have lost nothing.
                while let Ok(Some(_)) = post::receive(&own.inbox, &mut own.next) {}
                (own.next.len()..own.open).for_each(|_| tally.close(Outcome::Failed));
                own.open = own.next.len();
            }
        }
        self.count(tally)
    }

    /// A stop has come: from now on, a worker that starts gets clients too.
    pub(crate) fn end(&mut self) {
        self.ending = true;
    }

    /// Has every worker end each conversation's input when its client pauses, and then itself.
    pub(crate) fn end_input(&mut self, _: Drain) {
        self.pass();
        if !mem::replace(&mut self.told, true) {
            self.places.signal(Signal::SIGTERM);
        }
    }

    /// Whether a worker is left.
    pub(crate) fn is_served(&self) -> bool {
        self.places.any_living()
    }

    /// Kills the workers that are left, and hears what they have reported before.
    pub(crate) fn cut(&mut self, tally: &mut Tally) -> io::Result<()> {
        self.places.kill();
        self.count(tally)
    }

    /// In the worker in `place`: its loops by their numbers, with the inbox of each, and where they
    /// report. All else is closed.
    pub(crate) fn into_worker(mut self, place: usize) -> (Vec<(u32, OwnedFd)>, PipeWriter) {
        let loops = self.of(place);
        let inboxes = self.loops.drain(loops.clone()).map(|own| own.inbox);
        ((0..).skip(loops.start).zip(inboxes).collect(), self.report)
    }
}

impl AsFd for Conversations {
    /// Readable when a worker has reported something.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}
