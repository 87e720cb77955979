//! Clients that come and go, and some that stay, while something happens to their server.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use tests::Random;

use super::{DEADLINE, Weather};
use crate::client::{Client, Said};

/// How many failures are told of one storm.
const MOST_FAILURES: usize = 5;

/// How long one who stays is silent between two questions, at the most.
const THINKING_MILLIS: usize = 30;

/// What the clients of one storm saw.
#[derive(Debug, Default)]
pub(super) struct Load {
    over: AtomicBool,
    served: AtomicU64,
    lost: AtomicU64,
    bytes: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// How many clients, and what may happen to them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crowd {
    /// Those that ask once and leave, again and again.
    pub(super) passing: usize,
    /// Those that stay for some fifty questions.
    pub(super) staying: usize,
    /// Whether a conversation may end early.
    pub(super) may_be_lost: bool,
}

impl Crowd {
    /// How long nothing may come. A worker that keeps being killed has its successor up to 5 s
    /// later, and if it is the only one, five clients wait for a life each.
    fn patience(self) -> Duration {
        if self.may_be_lost { 3 * DEADLINE } else { DEADLINE }
    }
}

impl Load {
    /// Lets the crowd talk while `weather` happens, and counts.
    pub(super) fn around(
        crowd: Crowd,
        address: SocketAddr,
        seed: u64,
        happen: impl FnOnce() -> Result<()>,
    ) -> Result<Weather> {
        let load = Self::default();
        let happened = thread::scope(|scope| {
            for number in 0..crowd.passing + crowd.staying {
                let questions = if number < crowd.passing { 1 } else { 50 };
                let load = &load;
                scope.spawn(move || load.talk(crowd, address, seed.wrapping_add(number as u64), questions));
            }
            let happened = happen();
            load.over.store(true, Ordering::Relaxed);
            happened
        });
        happened?;
        Ok(Weather {
            served: load.served.into_inner(),
            lost: load.lost.into_inner(),
            bytes: load.bytes.into_inner(),
            failures: load.failures.into_inner().unwrap_or_else(PoisonError::into_inner),
            ..Weather::default()
        })
    }

    fn talk(&self, crowd: Crowd, address: SocketAddr, seed: u64, questions: usize) {
        let mut random = Random::new(seed);
        while !self.over.load(Ordering::Relaxed) {
            let said = match Client::connect(address, random.draw(), crowd.patience()) {
                Ok(mut client) => {
                    let said = self.converse(&mut client, questions, &mut random);
                    self.bytes.fetch_add(client.checked, Ordering::Relaxed);
                    said
                }
                Err(said) => said,
            };
            match said {
                Said::Served => self.served.fetch_add(1, Ordering::Relaxed),
                Said::Lost(_) if crowd.may_be_lost => self.lost.fetch_add(1, Ordering::Relaxed),
                said => {
                    let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
                    if failures.len() < MOST_FAILURES {
                        failures.push(format!("a conversation: {said}"));
                    }
                    // Who finds nobody must not try a million times.
                    thread::sleep(Duration::from_millis(100));
                    0
                }
            };
        }
    }

    fn converse(&self, client: &mut Client, questions: usize, random: &mut Random) -> Said {
        for _ in 0..questions {
            let said = client.ask(random.up_to(20_000));
            if said != Said::Served {
                return said;
            }
            if self.over.load(Ordering::Relaxed) {
                break;
            }
            if questions > 1 {
                thread::sleep(Duration::from_millis(random.up_to(THINKING_MILLIS) as u64));
            }
        }
        client.finish()
    }
}

/// Adds what another part of the same storm found.
pub(super) fn add(weather: &mut Weather, more: Weather) {
    weather.events += more.events;
    weather.served += more.served;
    weather.lost += more.lost;
    weather.bytes += more.bytes;
    weather.failures.extend(more.failures);
}
