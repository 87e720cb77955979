//! One buyer: a process that looks how many tickets are left, and buys one.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::Way;
use super::shop::{Locked, Shop};
use crate::part::Part;
use crate::trace::State;

/// What a buyer is started with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Buyer {
    pub(super) way: Way,
    pub(super) folder: PathBuf,
    /// Looking takes so long.
    pub(super) look: Duration,
    /// So much time passes between reading how many are left and writing that it is one less.
    pub(super) delay: Duration,
}

/// What a buyer says. After `Ready`, `HasRead` and `InTheMiddle` it waits for a [`GoOn`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) enum Word {
    Ready,
    /// In the unlocked purchase: it has read, and not written.
    HasRead,
    /// Half of the new data is written.
    InTheMiddle,
    Done(End),
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) enum End {
    Bought,
    SoldOut,
    /// The data file could not be read.
    Torn,
}

/// What a buyer is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GoOn;

impl Buyer {
    /// Is the buyer.
    pub(super) fn act(&self, me: &mut Part) -> Result<()> {
        let shop = Shop::at(&self.folder);
        pause(me, Word::Ready, "until all are there")?;
        let end = match self.way {
            Way::NoLock => {
                me.enter_with(State::Sleeping, "looking");
                self.look(&shop, me);
                self.buy(&shop, None, me)?
            }
            Way::Lock | Way::KillInPlace | Way::KillRename => {
                me.enter_with(State::Sleeping, "looking");
                self.look(&shop, me);
                me.enter(State::Waiting);
                let locked = shop.lock()?;
                me.enter(State::Holding);
                self.buy_and_unlock(&shop, locked, me)?
            }
            Way::LockLook => {
                me.enter(State::Waiting);
                let locked = shop.lock()?;
                me.enter(State::Holding);
                self.look(&shop, me);
                self.buy_and_unlock(&shop, locked, me)?
            }
        };
        me.mark(match end {
            End::Bought => "bought",
            End::SoldOut => "sold out",
            End::Torn => "torn",
        });
        me.tell(&Word::Done(end))
    }

    /// The course's `search`. It decides nothing, so a torn file is only told when it is to be
    /// bought from.
    fn look(&self, shop: &Shop, me: &mut Part) {
        thread::sleep(self.look);
        if shop.left().is_ok() {
            me.mark("looked");
        }
    }

    fn buy_and_unlock(&self, shop: &Shop, locked: Locked, me: &mut Part) -> Result<End> {
        let end = self.buy(shop, Some(&locked), me)?;
        // Recorded as given back before it is: what overlaps in the recording has overlapped.
        me.enter(State::Running);
        Ok(end)
    }

    /// The course's `buy`.
    fn buy(&self, shop: &Shop, locked: Option<&Locked>, me: &mut Part) -> Result<End> {
        let Ok(left) = shop.left() else { return Ok(End::Torn) };
        if locked.is_none() {
            pause(me, Word::HasRead, "until all have read")?;
            me.enter_with(State::Sleeping, "network");
        }
        thread::sleep(self.delay);
        if left == 0 {
            return Ok(End::SoldOut);
        }
        match (locked, self.way) {
            (None, _) => shop.sell_without_lock(left - 1)?,
            (Some(locked), Way::KillInPlace) => shop.sell_in_place(locked, left - 1, || in_the_middle(me))?,
            (Some(locked), Way::KillRename) => shop.sell(locked, left - 1, || in_the_middle(me))?,
            (Some(locked), _) => shop.sell(locked, left - 1, || Ok(()))?,
        }
        Ok(End::Bought)
    }
}

fn pause(me: &mut Part, word: Word, until: &'static str) -> Result<()> {
    me.enter_with(State::Blocked, until);
    ask(me, word)
}

/// The state stays: whoever is in the middle holds the lock.
fn in_the_middle(me: &mut Part) -> Result<()> {
    ask(me, Word::InTheMiddle)
}

fn ask(me: &mut Part, word: Word) -> Result<()> {
    me.tell(&word)?;
    ensure!(me.hear::<GoOn>()?.is_some(), "the lab has left in the middle");
    Ok(())
}
