//! All that was found. The text is made from it alone.

use client::hold::{Step, StepResult};
use harness::machine::Machine;
use serde::Serialize;

use super::limits::Limits;
use super::plan::Plan;
use super::weigh::Growth;

/// Counts changes that a reader must know of; a further member is none.
pub const VERSION: u32 = 1;

/// A run, as far as it came: what did not happen any more is `None`.
#[derive(Debug, Serialize)]
pub struct Document {
    /// [`VERSION`]
    pub version: u32,
    /// What was measured.
    pub lab_version: String,
    /// In a debug build, times mean nothing.
    pub debug_build: bool,
    /// When it began: RFC 3339, UTC.
    pub started: String,
    /// How long all of it took, in seconds.
    pub took_s: f64,
    /// Where.
    pub machine: Machine,
    /// Who served.
    pub model: String,
    /// Requests in flight at once in the sweep, over all clients.
    pub in_flight: usize,
    /// What the requests and their order were drawn from.
    pub seed: u64,
    /// What the machine allowed.
    pub limits: Limits,
    /// What was planned.
    pub plan: Plan,
    /// Opening: each connection was greeted by one request, and counts when that was answered.
    pub opened: Option<StepResult>,
    /// What each conversation cost while it rested.
    pub growth: Option<Growth>,
    /// How the conversations were spread over the server's processes.
    pub workers: Option<Workers>,
    /// The sweep: one request on each connection, in random order.
    pub asked: Option<StepResult>,
    /// Closing: each client ended its output and read to the end.
    pub closed: Option<StepResult>,
    /// The server's last status line.
    pub status: Option<String>,
    /// What went wrong, in the order in which it did.
    pub failures: Vec<String>,
}

impl Document {
    /// Where the result of a step stands.
    pub fn of(&mut self, step: Step) -> &mut Option<StepResult> {
        match step {
            Step::Open => &mut self.opened,
            Step::Ask => &mut self.asked,
            Step::Close => &mut self.closed,
        }
    }
}

/// Conversations of the server's processes that were there before them, by the descriptors that
/// each has opened for them. A parent that holds none is left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Workers {
    /// How many hold conversations.
    pub processes: usize,
    /// Conversations of the one that has the fewest.
    pub least: usize,
    /// On average.
    pub mean: f64,
    /// Conversations of the one that has the most.
    pub most: usize,
}

impl Workers {
    /// From the descriptors of each process, before and with all conversations, the root of the
    /// tree first. `None` if none of them holds any: then each conversation has got a process of
    /// its own.
    pub fn of(before: &[(i32, usize)], with: &[(i32, usize)]) -> Option<Self> {
        let grown = with.iter().filter_map(|(pid, descriptors)| {
            let (_, earlier) = before.iter().find(|(other, _)| other == pid)?;
            Some(descriptors.saturating_sub(*earlier))
        });
        let mut held: Vec<usize> = grown.collect();
        // Whoever has started the others and holds nothing is no worker.
        if held.len() > 1 && held[0] == 0 {
            held.remove(0);
        }
        let (least, most) = (*held.iter().min()?, *held.iter().max().filter(|most| **most > 0)?);
        Some(Self {
            processes: held.len(),
            least,
            mean: held.iter().sum::<usize>() as f64 / held.len() as f64,
            most,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_that_holds_nothing_is_no_worker_and_an_idle_worker_is_one() {
        let before = [(1, 7), (2, 5), (3, 5)];
        let workers = Workers::of(&before, &[(1, 7), (2, 5), (3, 15)]).unwrap();
        assert_eq!(workers, Workers { processes: 2, least: 0, mean: 5.0, most: 10 });
        let alone = Workers::of(&before[..1], &[(1, 27)]).unwrap();
        assert_eq!(Workers::of(&before[..1], &[(1, 7), (4, 5), (5, 5)]), None);
        assert_eq!(alone, Workers { processes: 1, least: 20, mean: 20.0, most: 20 });
    }
}
