//! Random worker processes are killed; afterwards exactly as many conversations as promised can be
//! served.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::models::Model;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::Random;

use super::load::{self, Crowd, Load};
use super::{Length, Weather, check_places, start, stop};
use crate::subject::Subject;

const INTERVAL: Duration = Duration::from_millis(50);

/// Places, and what else the server is told: also fewer places than loops.
pub(super) fn shapes(subject: &Subject) -> Vec<(usize, Vec<String>)> {
    let of = |places: usize, options: &[String]| (places, options.to_vec());
    match subject.model() {
        Some(Model::Iterative) => vec![(1, Vec::new())],
        Some(Model::Prefork | Model::Pool) => {
            [1, 3, 8].iter().map(|&n| of(n, &[format!("--workers={n}")])).collect()
        }
        Some(Model::Hybrid) => [(1, 2, 2), (3, 4, 2), (5, 2, 1), (16, 2, 3)]
            .iter()
            .map(|(n, processes, threads)| {
                of(
                    *n,
                    &[
                        format!("--max-connections={n}"),
                        format!("--processes={processes}"),
                        format!("--threads={threads}"),
                    ],
                )
            })
            .collect(),
        _ => [1, 4, 12].iter().map(|&n| of(n, &[format!("--max-connections={n}")])).collect(),
    }
}

/// Kills a random one of them, if there are any. Whether one was there.
pub(super) fn kill_one(workers: &[Pid], random: &mut Random) -> bool {
    !workers.is_empty() && kill(workers[random.up_to(workers.len()) - 1], Signal::SIGKILL).is_ok()
}

pub(super) fn storm(subject: &Subject, length: Length<'_>, random: &mut Random) -> Result<Weather> {
    let mut weather = Weather::default();
    let shapes = shapes(subject);
    let words: Vec<_> = shapes.iter().map(|(places, _)| places.to_string()).collect();
    let each = Length { time: length.time / u32::try_from(shapes.len())?, ..length };
    for (places, options) in &shapes {
        let options: Vec<&str> = options.iter().map(String::as_str).chain(["--idle-timeout=0s"]).collect();
        let mut server = start(&subject.alone(), &options)?;
        let address = server.address().context("it listens nowhere")?;
        let crowd = Crowd { passing: places + 2, staying: 2, may_be_lost: true };
        let mut kills = 0;
        let found = Load::around(crowd, address, random.draw(), || {
            let is_over = each.begin();
            while !is_over() && server.ended().is_none() {
                kills += u64::from(kill_one(&server.workers(), random));
                thread::sleep(INTERVAL);
            }
            Ok(())
        })?;
        let failed = weather.failures.len();
        load::add(&mut weather, found);
        check_places(&server, *places, &mut weather)?;
        stop(&mut server, &mut weather);
        if weather.failures.len() == failed {
            weather.events += kills;
        }
        weather.failures.iter_mut().filter(|failure| !failure.starts_with('[')).for_each(|failure| {
            *failure = format!("[{}] {failure}", options.join(" "));
        });
    }
    weather.figure = format!("kills; then exactly {} places", words.join(", "));
    Ok(weather)
}
