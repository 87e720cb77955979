//! One puts two items into a place for one, and one takes them, while a third waits for more than
//! ever come: the items are taken in their order without it, and closing wakes it.

use std::sync::Arc;

use loom::thread;

use super::Bounded;

pub(super) fn check() {
    let queue = Arc::new(Bounded::new(1));
    let (patient, consumer) = (Arc::clone(&queue), Arc::clone(&queue));
    let patient = thread::spawn(move || patient.wait_for(2));
    let consumer = thread::spawn(move || [consumer.take(), consumer.take()]);
    queue.put(1);
    queue.put(2);
    assert_eq!(consumer.join().unwrap(), [Some(1), Some(2)]);
    queue.close();
    patient.join().unwrap();
    assert_eq!((queue.most(), queue.take()), (1, None));
}
