//! The number of processes and threads that may be there sinks below what is there and rises again,
//! and workers are killed meanwhile: who cannot be replaced at once is replaced later.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::unistd::{Pid, getpid};
use tests::Random;

use super::kills::{kill_one, shapes};
use super::load::{Crowd, Load};
use super::{Length, Weather, check_log, check_places, start, stop};
use crate::subject::Subject;

/// The longest that a limit stays, in milliseconds.
const MOST_MILLIS: usize = 300;

/// A control group with a limit on the number of its processes and threads (cgroups(7)).
pub(super) struct Group(PathBuf);

impl Group {
    /// # Errors
    /// Who is not root has none, nor has a system whose control groups do not count processes.
    pub(super) fn new() -> Result<Self> {
        // In version 1 each controller has a hierarchy of its own.
        let roots = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].map(PathBuf::from);
        let root = roots.into_iter().find(|root| root.join("cgroup.procs").exists());
        let root = root.context("there are no control groups")?;
        let group = Self(root.join(format!("shout-storm-{}", getpid())));
        fs::create_dir(&group.0).context("only root can limit the number of processes")?;
        // In version 2 they count only what is asked for.
        let _ = fs::write(root.join("cgroup.subtree_control"), "+pids");
        group.limit(None).context("control groups do not count processes here")?;
        Ok(group)
    }

    fn take(&self, processes: &[Pid]) {
        for pid in processes {
            // One that has just ended is in none.
            let _ = fs::write(self.0.join("cgroup.procs"), pid.to_string());
        }
    }

    fn count(&self) -> Result<usize> {
        Ok(fs::read_to_string(self.0.join("pids.current"))?.trim().parse()?)
    }

    fn limit(&self, most: Option<usize>) -> Result<()> {
        let most = most.map_or_else(|| "max".to_owned(), |most| most.to_string());
        Ok(fs::write(self.0.join("pids.max"), most)?)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The kernel lets go of what has ended in it a moment later.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

pub(super) fn storm(subject: &Subject, length: Length<'_>, random: &mut Random) -> Result<Weather> {
    let group = Group::new()?;
    let (places, options) = shapes(subject).pop().context("every server has a shape")?;
    let options: Vec<&str> = options.iter().map(String::as_str).chain(["--idle-timeout=0s"]).collect();
    let mut server = start(&subject.alone(), &options)?;
    let address = server.address().context("it listens nowhere")?;
    server.rest();
    group.take(&server.processes());
    let crowd = Crowd { passing: places + 2, staying: 2, may_be_lost: true };
    let (mut limits, mut kills) = (0, 0);
    let mut weather = Load::around(crowd, address, random.draw(), || {
        let is_over = length.begin();
        while !is_over() && server.ended().is_none() {
            // From four fewer than there are to two more.
            group.limit(Some((group.count()? + random.up_to(7)).saturating_sub(5)))?;
            limits += 1;
            if random.up_to(3) == 1 {
                kills += u64::from(kill_one(&server.workers(), random));
            }
            thread::sleep(Duration::from_millis(random.up_to(MOST_MILLIS) as u64));
        }
        group.limit(None)
    })?;
    check_places(&server, places, &mut weather)?;
    check_log(&server, &mut weather);
    stop(&mut server, &mut weather);
    weather.events = limits;
    weather.figure = format!("limits, {kills} kills; then exactly {places} places");
    Ok(weather)
}
