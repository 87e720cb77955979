//! What the workers do: compute the product 1*2*...*n, or wait.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use num_bigint::BigUint;
use serde::{Deserialize, Serialize};

use super::lock::InterpreterLock;
use crate::part::Part;
use crate::trace::{Recorder, State};

/// What the lanes call the work, so that nothing else is taken for it.
pub(super) const COMPUTING: &str = "computing";

/// A prime above every n that is taken, so that no product leaves the remainder 0.
pub(super) const PRIME: u64 = 1_000_000_007;

/// One worker's share, the same for all.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Work {
    /// The product 1*2*...*n.
    Compute(u64),
    /// As if for I/O.
    Wait(Duration),
}

/// Who works: a thread or a process, which shows what it does.
pub(super) trait Worker {
    /// From now on it is in `state`, with `what`.
    fn enter(&mut self, state: State, what: &'static str);
    /// It still computes.
    fn look(&mut self);
}

impl Worker for Recorder {
    fn enter(&mut self, state: State, what: &'static str) {
        self.enter_with(state, what);
    }

    fn look(&mut self) {
        Self::look(self);
    }
}

impl Worker for Part {
    fn enter(&mut self, state: State, what: &'static str) {
        self.enter_with(state, what);
    }

    fn look(&mut self) {
        Self::look(self);
    }
}

impl Work {
    /// As it is.
    ///
    /// # Errors
    /// If the product is wrong.
    pub(super) fn plainly(self, me: &mut impl Worker) -> Result<()> {
        match self {
            Self::Compute(n) => {
                me.enter(State::Running, COMPUTING);
                let product = product(n, || me.look());
                me.enter(State::Running, "");
                check(n, remainder(&product))
            }
            Self::Wait(time) => {
                me.enter(State::Sleeping, "");
                thread::sleep(time);
                me.enter(State::Running, "");
                Ok(())
            }
        }
    }

    /// As a thread of an interpreter: every step under the lock, which is given away when another
    /// asks, and while it waits.
    ///
    /// # Errors
    /// If the product is wrong.
    pub(super) fn under(self, lock: &InterpreterLock, me: &mut Recorder) -> Result<()> {
        me.enter(State::Waiting);
        let mut turn = lock.acquire();
        me.enter(State::Holding);
        match self {
            Self::Compute(n) => {
                let product = product(n, || {
                    me.look();
                    if turn.is_asked() {
                        // Recorded as given back before it is: what overlaps in the recording has
                        // overlapped.
                        me.enter(State::Waiting);
                        turn.hand_over();
                        me.enter(State::Holding);
                    }
                });
                me.enter(State::Running);
                drop(turn);
                check(n, remainder(&product))
            }
            Self::Wait(time) => {
                me.enter(State::Sleeping);
                drop(turn);
                thread::sleep(time);
                me.enter(State::Waiting);
                let turn = lock.acquire();
                me.enter(State::Holding);
                me.enter(State::Running);
                drop(turn);
                Ok(())
            }
        }
    }
}

/// The course's `res = res*i`; `between` is called after each.
fn product(n: u64, mut between: impl FnMut()) -> BigUint {
    let mut product = BigUint::from(1_u32);
    for factor in 2..=n {
        product *= factor;
        between();
    }
    product
}

fn remainder(product: &BigUint) -> u64 {
    // Below the prime, so in one digit.
    (product % PRIME).iter_u64_digits().next().unwrap_or(0)
}

/// Whether a product of that remainder can be 1*2*...*n.
///
/// # Errors
/// If it cannot.
pub(super) fn check(n: u64, remainder: u64) -> Result<()> {
    let expected = (2..=n).fold(1, |product, factor| product * factor % PRIME);
    ensure!(remainder == expected, "the product 1*2*...*{n} is wrong: {remainder} is left, not {expected}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_right_and_wrong_ones_are_noticed() {
        assert_eq!(product(20, || ()).to_string(), "2432902008176640000");
        for n in [1, 2, 500] {
            let right = remainder(&product(n, || ()));
            check(n, right).unwrap();
            assert!(check(n, right + 1).is_err());
        }
    }

    #[test]
    fn there_is_a_place_to_hand_over_after_every_factor() {
        let mut steps = 0;
        product(100, || steps += 1);
        assert_eq!(steps, 99);
    }
}
