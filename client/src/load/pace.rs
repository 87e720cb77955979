//! How many requests a worker may begin now, and on which connections: as fast as it is answered,
//! after a time to think, or by a schedule.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::options::Think;
use super::pattern::splitmix;
use super::schedule::{Cursor, Schedule};
use super::share::Share;

/// Due requests that are released in one turn; then the events get theirs.
const RELEASED_PER_TURN: usize = 1024;

/// The pace of one worker in one phase.
#[derive(Debug)]
pub(super) struct Pace {
    share: Share,
    /// Requests that may still be begun in this phase of a closed loop.
    quota: u64,
    open_loop: Option<OpenLoop>,
    think: Option<Thinking>,
    /// Slots that have something to do which no event will tell them of.
    released: VecDeque<usize>,
}

/// Requests that are due at moments of their own.
#[derive(Debug)]
struct OpenLoop {
    schedule: Schedule,
    cursor: Cursor,
    /// By slot: requests that are due and not begun.
    owed: Vec<u64>,
    /// All of them.
    overdue: u64,
}

/// Connections that rest between an answer and the next request.
#[derive(Debug)]
struct Thinking {
    think: Think,
    seed: u64,
    /// Whether the connection in a slot rests.
    rests: Vec<bool>,
    /// When which slot has rested.
    ends: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Pace {
    /// Nothing may be begun yet.
    pub(super) fn new(share: Share, think: Option<Think>, seed: u64) -> Self {
        let think = think.map(|think| Thinking {
            think,
            seed: splitmix(seed ^ share.number(0)),
            rests: vec![false; share.slots()],
            ends: BinaryHeap::new(),
        });
        Self { share, quota: 0, open_loop: None, think, released: VecDeque::new() }
    }

    /// A phase of an open loop begins.
    pub(super) fn follow(&mut self, schedule: Schedule) {
        let owed = vec![0; self.share.slots()];
        self.open_loop = Some(OpenLoop { schedule, cursor: Cursor::new(self.share), owed, overdue: 0 });
        self.released.clear();
    }

    /// A phase of a closed loop begins, in which this worker may begin `quota` requests.
    pub(super) fn allow(&mut self, quota: u64) {
        (self.quota, self.open_loop) = (quota, None);
        self.released.clear();
    }

    /// Every connection rests for a random part of its time to think, so that they do not all begin
    /// at once.
    pub(super) fn spread(&mut self, now: u64) {
        let Some(thinking) = &mut self.think else { return };
        thinking.ends.clear();
        for slot in 0..self.share.slots() {
            let whole = thinking.draw().max(1);
            let part = thinking.random() % whole;
            thinking.rest(slot, now + part);
        }
    }

    /// Whether requests are due at moments of their own.
    #[inline]
    pub(super) fn is_open_loop(&self) -> bool {
        self.open_loop.is_some()
    }

    /// How many requests the connection in `slot` may begin now.
    #[inline]
    pub(super) fn allows(&self, slot: usize) -> u64 {
        if let Some(open_loop) = &self.open_loop {
            return open_loop.owed[slot];
        }
        let rests = self.think.as_ref().is_some_and(|thinking| thinking.rests[slot]);
        if rests { 0 } else { self.quota }
    }

    /// When the `nth` request of this phase on a connection was due, if that differs from when it
    /// is sent.
    #[inline]
    pub(super) fn due(&self, slot: usize, nth: u64) -> Option<u64> {
        self.open_loop.as_ref().and_then(|open_loop| open_loop.schedule.due(self.share.number(slot), nth))
    }

    /// So many requests were begun on the connection in `slot`.
    #[inline]
    pub(super) fn begun(&mut self, slot: usize, count: u64) {
        match &mut self.open_loop {
            Some(open_loop) => {
                open_loop.owed[slot] -= count;
                open_loop.overdue -= count;
            }
            None => self.quota -= count,
        }
    }

    /// So many requests were lost with their connection; in a closed loop others ask instead, so
    /// that as many are answered as were wanted.
    pub(super) fn lost(&mut self, count: u64) {
        if self.open_loop.is_none() {
            self.quota = self.quota.saturating_add(count);
        }
    }

    /// All is answered on the connection in `slot`: it thinks before it asks again.
    #[inline]
    pub(super) fn answered(&mut self, slot: usize, now: u64) {
        if let Some(thinking) = self.think.as_mut().filter(|_| self.open_loop.is_none())
            && !thinking.rests[slot]
        {
            let whole = thinking.draw();
            thinking.rest(slot, now + whole);
        }
    }

    /// Finds what has become due by `now`; [`Pace::next_released`] tells where.
    pub(super) fn release(&mut self, now: u64) {
        if let Some(open_loop) = &mut self.open_loop {
            open_loop.release(now, &mut self.released);
        } else if let Some(thinking) = &mut self.think {
            while thinking.ends.peek().is_some_and(|Reverse((end, _))| *end <= now) {
                let Some(Reverse((_, slot))) = thinking.ends.pop() else { break };
                thinking.rests[slot] = false;
                self.released.push_back(slot);
            }
        }
    }

    /// The next slot that has something to do.
    pub(super) fn next_released(&mut self) -> Option<usize> {
        self.released.pop_front()
    }

    /// Counts all requests that were due by `now` as such, when no more will be released: they
    /// would have been the slowest, and must not be missing. `begun` tells how many requests of
    /// this phase a slot has begun.
    pub(super) fn release_rest(&mut self, now: u64, begun: impl Fn(usize) -> u64) {
        let Some(open_loop) = &mut self.open_loop else { return };
        for (slot, owed) in open_loop.owed.iter_mut().enumerate() {
            let due = open_loop.schedule.due_by(self.share.number(slot), now);
            let missing = due.saturating_sub(begun(slot) + *owed);
            *owed += missing;
            open_loop.overdue += missing;
        }
    }

    /// When something will be due next.
    pub(super) fn wake_at(&self) -> Option<u64> {
        match &self.open_loop {
            Some(open_loop) => open_loop.cursor.due(&open_loop.schedule),
            None => self.think.as_ref()?.ends.peek().map(|Reverse((end, _))| *end),
        }
    }

    /// Requests that are due and not begun, in an open loop.
    pub(super) fn overdue(&self) -> u64 {
        self.open_loop.as_ref().map_or(0, |open_loop| open_loop.overdue)
    }

    /// Whether as many requests were begun as may be in this phase.
    pub(super) fn is_used_up(&self) -> bool {
        match &self.open_loop {
            Some(open_loop) => open_loop.overdue == 0 && open_loop.cursor.due(&open_loop.schedule).is_none(),
            None => self.quota == 0,
        }
    }

    /// Whether a connection that is not open yet has something to ask, beside what those that are
    /// `connecting` will ask.
    pub(super) fn needs_one_more(&self, connecting: usize) -> bool {
        self.is_open_loop() || self.quota > connecting as u64
    }
}

impl OpenLoop {
    fn release(&mut self, now: u64, released: &mut VecDeque<usize>) {
        for _ in 0..RELEASED_PER_TURN {
            if self.cursor.due(&self.schedule).is_none_or(|due| due > now) {
                return;
            }
            let slot = self.cursor.advance();
            self.overdue += 1;
            self.owed[slot] += 1;
            // One that is behind already is waiting for its pipeline or for its connection, or is
            // in the list.
            if self.owed[slot] == 1 {
                released.push_back(slot);
            }
        }
    }
}

impl Thinking {
    fn random(&mut self) -> u64 {
        self.seed = splitmix(self.seed);
        self.seed
    }

    /// A time to think, in nanoseconds.
    fn draw(&mut self) -> u64 {
        let (least, most) = self.think.nanos();
        least + self.random() % (most - least + 1)
    }

    fn rest(&mut self, slot: usize, end: u64) {
        self.rests[slot] = true;
        self.ends.push(Reverse((end, slot)));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn released(pace: &mut Pace, now: u64) -> Vec<usize> {
        pace.release(now);
        std::iter::from_fn(|| pace.next_released()).collect()
    }

    #[test]
    fn a_closed_loop_allows_its_quota_and_gets_back_what_was_lost() {
        let mut pace = Pace::new(Share::new(0, 1, 2), None, 1);
        pace.allow(5);
        pace.begun(0, 4);
        assert_eq!((pace.allows(1), pace.is_used_up(), pace.overdue()), (1, false, 0));
        pace.begun(1, 1);
        assert!(pace.is_used_up() && !pace.needs_one_more(0));
        pace.lost(2);
        assert_eq!((pace.allows(0), pace.needs_one_more(2)), (2, false));
        assert_eq!((pace.wake_at(), released(&mut pace, u64::MAX)), (None, vec![]));
    }

    #[test]
    fn an_open_loop_releases_what_is_due_on_its_connection() {
        let mut pace = Pace::new(Share::new(0, 1, 3), None, 1);
        pace.follow(Schedule::constant(100, 1e9, 3, Some(7)));
        assert_eq!(pace.wake_at(), Some(100));
        assert_eq!(released(&mut pace, 103), [0, 1, 2], "the fourth is on a connection that is behind");
        assert_eq!((pace.allows(0), pace.allows(1), pace.overdue()), (2, 1, 4));
        assert_eq!((pace.due(0, 0), pace.due(0, 1), pace.due(1, 2)), (Some(100), Some(103), None));
        pace.begun(0, 2);
        pace.release_rest(1_000, |slot| if slot == 0 { 2 } else { 0 });
        assert_eq!((pace.overdue(), pace.allows(0), pace.allows(2)), (5, 1, 2));
    }

    #[test]
    fn a_connection_that_thinks_is_released_when_it_has_thought() {
        let think = Think::new(Duration::from_nanos(10), Duration::from_nanos(20));
        let mut pace = Pace::new(Share::new(0, 1, 2), Some(think), 1);
        pace.allow(u64::MAX);
        pace.answered(1, 1_000);
        assert_eq!((pace.allows(0), pace.allows(1)), (u64::MAX, 0));
        let end = pace.wake_at().unwrap();
        assert!((1_010..=1_020).contains(&end), "{end}");
        assert_eq!((released(&mut pace, end - 1), released(&mut pace, end)), (vec![], vec![1]));
        assert_eq!(pace.allows(1), u64::MAX);
    }
}
