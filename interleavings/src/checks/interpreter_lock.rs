//! Two have the lock in turns, and hand it over in the middle: never both have it, and who hands
//! over to one who waits gets it back only after that one had it.

use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::{InterpreterLock, State};

pub(super) fn check() {
    let shared = Arc::new((InterpreterLock::new(Duration::from_millis(5)), AtomicUsize::new(0)));
    let compute = |shared: Arc<(InterpreterLock, AtomicUsize)>| {
        move || {
            let step = || {
                assert_eq!(shared.1.fetch_add(1, Ordering::Relaxed), 0, "two have it");
                shared.1.fetch_sub(1, Ordering::Relaxed);
            };
            let mut turn = shared.0.acquire();
            step();
            let State { waiting, turns, .. } = *shared.0.state();
            turn.hand_over();
            assert!(waiting == 0 || shared.0.turns() >= turns + 2, "who waited did not get it");
            step();
        }
    };
    let other = thread::spawn(compute(Arc::clone(&shared)));
    compute(Arc::clone(&shared))();
    other.join().unwrap();
    // Alone there is nobody to wait for.
    shared.0.acquire().hand_over();
    assert_eq!(shared.0.turns(), 6);
}
