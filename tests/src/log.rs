//! The lines that a server writes, collected while it runs.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::DEADLINE;

/// The lines of one stream so far; clones see the same lines.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    /// Collects the lines of `stream` until it ends. Bytes that are not UTF-8 become replacement
    /// characters.
    pub(crate) fn collect(stream: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let shared = lines.clone();
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned();
                line.clear();
                shared.change(|state| state.lines.push(text));
            }
            shared.change(|state| state.ended = true);
        });
        lines
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.changed.notify_all();
    }

    /// Everything written so far.
    pub fn so_far(&self) -> Vec<String> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).lines.clone()
    }

    /// Whether nobody can write to the stream any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).ended
    }

    /// Waits until `find` finds in the lines what it looks for.
    ///
    /// # Panics
    /// If it does not by [`DEADLINE`], or the stream ends before; `what` says what was looked for.
    #[track_caller]
    pub fn wait_for<T>(&self, what: &str, mut find: impl FnMut(&[String]) -> Option<T>) -> T {
        let found = self.wait(|state| match find(&state.lines) {
            Some(found) => Some(Ok(found)),
            None if state.ended => Some(Err("and it has ended")),
            None => None,
        });
        let so_far = || self.so_far().join("\n");
        match found.unwrap_or(Err("by the deadline")) {
            Ok(found) => found,
            Err(why) => panic!("no {what} in the output {why}, which is:\n{}", so_far()),
        }
    }

    /// Waits for a line that `is_it`; `what` says which.
    ///
    /// # Panics
    /// As [`wait_for`](Self::wait_for).
    #[track_caller]
    pub fn wait_for_line(&self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        self.wait_for(what, |lines| lines.iter().find(|line| is_it(line)).cloned())
    }

    /// How many lines so far are such.
    pub fn count(&self, is_it: impl Fn(&str) -> bool) -> usize {
        self.so_far().iter().filter(|line| is_it(line)).count()
    }

    /// Waits until nobody can write to the stream any more, and gives all of it.
    ///
    /// # Panics
    /// If somebody still can at [`DEADLINE`]: a process that the server left behind.
    #[track_caller]
    pub fn until_end(&self) -> Vec<String> {
        self.wait(|state| state.ended.then_some(()))
            .expect("the ended server's output is still held open: it has left a process behind");
        self.so_far()
    }

    fn wait<T>(&self, mut look: impl FnMut(&State) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + DEADLINE;
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = look(&state) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            let waited = self.0.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}
