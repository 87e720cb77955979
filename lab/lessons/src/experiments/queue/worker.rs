//! A producer or a consumer that is a process.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::pipe::{Consumer, Producer};
use super::{FOR_A_PLACE, FOR_AN_ITEM};
use crate::part::Part;
use crate::trace::{State, now_ns};

/// What a process is started with.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Worker {
    pub(super) folder: PathBuf,
    /// What it produces; none for a consumer.
    pub(super) produces: Vec<u64>,
    /// Producing or consuming one takes so long.
    pub(super) delay: Duration,
}

/// What a process says. After `Ready` it waits for a [`GoOn`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Word {
    Ready,
    /// An item was in its place from this nanosecond on, or a little later.
    Put(u64),
    /// The item of this number was in its place until this nanosecond, or a little earlier.
    Took(u64, u64),
}

/// What a process is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GoOn;

impl Worker {
    /// Is the process.
    pub(super) fn act(&self, me: &mut Part) -> Result<()> {
        if self.produces.is_empty() { self.consume(me) } else { self.produce(me) }
    }

    fn produce(&self, me: &mut Part) -> Result<()> {
        let mut queue = Producer::open(&self.folder)?;
        if !begins(me)? {
            return Ok(());
        }
        for item in &self.produces {
            me.enter_with(State::Sleeping, "producing");
            thread::sleep(self.delay);
            me.enter_with(State::Blocked, FOR_A_PLACE);
            queue.take_place()?;
            let at_ns = now_ns();
            queue.put(*item)?;
            me.enter(State::Running);
            me.tell(&Word::Put(at_ns))?;
        }
        Ok(())
    }

    fn consume(&self, me: &mut Part) -> Result<()> {
        let mut queue = Consumer::open(&self.folder)?;
        if !begins(me)? {
            return Ok(());
        }
        me.enter_with(State::Blocked, FOR_AN_ITEM);
        while let Some(item) = queue.take()? {
            // Before the place is free: the recorded stay lies inside the true one.
            let at_ns = now_ns();
            queue.give_place_back()?;
            me.enter_with(State::Sleeping, "consuming");
            me.tell(&Word::Took(item, at_ns))?;
            thread::sleep(self.delay);
            me.enter_with(State::Blocked, FOR_AN_ITEM);
        }
        Ok(())
    }
}

/// Waits for the sign to begin; none comes if the experiment is given up.
fn begins(me: &mut Part) -> Result<bool> {
    me.enter_with(State::Blocked, "until there is enough");
    me.tell(&Word::Ready)?;
    Ok(me.hear::<GoOn>()?.is_some())
}
