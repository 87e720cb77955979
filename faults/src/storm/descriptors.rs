//! The limit on descriptors sinks below what is open and rises again, in random processes of the
//! server; it waits, and goes on.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::unistd::Pid;
use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
use tests::Random;

use super::load::{self, Crowd, Load};
use super::{Length, Weather, check_log, start, stop};
use crate::subject::Subject;

/// The longest that descriptors lack, and are there, in milliseconds.
const MOST_MILLIS: usize = 300;

/// How many there are when they are given back.
const MANY: u64 = 1024;

/// CPU time that a server without descriptors may use in a second of lack, when nobody is served.
const MOST_CPU: Duration = Duration::from_millis(250);

pub(super) fn storm(subject: &Subject, length: Length<'_>, random: &mut Random) -> Result<Weather> {
    let mut server = start(subject, &["--idle-timeout=0s", "--max-connections=100"])?;
    let address = server.address().context("it listens nowhere")?;
    // That of the servers, too: they have it from this process.
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = |pids: &[Pid], soft| {
        for pid in pids {
            // One that has just ended has no limit.
            let pid = rustix::process::Pid::from_raw(pid.as_raw());
            let _ = prlimit(pid, Resource::Nofile, Rlimit { current: Some(soft), maximum });
        }
    };
    let crowd = Crowd { passing: 6, staying: 4, may_be_lost: true };
    let mut lacks = 0;
    let mut weather = Load::around(crowd, address, random.draw(), || {
        let is_over = Length { time: length.time.mul_f64(0.8), ..length }.begin();
        while !is_over() && server.ended().is_none() {
            let all = server.processes();
            let some: Vec<_> = all.iter().copied().filter(|_| random.draw().is_multiple_of(2)).collect();
            limit(&some, random.up_to(20) as u64);
            thread::sleep(Duration::from_millis(random.up_to(MOST_MILLIS) as u64));
            limit(&server.processes(), MANY);
            lacks += 1;
            thread::sleep(Duration::from_millis(random.up_to(MOST_MILLIS) as u64));
        }
        Ok(())
    })?;
    // None at all, and nobody who is served: it may not be busy.
    limit(&server.processes(), 3);
    let waiting: Vec<_> = (0..3).filter_map(|_| std::net::TcpStream::connect(address).ok()).collect();
    thread::sleep(Duration::from_millis(200));
    let before = server.cpu_time();
    thread::sleep(Duration::from_secs(1));
    let used = server.cpu_time().saturating_sub(before);
    if used > MOST_CPU {
        weather.failures.push(format!("{used:?} of CPU time in a second without descriptors"));
    }
    drop(waiting);
    limit(&server.processes(), MANY);
    // Given back: everybody is served, and nobody is lost.
    let crowd = Crowd { passing: 4, staying: 1, may_be_lost: false };
    thread::sleep(Duration::from_millis(500));
    let after = Load::around(crowd, address, random.draw(), || {
        thread::sleep(Duration::from_secs(1));
        Ok(())
    })?;
    load::add(&mut weather, after);
    check_log(&server, &mut weather);
    stop(&mut server, &mut weather);
    weather.events = lacks;
    weather.figure = format!("lacks; {used:.0?} of CPU time in one of a second");
    Ok(weather)
}
