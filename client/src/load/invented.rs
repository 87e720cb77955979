//! Loads that never were, for tests of what is made of their results.

use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime};

use super::connection::Flight;
use super::failures::Failures;
use super::recorder::Recorder;
use super::results::{Errors, Results};
use super::seconds::Seconds;
use super::worker::WorkerResult;

/// The results of a load of two workers, in a closed loop: when each request was sent and answered,
/// in milliseconds of the measurement, and by which worker; how long the measurement took.
pub(crate) fn invented(requests: &[(u64, u64, usize)], length: u64, bytes: usize) -> Results {
    const MILLI: u64 = 1_000_000;
    let second = Duration::from_secs(1);
    let (sender, receiver) = channel();
    let mut seconds = Seconds::new(receiver, second, 2);
    let elapsed = Duration::from_millis(length);
    let started = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let mut results = Results::new(started, elapsed, false);
    for worker in 0..2 {
        let mut recorder = Recorder::new(false, Some((sender.clone(), 1_000 * MILLI)));
        recorder.begin_phase(true, 0, &Errors::default());
        let mut events: Vec<(u64, Option<u64>)> = Vec::new();
        for (sent, answered, _) in requests.iter().filter(|request| request.2 == worker) {
            events.extend([(*sent, None), (*answered, Some(*sent))]);
        }
        events.sort_by_key(|(at, sent)| (*at, sent.is_some()));
        let (within, after): (Vec<_>, Vec<_>) = events.into_iter().partition(|(at, _)| *at < length);
        let happens = |recorder: &mut Recorder, (at, sent): (u64, Option<u64>)| match sent {
            None => recorder.begun(1),
            Some(sent) => {
                let flight = Flight { due: sent * MILLI, sent: sent * MILLI, measured: true };
                recorder.answered(flight, bytes, at * MILLI);
            }
        };
        for event in within {
            recorder.turn(event.0 * MILLI, 1, &Errors::default());
            happens(&mut recorder, event);
        }
        recorder.turn(length * MILLI, 1, &Errors::default());
        recorder.end_phase(1, &Errors::default());
        for event in after {
            happens(&mut recorder, event);
        }
        recorder.finish(&Errors::default());
        results.add(&WorkerResult {
            recorder,
            failures: Failures::default(),
            unanswered: 0,
            unserved: 0,
            cpu: Duration::ZERO,
            ended: length * MILLI,
        });
    }
    results.intervals = seconds.take(elapsed, second);
    results
}
