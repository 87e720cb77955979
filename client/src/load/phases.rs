//! What a worker does when a phase begins, and when the last one ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::connection::State;
use super::schedule::{Cursor, Schedule};
use super::steer::Phase;
use super::worker::Worker;

/// How long the last answers are waited for, in nanoseconds.
const LAST_ANSWERS: u64 = 1_000_000_000;

/// How long the server's end of the connections is waited for after that, in nanoseconds.
const LAST_CLOSES: u64 = 500_000_000;

impl Worker {
    /// Does what a new phase asks for, if the main thread has set one.
    pub(super) fn follow_phase(&mut self) {
        let phase = self.shared.phase();
        if phase == self.phase {
            return;
        }
        if self.phase == Phase::Measuring {
            self.ended = self.shared.clock.now();
            self.release_rest(self.ended);
            self.cpu = thread_cpu().saturating_sub(self.cpu_began);
            self.recorder.end_phase();
        }
        self.phase = phase;
        self.announced = false;
        self.counters.done.store(false, Ordering::Relaxed);
        if phase.asks() {
            self.begin_asking();
        } else if phase == Phase::Finishing {
            self.begin_finishing();
        }
        self.counters.enter(phase);
        self.shared.stop.bell().ring();
    }

    fn begin_asking(&mut self) {
        let measuring = self.phase == Phase::Measuring;
        let began = self.shared.phase_began();
        let options = Arc::clone(&self.options);
        let requests = options.requests.filter(|_| measuring);
        self.recorder.begin_phase(measuring, began);
        if measuring && options.new_connection_each {
            self.recorder.connect.reset();
        }
        let greeting = self.phase == Phase::Greeting;
        let rate = options.rate.filter(|_| !greeting);
        self.schedule = rate.map(|rate| Schedule::new(began, rate, options.connections, requests));
        self.cursor = Cursor::new(self.index, self.workers, self.connections.len());
        self.overdue = 0;
        let (workers, index) = (self.workers as u64, self.index as u64);
        let share = |all: u64| all / workers + u64::from(index < all % workers);
        self.quota = if greeting { self.connections.len() as u64 } else { requests.map_or(u64::MAX, share) };
        self.cpu_began = thread_cpu();
        for connection in &mut self.connections {
            connection.begin_phase();
        }
        for slot in 0..self.connections.len() {
            self.proceed(slot);
        }
    }

    fn begin_finishing(&mut self) {
        self.deadline = Some(self.shared.clock.now() + LAST_ANSWERS);
        self.opener.forget();
        for slot in 0..self.connections.len() {
            self.proceed(slot);
            self.settle(slot);
        }
        if !self.options.new_connection_each {
            self.opener.connecting = 0;
            for connection in &mut self.connections {
                if matches!(connection.state, State::Connecting(..)) {
                    connection.state = State::Closed;
                }
            }
        }
    }

    /// Whether all connections are closed, or have had the time for it.
    pub(super) fn is_finished(&mut self) -> bool {
        if self.phase != Phase::Finishing {
            return self.phase == Phase::Quitting;
        }
        if self.open + self.opener.connecting == 0 {
            return true;
        }
        let now = self.shared.clock.now();
        if self.deadline.is_some_and(|deadline| now < deadline) {
            return false;
        }
        let given_up = self.closing;
        self.closing = true;
        self.deadline = Some(now + LAST_CLOSES);
        for slot in 0..self.connections.len() {
            self.half_close(slot);
        }
        given_up
    }
}

/// CPU time of this thread since it began.
fn thread_cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}
