//! Who holds how many places, and what has become of all conversations: one entry for each event loop, in memory that they share.
//!
//! The sum over the entries is the state of the server. What a loop counts, it alone writes, and so without a lock. Places move from
//! loop to loop, so they do it under one; it costs some tens of nanoseconds, a few times per connection and never per request.
//! A loop that is killed leaves an entry that says what it held, and its parent gives that back: see [`Ledger::bury`].

use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use common::Tally;

use crate::shared::{self, Entry, Guard, Sum};

#[cfg(test)]
mod tests;

/// How many others a loop compares its load with before it serves a client itself.
const LOOKS: usize = 2;

/// A loop has clearly fewer conversations than another where it has fewer by more than one in so many. Less would hand over more of
/// the clients that come and go than it evens out.
const MARGIN: u64 = 8;

/// All entries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ledger {
    /// The most places that may be held at once.
    limit: u64,
    sum: &'static Sum,
    entries: &'static [Entry],
}

impl Ledger {
    /// Entries for `loops` loops that may hold `limit` places together.
    ///
    /// # Errors
    /// If there is no memory.
    pub(crate) fn new(loops: usize, limit: usize) -> io::Result<Self> {
        let (sum, entries) = shared::map(loops)?;
        Ok(Self { limit: limit as u64, sum, entries })
    }

    /// What a loop has published.
    pub(crate) fn tally(&self, index: usize) -> Tally {
        let [accepted, outcomes @ ..] = &self.entries[index].counts;
        // A loop publishes what it has accepted before what has ended, and it is read the other way round: so nothing ends here that
        // did not begin.
        let [completed, failed, timed_out] = outcomes.each_ref().map(|count| count.load(Acquire));
        Tally::from_counts([accepted.load(Acquire), completed, failed, timed_out])
    }

    /// Empties the entry of a loop that has ended, gives its places back, and says what it had counted, and who has got a place and
    /// must be told. What it had handed over is served by others, who find that this life of it has ended.
    pub(crate) fn bury(&self, index: usize) -> (Tally, Vec<usize>) {
        let tally = self.tally(index);
        let entry = &self.entries[index];
        let _guard = self.lock();
        entry.serves.store(false, Relaxed);
        self.want(entry, false);
        let lucky = self.give_back(index, entry.held.load(Relaxed));
        entry.held.store(0, Relaxed);
        entry.handed_over.store(0, Relaxed);
        entry.taken_over.store(0, Relaxed);
        entry.coming.store(0, Relaxed);
        entry.life.store(entry.life.load(Relaxed) + 1, Relaxed);
        entry.counts.iter().for_each(|count| count.store(0, Relaxed));
        (tally, lucky)
    }

    /// The lock; where its owner has died in the middle of it, what is derived from the entries is derived anew.
    fn lock(&self) -> Guard<'static> {
        let (guard, owner_died) = self.sum.lock.lock();
        if owner_died {
            self.sum.taken.store(self.entries.iter().map(|entry| entry.held.load(Relaxed)).sum(), Relaxed);
            let wanting = self.entries.iter().filter(|entry| entry.wants.load(Relaxed)).count();
            self.sum.wanting.store(wanting as u64, Relaxed);
        }
        guard
    }

    /// Under the lock: takes `count` places from a loop, and gives them to those that want one, in turn, so that none starves; the
    /// loop itself comes last. Says who has got one.
    fn give_back(&self, index: usize, count: u64) -> Vec<usize> {
        let mut lucky = Vec::new();
        let mut others = (1..=self.entries.len()).map(|step| (index + step) % self.entries.len());
        for _ in 0..count {
            let wanting = self.sum.wanting.load(Relaxed) > 0;
            let next =
                wanting.then(|| others.find(|&other| self.entries[other].wants.load(Relaxed))).flatten();
            match next {
                Some(other) => {
                    self.want(&self.entries[other], false);
                    add(&self.entries[other].held, 1);
                    lucky.push(other);
                }
                None => subtract(&self.sum.taken, 1),
            }
            subtract(&self.entries[index].held, 1);
        }
        lucky
    }

    /// Under the lock: says whether a loop wants a place.
    fn want(&self, entry: &Entry, wants: bool) {
        match (entry.wants.swap(wants, Relaxed), wants) {
            (false, true) => add(&self.sum.wanting, 1),
            (true, false) => subtract(&self.sum.wanting, 1),
            _ => {}
        }
    }
}

/// Which life of which loop has handed a client over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sender {
    pub(crate) index: u32,
    pub(crate) life: u32,
}

/// One loop's own view of the ledger.
#[derive(Debug)]
pub(crate) struct Account {
    ledger: Ledger,
    index: usize,
    published: Tally,
    /// Whom it has looked at last.
    looked_at: usize,
}

impl Account {
    /// The account of a loop that begins, with an empty entry.
    pub(crate) fn open(ledger: Ledger, index: usize) -> Self {
        ledger.entries[index].serves.store(true, Relaxed);
        Self { ledger, index, published: Tally::default(), looked_at: index }
    }

    /// From now on nobody hands clients over to this loop.
    pub(crate) fn close(&self) {
        self.entry().serves.store(false, Relaxed);
        let _guard = self.ledger.lock();
        self.ledger.want(self.entry(), false);
    }

    fn entry(&self) -> &'static Entry {
        &self.ledger.entries[self.index]
    }

    /// Places that no conversation of `open` and none on its way needs. Exact under the lock.
    fn in_hand(&self, open: usize) -> u64 {
        let entry = self.entry();
        entry.held.load(Relaxed).saturating_sub(open as u64 + on_their_way(entry))
    }

    /// Whether a conversation may be accepted beside the `open` ones. Where not, the loop will get a place when one is free, and is
    /// told then.
    pub(crate) fn take(&self, open: usize) -> bool {
        let _guard = self.ledger.lock();
        let (sum, entry) = (self.ledger.sum, self.entry());
        let in_hand = self.in_hand(open) > 0;
        let free = sum.taken.load(Relaxed) < self.ledger.limit;
        if !in_hand && free {
            add(&entry.held, 1);
            add(&sum.taken, 1);
        }
        self.ledger.want(entry, !in_hand && !free);
        in_hand || free
    }

    /// Publishes what the loop has counted, then gives back the places that it does not need. Says who has got one and must be told.
    pub(crate) fn settle(&mut self, tally: &Tally) -> Vec<usize> {
        if *tally != self.published {
            for (count, now) in self.entry().counts.iter().zip(tally.counts()) {
                count.store(now, Release);
            }
            self.published = *tally;
        }
        if self.in_hand(tally.open()) == 0 {
            return Vec::new();
        }
        let _guard = self.ledger.lock();
        self.ledger.give_back(self.index, self.in_hand(tally.open()))
    }

    /// Whether another loop has room, where each may have `share` conversations.
    pub(crate) fn others_have_room(&self, share: usize) -> bool {
        let others = self.ledger.entries.iter().enumerate().filter(|(index, _)| *index != self.index);
        others.map(|(_, entry)| entry).any(|entry| entry.serves.load(Relaxed) && load(entry) < share as u64)
    }

    /// Another loop with clearly fewer conversations than the `open` ones here, if one is found at a glance: of two that are looked
    /// at, the better (the power of two choices, Mitzenmacher 2001).
    ///
    /// A loop that has its `share` already looks at all, and any that has room will do.
    pub(crate) fn less_busy(&mut self, open: usize, share: usize) -> Option<usize> {
        let loops = self.ledger.entries.len();
        let own = open as u64 + self.entry().coming.load(Relaxed);
        let full = open >= share;
        let mut best = None;
        for _ in 0..if full { loops - 1 } else { LOOKS.min(loops - 1) } {
            self.looked_at = (self.looked_at + 1) % loops;
            if self.looked_at == self.index {
                self.looked_at = (self.looked_at + 1) % loops;
            }
            let entry = &self.ledger.entries[self.looked_at];
            let load = load(entry);
            let less = if full { load < share as u64 } else { load + load / MARGIN < own };
            if less && entry.serves.load(Relaxed) && best.is_none_or(|(least, _)| load < least) {
                best = Some((load, self.looked_at));
            }
        }
        let (_, index) = best?;
        self.ledger.entries[index].coming.fetch_add(1, Relaxed);
        Some(index)
    }

    /// Who hands over, for [`Account::take_over`].
    #[allow(
        clippy::cast_possible_truncation,
        reason = "there are fewer loops, and a life that is counted to 2^32 is a long one"
    )]
    pub(crate) fn sender(&self) -> Sender {
        Sender { index: self.index as u32, life: self.entry().life.load(Relaxed) as u32 }
    }

    /// What has been accepted has gone to another loop, which will take its place over.
    pub(crate) fn hand_over(&self) {
        add(&self.entry().handed_over, 1);
    }

    /// It could not go there.
    pub(crate) fn keep(&self, index: usize) {
        subtract_at_most(&self.ledger.entries[index].coming);
    }

    /// Takes the place of a conversation over from the loop that has handed it over.
    ///
    /// Where that loop has ended since, its places are given back already, and somebody else may have this one: the limit is then
    /// passed by one for a moment, rather than a client lost.
    #[allow(clippy::cast_possible_truncation, reason = "compared with what was truncated")]
    pub(crate) fn take_over(&self, sender: Sender) {
        let entry = self.entry();
        subtract_at_most(&entry.coming);
        let _guard = self.ledger.lock();
        let from = self.ledger.entries.get(sender.index as usize);
        match from.filter(|from| from.life.load(Relaxed) as u32 == sender.life) {
            Some(from) => {
                // In this order, so that no place is lost where this process is killed in between.
                add(&from.taken_over, 1);
                subtract(&from.held, 1);
            }
            None => add(&self.ledger.sum.taken, 1),
        }
        add(&entry.held, 1);
    }
}

/// Conversations that a loop has handed over and nobody has taken over yet.
fn on_their_way(entry: &Entry) -> u64 {
    entry.handed_over.load(Relaxed).saturating_sub(entry.taken_over.load(Relaxed))
}

/// The conversations that a loop has, and those that are on their way to it.
fn load(entry: &Entry) -> u64 {
    (entry.held.load(Relaxed) + entry.coming.load(Relaxed)).saturating_sub(on_their_way(entry))
}

/// Under the lock, where nobody else writes: cheaper than an atomic addition.
fn add(count: &AtomicU64, more: u64) {
    count.store(count.load(Relaxed) + more, Relaxed);
}

fn subtract(count: &AtomicU64, less: u64) {
    count.store(count.load(Relaxed).saturating_sub(less), Relaxed);
}

/// Subtracts one where there is one. Without the lock.
fn subtract_at_most(count: &AtomicU64) {
    let _ = count.fetch_update(Relaxed, Relaxed, |value| value.checked_sub(1));
}
