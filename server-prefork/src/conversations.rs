//! The open conversations, as the parent hears of them: workers accept by themselves, and tell it
//! in a pipe.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::{Duration, Instant};

use serving::process::{self, Pid, Places, Signal};
use serving::{Drain, Outcome, Tally, reports};

/// How long what workers tell may wait for more: a pipe takes some 16,000 records meanwhile
/// (pipe(7)).
const CROWD: Duration = Duration::from_millis(5);

/// The places of workers, and what these are doing.
#[derive(Debug)]
pub(crate) struct Conversations {
    places: Places,
    /// Whether the worker in a place has begun a conversation that it has not ended.
    busy: Vec<bool>,
    events: PipeReader,
    report: PipeWriter,
    /// Whether the workers have been told to stop.
    told: bool,
}

impl Conversations {
    /// So many places, without workers.
    ///
    /// # Errors
    /// If there are no descriptors for the pipe.
    pub(crate) fn new(workers: usize) -> io::Result<Self> {
        let (events, report) = reports::pipe()?;
        Ok(Self { places: Places::new(workers), busy: vec![false; workers], events, report, told: false })
    }

    /// The next place that a worker may be started for.
    pub(crate) fn next_empty(&self) -> Option<usize> {
        self.places.next_empty()
    }

    /// When that is, if there is an empty place.
    pub(crate) fn next_start(&self) -> Option<Instant> {
        self.places.next_start()
    }

    /// The worker `child` begins to serve, in `place`.
    pub(crate) fn begin(&mut self, place: usize, child: Pid) {
        self.places.started(place, child);
    }

    /// A worker could not be started; the next one is, after a pause.
    pub(crate) fn pause(&mut self, error: &io::Error) {
        self.places.not_started(error);
    }

    /// Counts what the workers have told so far; never waits.
    pub(crate) fn count(&mut self, tally: &mut Tally) -> io::Result<()> {
        // Records are written whole, so a buffer that holds a whole number of them never splits one
        // (pipe(7)).
        let mut records = [0; Record::BYTES * 256];
        while let length @ 1.. = reports::read(&mut self.events, &mut records)? {
            for record in records[..length].chunks_exact(Record::BYTES).filter_map(Record::decode) {
                self.busy[record.place] = record.outcome.is_none();
                match record.outcome {
                    None => tally.accept(),
                    Some(outcome) => tally.close(outcome),
                }
            }
        }
        Ok(())
    }

    /// The same a moment after the first of it was told, unless a worker is to be started: the
    /// parent wakes for a crowd, and not twice for each conversation.
    pub(crate) fn count_soon(&mut self, tally: &mut Tally) -> io::Result<()> {
        if self.next_empty().is_none() {
            thread::sleep(CROWD);
        }
        self.count(tally)
    }

    /// Empties the places of workers that have ended, and counts the conversations that ended with
    /// them as failed.
    pub(crate) fn retire(&mut self, tally: &mut Tally) -> io::Result<()> {
        while let Some((pid, _)) = process::reap() {
            // What the worker told before its end is in the pipe by now.
            self.count(tally)?;
            if let Some(index) = self.places.ended(pid)
                && std::mem::take(&mut self.busy[index])
            {
                tally.close(Outcome::Failed);
            }
        }
        self.count(tally)
    }

    /// Has every worker end its conversation's input when its client pauses, and then itself.
    pub(crate) fn end_input(&mut self, _: Drain) {
        if !std::mem::replace(&mut self.told, true) {
            self.places.signal(Signal::SIGTERM);
        }
    }

    /// Whether a worker is left.
    pub(crate) fn is_served(&self) -> bool {
        self.places.any_living()
    }

    /// Kills the workers that are left, and hears what they have told before.
    pub(crate) fn cut(&mut self, tally: &mut Tally) -> io::Result<()> {
        self.places.kill();
        self.count(tally)
    }

    /// How the worker in `place` tells that a conversation has begun, or has ended with an outcome.
    pub(crate) fn tell(&self, place: usize, outcome: Option<Outcome>) -> io::Result<()> {
        (&self.report).write_all(&Record { place, outcome }.encode())
    }

    /// Where workers tell it.
    pub(crate) fn report(&self) -> BorrowedFd<'_> {
        self.report.as_fd()
    }
}

impl AsFd for Conversations {
    /// Readable when a worker has told something.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

/// What a worker tells its parent: the conversation in `place` has begun, or has ended with
/// `outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record {
    place: usize,
    outcome: Option<Outcome>,
}

impl Record {
    const BYTES: usize = 4;

    const OUTCOMES: [Option<Outcome>; 4] =
        [None, Some(Outcome::Completed), Some(Outcome::Failed), Some(Outcome::TimedOut)];

    fn encode(self) -> [u8; Self::BYTES] {
        let outcome = match self.outcome {
            None => 0,
            Some(Outcome::Completed) => 1,
            Some(Outcome::Failed) => 2,
            Some(Outcome::TimedOut) => 3,
        };
        let [low, high, ..] = self.place.to_le_bytes();
        [low, high, outcome, 0]
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let &[low, high, outcome, 0] = bytes else { return None };
        let outcome = *Self::OUTCOMES.get(usize::from(outcome))?;
        Some(Self { place: usize::from(u16::from_le_bytes([low, high])), outcome })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_the_pipe() {
        for outcome in Record::OUTCOMES {
            for place in [0, 1, 255, 256, 9_999] {
                let record = Record { place, outcome };
                assert_eq!(Record::decode(&record.encode()), Some(record));
            }
        }
    }
}
