//! Random processes of the server stand still for a moment; nothing is lost.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use tests::Random;

use super::load::{Crowd, Load};
use super::{Length, Weather, start, stop};
use crate::subject::Subject;

/// The longest that a process stands still, and runs, in milliseconds.
const MOST_MILLIS: usize = 150;

pub(super) fn storm(subject: &Subject, length: Length<'_>, random: &mut Random) -> Result<Weather> {
    let mut server = start(subject, &["--idle-timeout=0s"])?;
    let address = server.address().context("it listens nowhere")?;
    let crowd = Crowd { passing: 4, staying: 4, may_be_lost: false };
    let mut freezes = 0;
    let mut weather = Load::around(crowd, address, random.draw(), || {
        let is_over = length.begin();
        while !is_over() && server.ended().is_none() {
            let processes = server.processes();
            let chosen = processes[random.up_to(processes.len()) - 1];
            if kill(chosen, Signal::SIGSTOP).is_ok() {
                thread::sleep(Duration::from_millis(random.up_to(MOST_MILLIS) as u64));
                let _ = kill(chosen, Signal::SIGCONT);
                freezes += 1;
            }
            thread::sleep(Duration::from_millis(random.up_to(MOST_MILLIS) as u64));
        }
        Ok(())
    })?;
    stop(&mut server, &mut weather);
    weather.events = freezes;
    weather.figure = "freezes, nothing lost".to_owned();
    Ok(weather)
}
