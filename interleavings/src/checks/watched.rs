//! Two take two locks crosswise. Who watches finds the circle, if there is one, and calls one wait
//! off; then both end, and all is free.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use super::{CalledOff, Locks};

pub(super) fn check() {
    let locks = Arc::new(Locks::new(2));
    let crosswise = |who: usize, first, second| {
        let locks = Arc::clone(&locks);
        thread::spawn(move || {
            let _first = locks.acquire(who, first)?;
            locks.acquire(who, second).map(drop)
        })
    };
    let both = [crosswise(1, 0, 1), crosswise(2, 1, 0)];
    // Both have all that they want, or wait for each other.
    let seen = locks.wait_until(Duration::MAX, |now| now.cycle().is_some() || now.taken == 4).unwrap();
    if seen.cycle().is_some() {
        assert!(locks.call_off(2), "who is in a circle waits");
    }
    let [one, other] = both.map(|thread| thread.join().unwrap());
    assert_eq!(one, Ok(()));
    assert_eq!(other, if seen.cycle().is_some() { Err(CalledOff) } else { Ok(()) });
    assert_eq!(locks.now().owners, [None, None]);
}
