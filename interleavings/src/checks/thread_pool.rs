//! Two workers and a job: what comes of it is told, and both workers end when the pool is closed.

use super::ThreadPool;

pub(super) fn check() {
    let pool = ThreadPool::start(2, true).unwrap();
    pool.submit(1, |_| 10);
    assert_eq!(pool.result(), Some((1, Some(10))));
    assert_eq!(pool.join().len(), 2);
}
