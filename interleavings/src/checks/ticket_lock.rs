//! Three draw numbers: one at a time is served, in their order.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::TicketLock;

pub(super) fn check() {
    let shared = Arc::new((TicketLock::new(), AtomicU64::new(0)));
    let visit = |shared: Arc<(TicketLock, AtomicU64)>| {
        move || {
            let served = shared.0.lock();
            assert_eq!(shared.1.load(Ordering::Relaxed), served.number(), "out of turn");
            shared.1.store(served.number() + 1, Ordering::Relaxed);
        }
    };
    let others = [0; 2].map(|_| thread::spawn(visit(Arc::clone(&shared))));
    visit(Arc::clone(&shared))();
    others.map(|other| other.join().unwrap());
    assert_eq!(shared.1.load(Ordering::Relaxed), 3);
}
