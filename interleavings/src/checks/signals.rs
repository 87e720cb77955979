//! A status is asked for twice and a stop twice, in threads of their own: the main thread, which
//! sleeps on its descriptor only, hears of all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use loom::thread;

use super::Signals;
use crate::kernel::signal_hook::{consts, low_level::raise};
use crate::kernel::{AsFd, poll};

/// A status line shows what has happened when it is logged.
#[derive(Default)]
pub(super) struct Tally {
    happened: Arc<AtomicU32>,
    logged: AtomicU32,
}

impl Tally {
    pub(super) fn log(&self) {
        self.logged.store(self.happened.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

pub(super) fn check() {
    let (mut signals, tally) = (Signals::new().unwrap(), Tally::default());
    let happened = Arc::clone(&tally.happened);
    let asks = thread::spawn(move || {
        for event in [1, 2] {
            happened.store(event, Ordering::Relaxed);
            raise(consts::SIGUSR1);
        }
    });
    let stops = thread::spawn(|| [consts::SIGTERM, consts::SIGINT].map(raise));
    while !signals.stop_at_once() || tally.logged.load(Ordering::Relaxed) < 2 {
        poll(&[signals.as_fd()]);
        signals.ask_to_stop(&tally);
    }
    asks.join().unwrap();
    stops.join().unwrap();
}
