//! Another thread wakes a task, then drops its waker: the task goes on, and is not taken to be
//! stuck.

use std::future::poll_fn;
use std::task::{Poll, Waker};

use loom::thread;

use super::{Alarms, run};
use crate::sync::{mpsc, touch_counts};

pub(super) fn check() {
    let (send, receive) = mpsc::channel::<Waker>();
    let other = thread::spawn(move || {
        let waker = receive.recv().unwrap();
        waker.wake_by_ref();
        touch_counts();
        drop(waker);
    });
    let mut is_woken = false;
    let waits = poll_fn(move |context| {
        if is_woken {
            return Poll::Ready(());
        }
        is_woken = true;
        send.send(context.waker().clone()).unwrap();
        Poll::Pending
    });
    assert_eq!(run(&Alarms::default(), vec![Box::pin(waits)]), Ok(()));
    other.join().unwrap();
}
