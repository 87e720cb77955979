//! The end of what a server says, for the case that it fails.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How much is kept, in bytes.
const KEPT_BYTES: usize = 4096;

/// How much of the last line is shown, in characters.
const SHOWN_CHARACTERS: usize = 300;

/// How long [`Tail::last_line`] waits for a reader to come to the end.
const READ_TIMEOUT: Duration = Duration::from_millis(200);

/// The last 4 KiB of the streams that it reads. They are read to their ends, so that no server ever
/// waits for the lab.
#[derive(Debug, Clone, Default)]
pub struct Tail(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    kept: VecDeque<u8>,
    readers: usize,
}

impl Tail {
    /// Reads `stream` in a thread of its own, which ends with the stream.
    pub fn read(&self, stream: impl Read + Send + 'static) {
        self.lock().readers += 1;
        let tail = self.clone();
        let reader = thread::Builder::new().name("log".to_owned()).spawn(move || tail.keep(stream));
        if reader.is_err() {
            // Without a thread the stream is closed; what the server says is lost, what it does is
            // not.
            self.lock().readers -= 1;
        }
    }

    fn keep(&self, mut stream: impl Read) {
        let mut buffer = [0; KEPT_BYTES];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            let mut state = self.lock();
            state.kept.extend(&buffer[..count]);
            let surplus = state.kept.len().saturating_sub(KEPT_BYTES);
            state.kept.drain(..surplus);
        }
        self.lock().readers -= 1;
    }

    /// The last line that is not blank, escaped and cut, since a stranger wrote it. The server
    /// should have ended: its last words are waited for, but not long.
    pub fn last_line(&self) -> Option<String> {
        let begun = Instant::now();
        while self.lock().readers > 0 && begun.elapsed() < READ_TIMEOUT {
            thread::sleep(Duration::from_millis(1));
        }
        let kept: Vec<u8> = self.lock().kept.iter().copied().collect();
        let text = String::from_utf8_lossy(&kept);
        let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
        Some(line.chars().take(SHOWN_CHARACTERS).map(shown).collect())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A control character could make a terminal do things.
fn shown(character: char) -> String {
    if character.is_control() { character.escape_default().to_string() } else { character.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_escaped_and_cut_and_blank_ones_are_skipped() {
        let tail = Tail::default();
        assert_eq!(tail.last_line(), None);
        tail.read(&b"first\nred \x1b[31m alarm\n\n  \n"[..]);
        assert_eq!(tail.last_line().as_deref(), Some("red \\u{1b}[31m alarm"));
        tail.read(std::io::repeat(b'x').take(1 << 20));
        assert_eq!(tail.last_line().map(|line| line.len()), Some(SHOWN_CHARACTERS));
    }
}
