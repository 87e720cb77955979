//! Play the scheduler: the lessons' small programs as models, in which the reader chooses who goes
//! next, and all orders can be counted.
//!
//! A [`Program`] is a few threads of a few steps over shared variables and locks. One definition
//! ([`programs`]) serves three: the page plays it (`page.js` has the same few rules as
//! [`Moment::step`]), [`Program::orders`] counts all of its interleavings, and the tests hold the
//! page to that count.
//!
//! Deliberately absent: memory models. A step is one action that all threads see at once.

pub mod programs;
mod recorded;

use std::collections::HashMap;

use serde::Serialize;

pub use recorded::{Code, Fact, Lines, Recorded, Rule};

/// A few words in each language of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Text {
    /// English.
    pub en: &'static str,
    /// Chinese.
    pub zh: &'static str,
}

/// What a lesson lets the reader try: a wrong way, and the right one.
#[derive(Debug, Clone, Serialize)]
pub struct Play {
    /// What to bring about.
    pub task: Text,
    /// What has happened then.
    pub happened: Text,
    /// The wrong way.
    pub wrong: Program,
    /// The right way, in which it cannot be brought about.
    pub right: Program,
    /// The variants of the lesson that do it.
    pub recorded: Vec<Recorded>,
}

/// Threads that take steps one after the other, in any order.
#[derive(Debug, Clone, Serialize)]
pub struct Program {
    /// The shared variables, and what they are at the beginning.
    pub variables: &'static [(&'static str, i64)],
    /// The locks.
    pub locks: &'static [&'static str],
    /// The threads.
    pub threads: Vec<Thread>,
    /// What must not happen.
    pub fault: Fault,
}

/// A thread, by what it does.
#[derive(Debug, Clone, Serialize)]
pub struct Thread {
    /// What it is called.
    pub name: &'static str,
    /// Its steps: what the reader sees, and what it does.
    pub steps: &'static [(&'static str, Step)],
}

/// What a thread does in one step. Each thread has one variable of its own. Variables and locks are
/// named by their place in the program's lists, steps by theirs in the thread's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Reads a shared variable into its own.
    Read(usize),
    /// Adds to its own variable.
    Compute(i64),
    /// Writes its own variable into a shared one.
    Write(usize),
    /// Adds to a shared variable, which nothing can come between.
    Add(usize, i64),
    /// Goes on at another step if its own variable is 0 or less.
    UnlessPositive(usize),
    /// Goes on at another step if its own variable is above 0.
    IfPositive(usize),
    /// Waits until the lock is free, and takes it.
    Lock(usize),
    /// Gives the lock back.
    Unlock(usize),
    /// Waits until the variable is above 0, and subtracts 1: a semaphore.
    Acquire(usize),
    /// Sleeps until somebody calls [`Step::Wake`].
    Sleep,
    /// Gives the lock back and sleeps, in one step. When woken, it takes the lock again, which is
    /// its next step, and goes on at another step.
    Wait(usize, usize),
    /// Wakes all that sleep.
    Wake,
}

/// What must not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// In the end a variable is something else.
    EndsOtherThan(usize, i64),
    /// A variable is at any time more.
    Above(usize, i64),
    /// A variable is at any time less.
    Below(usize, i64),
    /// Nobody can go on, and not all have ended.
    Stuck,
}

/// A program at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Moment {
    variables: Vec<i64>,
    owners: Vec<Option<usize>>,
    threads: Vec<At>,
    /// Whether what must not happen has.
    pub has_failed: bool,
}

/// Where a thread is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct At {
    step: usize,
    own: i64,
    sleeps: bool,
    /// It has been woken in a wait, and must take the lock again.
    has_waited: bool,
}

/// How many orders of all steps there are, and in how many it fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Orders {
    /// All.
    pub all: u64,
    /// Those in which it fails.
    pub failing: u64,
}

impl Program {
    /// Before anything has happened.
    pub fn begin(&self) -> Moment {
        Moment {
            variables: self.variables.iter().map(|(_, value)| *value).collect(),
            owners: vec![None; self.locks.len()],
            threads: vec![At::default(); self.threads.len()],
            has_failed: false,
        }
    }

    /// Counts all orders, to the end of each.
    pub fn orders(&self) -> Orders {
        self.count(&self.begin(), &mut HashMap::new())
    }

    fn count(&self, now: &Moment, known: &mut HashMap<Moment, Orders>) -> Orders {
        if let Some(orders) = known.get(now) {
            return *orders;
        }
        let able: Vec<usize> =
            (0..self.threads.len()).filter(|thread| now.can_go_on(self, *thread)).collect();
        let mut orders = Orders::default();
        for thread in &able {
            let mut next = now.clone();
            next.step(self, *thread);
            let then = self.count(&next, known);
            orders = Orders { all: orders.all + then.all, failing: orders.failing + then.failing };
        }
        if able.is_empty() {
            orders = Orders { all: 1, failing: u64::from(now.has_failed_at_the_end(self)) };
        }
        known.insert(now.clone(), orders);
        orders
    }
}

impl Moment {
    fn next(&self, program: &Program, thread: usize) -> Option<Step> {
        program.threads[thread].steps.get(self.threads[thread].step).map(|(_, step)| *step)
    }

    /// Whether a thread can take a step now.
    pub fn can_go_on(&self, program: &Program, thread: usize) -> bool {
        let at = &self.threads[thread];
        match self.next(program, thread) {
            _ if at.sleeps => false,
            None => false,
            Some(Step::Lock(lock)) => self.owners[lock].is_none(),
            Some(Step::Wait(lock, _)) if at.has_waited => self.owners[lock].is_none(),
            Some(Step::Acquire(variable)) => self.variables[variable] > 0,
            Some(_) => true,
        }
    }

    /// A thread that can takes its next step.
    pub fn step(&mut self, program: &Program, thread: usize) {
        let Some(step) = self.next(program, thread) else { return };
        let at = &mut self.threads[thread];
        at.step += 1;
        match step {
            Step::Read(variable) => at.own = self.variables[variable],
            Step::Compute(change) => at.own += change,
            Step::Write(variable) => self.variables[variable] = at.own,
            Step::Add(variable, change) => self.variables[variable] += change,
            Step::UnlessPositive(to) if at.own <= 0 => at.step = to,
            Step::IfPositive(to) if at.own > 0 => at.step = to,
            Step::UnlessPositive(_) | Step::IfPositive(_) => {}
            Step::Lock(lock) => self.owners[lock] = Some(thread),
            Step::Unlock(lock) => self.owners[lock] = None,
            Step::Acquire(variable) => self.variables[variable] -= 1,
            Step::Sleep => at.sleeps = true,
            Step::Wait(lock, to) if at.has_waited => {
                (at.has_waited, at.step) = (false, to);
                self.owners[lock] = Some(thread);
            }
            Step::Wait(lock, _) => {
                at.step -= 1;
                (at.sleeps, at.has_waited) = (true, true);
                self.owners[lock] = None;
            }
            Step::Wake => self.threads.iter_mut().for_each(|at| at.sleeps = false),
        }
        self.has_failed |= match program.fault {
            Fault::Above(variable, most) => self.variables[variable] > most,
            Fault::Below(variable, least) => self.variables[variable] < least,
            Fault::EndsOtherThan(..) | Fault::Stuck => false,
        };
    }

    /// Whether it has failed, now that nobody can go on.
    pub fn has_failed_at_the_end(&self, program: &Program) -> bool {
        let mut threads = self.threads.iter().zip(&program.threads);
        let have_ended = threads.all(|(at, thread)| at.step == thread.steps.len() && !at.sleeps);
        match program.fault {
            Fault::Stuck => !have_ended,
            Fault::EndsOtherThan(variable, value) => self.variables[variable] != value,
            Fault::Above(..) | Fault::Below(..) => self.has_failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_way_fails_in_some_orders_and_no_right_way_in_any() {
        for (name, play) in programs::all() {
            let (wrong, right) = (play.wrong.orders(), play.right.orders());
            assert!(0 < wrong.failing && wrong.failing < wrong.all, "{name}: {wrong:?}");
            assert!(right.failing == 0 && right.all > 1, "{name}: {right:?}");
        }
    }

    #[test]
    fn of_twenty_orders_of_two_decrements_eighteen_lose_one() {
        let counter = programs::of("counter").unwrap();
        assert_eq!(counter.wrong.orders(), Orders { all: 20, failing: 18 });
        assert_eq!(counter.right.orders(), Orders { all: 2, failing: 0 });
    }

    /// What the counting by moments finds is what trying every order one by one finds.
    #[test]
    fn counting_by_moments_is_counting_one_by_one() {
        fn one_by_one(program: &Program, now: &Moment) -> Orders {
            let able = (0..program.threads.len()).filter(|thread| now.can_go_on(program, *thread));
            let mut orders = Orders::default();
            for thread in able {
                let mut next = now.clone();
                next.step(program, thread);
                let then = one_by_one(program, &next);
                orders = Orders { all: orders.all + then.all, failing: orders.failing + then.failing };
            }
            if orders.all == 0 {
                orders = Orders { all: 1, failing: u64::from(now.has_failed_at_the_end(program)) };
            }
            orders
        }
        for name in ["counter", "tickets", "deadlock", "event", "queue"] {
            let play = programs::of(name).unwrap();
            for program in [&play.wrong, &play.right] {
                assert_eq!(program.orders(), one_by_one(program, &program.begin()), "{name}");
            }
        }
    }
}
