//! A worker does two phases of a load: the main thread, which sleeps until it is rung for, hears that
//! it has followed and that it is done, and sees then what was done in that phase. A stop and a
//! failure, from a third, wake it too.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use loom::thread;

use super::{Counters, Phase, Shared, StopHandle};
use crate::kernel::{AsFd, EventFd, poll};

const PHASES: [Phase; 2] = [Phase::WarmUp, Phase::Measuring];

/// What a worker shows of a phase: the answers that it counts.
fn answers(phase: Phase) -> u64 {
    100 * phase as u64
}

/// As `Worker::follow_phase` and `Worker::publish` do.
fn work(shared: &Shared, counters: &Counters, waker: &EventFd) {
    let (mut mine, mut last) = (Phase::Connecting, 0);
    while mine != Phase::Measuring {
        // It may look before it is woken: it also has clients that wake it.
        let phase = shared.phase();
        if phase == mine {
            poll(&[waker.as_fd()]);
            waker.read().unwrap();
            continue;
        }
        let began = shared.phase_began();
        assert!(began > last, "a phase that began before the last one");
        (mine, last) = (phase, began);
        counters.done.store(false, Ordering::Relaxed);
        counters.enter(phase);
        shared.stop.bell().ring();
        counters.answered.store(answers(phase), Ordering::Relaxed);
        counters.done.store(true, Ordering::Release);
        shared.stop.bell().ring();
    }
}

pub(super) fn check() {
    let (stop, waker) = (StopHandle::default(), Arc::new(EventFd::default()));
    let (shared, counters) = (Arc::new(Shared::new(stop)), Arc::new(Counters::default()));
    let worker = {
        let (shared, counters, waker) = (Arc::clone(&shared), Arc::clone(&counters), Arc::clone(&waker));
        thread::spawn(move || work(&shared, &counters, &waker))
    };
    let wait =
        |mut done: &mut dyn FnMut() -> bool| while !shared.stop.bell().wait(Duration::MAX, &mut done) {};
    for phase in PHASES {
        shared.set_phase(phase);
        waker.write(1).unwrap();
        wait(&mut || counters.entered() == phase);
        wait(&mut || counters.entered() == phase && counters.done.load(Ordering::Acquire));
        assert_eq!(counters.answered.load(Ordering::Relaxed), answers(phase), "what it did is not seen");
    }
    worker.join().unwrap();
}
