//! What a server does when the system has run out of something: it waits a moment, and says so at a
//! bounded rate.

use std::io;
use std::time::{Duration, Instant};

/// How long a server stops asking for more.
pub const LENGTH: Duration = Duration::from_millis(100);

/// At most one line in this time is logged about it.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// A pause that may be under way, and when it was last spoken of.
#[derive(Debug, Default)]
pub struct Pause {
    until: Option<Instant>,
    logged: Option<Instant>,
    unlogged: u64,
}

impl Pause {
    /// None is under way, and none was.
    pub const NONE: Self = Self { until: None, logged: None, unlogged: 0 };

    /// Begins a pause of [`LENGTH`] because `action` failed; logged at most once a second.
    pub fn begin(&mut self, action: &str, error: &io::Error) {
        let now = Instant::now();
        self.until = Some(now + LENGTH);
        if self.logged.is_none_or(|logged| now.duration_since(logged) >= LOG_INTERVAL) {
            let more = match self.unlogged {
                0 => String::new(),
                count => format!(" (and {count} times before, not logged)"),
            };
            log::warn!("cannot {action}: {error}; trying again in {} ms{more}", LENGTH.as_millis());
            self.logged = Some(now);
            self.unlogged = 0;
        } else {
            self.unlogged += 1;
        }
    }

    /// When the pause ends; `None` when there is none.
    pub fn until(&self) -> Option<Instant> {
        self.until.filter(|&until| until > Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_logged_is_counted() {
        let mut pause = Pause::default();
        (0..4).for_each(|_| pause.begin("do something", &io::ErrorKind::OutOfMemory.into()));
        assert_eq!(pause.unlogged, 3);
    }
}
