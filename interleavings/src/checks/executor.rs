//! Another thread wakes a task, and keeps its waker or drops it: the task goes on, and is not taken to
//! be stuck. Where it drops the waker only, the task is stuck, and that is found.

use std::future::poll_fn;
use std::task::{Poll, Waker};

use loom::thread;

use super::{Alarms, Stuck, run};
use crate::sync::{mpsc, touch_counts};

pub(super) fn check() {
    assert_eq!(wait_for_another(true, true), Ok(()));
    assert_eq!(wait_for_another(true, false), Ok(()));
    assert_eq!(wait_for_another(false, false), Err(Stuck { tasks: 1 }));
}

fn wait_for_another(wakes: bool, keeps: bool) -> Result<(), Stuck> {
    let (send, receive) = mpsc::channel::<Waker>();
    // The executor's thread does nothing else: in loom, who may be unparked may wait for nothing
    // but that.
    let executor = thread::spawn(move || {
        let mut is_woken = false;
        let waits = poll_fn(move |context| {
            if is_woken {
                return Poll::Ready(());
            }
            is_woken = true;
            send.send(context.waker().clone()).unwrap();
            Poll::Pending
        });
        run(&Alarms::default(), vec![Box::pin(waits)])
    });
    let waker = receive.recv().unwrap();
    if wakes {
        waker.wake_by_ref();
    }
    touch_counts();
    let _kept = keeps.then_some(waker);
    executor.join().unwrap()
}
