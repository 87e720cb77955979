//! Three want one of two places: never are three in, and each gets one.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::Semaphore;

pub(super) fn check() {
    let semaphore = Arc::new((Semaphore::new(1), AtomicUsize::new(0)));
    let visit = |shared: Arc<(Semaphore, AtomicUsize)>| {
        move || {
            let _permit = shared.0.acquire();
            assert_eq!(shared.1.fetch_add(1, Ordering::Relaxed), 0, "too many are in");
            shared.1.fetch_sub(1, Ordering::Relaxed);
        }
    };
    let others = [0; 2].map(|_| thread::spawn(visit(Arc::clone(&semaphore))));
    visit(semaphore)();
    others.map(|other| other.join().unwrap());
}
