//! Which cores the server may use and which the generator, so that neither takes the other's time.

use std::marker::PhantomData;

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The thread that asks, as the system calls name it.
const THIS_THREAD: Pid = Pid::from_raw(0);

/// Cores by their numbers: disjoint, and none of them empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pins {
    /// Where the server and all that it starts runs.
    pub server: Vec<usize>,
    /// Where the generator's threads run.
    pub generator: Vec<usize>,
    /// All that this process may use.
    all: Vec<usize>,
}

impl Pins {
    /// Divides the cores of this process: one for each of the generator's threads, though never
    /// more than half of them, and the rest for the server. `None` where there is only one, or the
    /// system does not say.
    pub fn divide(generator_threads: usize) -> Option<Self> {
        let all = allowed().ok()?;
        if all.len() < 2 {
            return None;
        }
        let (server, generator) = all.split_at(all.len() - generator_threads.clamp(1, all.len() / 2));
        Some(Self { server: server.to_vec(), generator: generator.to_vec(), all: all.clone() })
    }

    /// From now on this thread, and what it starts, runs on the generator's cores, or on all of
    /// them.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn apply(&self, pinned: bool) -> Result<()> {
        run_on(if pinned { &self.generator } else { &self.all })
    }

    /// The cores for a server: its own, or all.
    pub fn of_server(&self, pinned: bool) -> &[usize] {
        if pinned { &self.server } else { &self.all }
    }
}

/// The cores that this thread may use.
///
/// # Errors
/// If the system does not say.
fn allowed() -> Result<Vec<usize>> {
    let set = sched_getaffinity(THIS_THREAD).context("cannot ask which cores may be used")?;
    Ok((0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false)).collect())
}

/// While this lives, the thread that has made it, and all that it starts, runs on one core.
#[derive(Debug)]
pub struct OnOne {
    before: Vec<usize>,
    /// The cores are those of the thread: it must not be dropped in another.
    _stays: PhantomData<*const ()>,
}

impl OnOne {
    /// On the first of the cores that this thread may use.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn begin() -> Result<Self> {
        let before = allowed()?;
        run_on(before.get(..1).context("no core may be used")?)?;
        Ok(Self { before, _stays: PhantomData })
    }
}

impl Drop for OnOne {
    fn drop(&mut self) {
        // They were allowed before.
        let _ = run_on(&self.before);
    }
}

/// From now on this thread, and all that it starts, runs on these cores only.
///
/// # Errors
/// If the system refuses, for one because there is no such core.
pub fn run_on(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core).with_context(|| format!("there is no core {core}"))?;
    }
    sched_setaffinity(THIS_THREAD, &set).with_context(|| format!("cannot run on cores {cores:?}"))
}

/// Reads core numbers, separated by commas.
///
/// # Errors
/// A line that says what the option takes.
pub fn parse_cores(text: &str) -> Result<Vec<usize>, String> {
    let cores: Result<Vec<usize>, _> = text.split(',').map(str::parse).collect();
    cores.map_err(|_| "takes core numbers, separated by commas".to_owned())
}

/// Core numbers as an option takes them.
pub fn list(cores: &[usize]) -> String {
    cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cores_are_divided_without_rest_and_without_overlap() {
        let Some(pins) = Pins::divide(1) else { return };
        assert_eq!(pins.generator.len(), 1);
        let together: Vec<usize> = pins.server.iter().chain(&pins.generator).copied().collect();
        assert_eq!(together, pins.all);
        let greedy = Pins::divide(usize::MAX).unwrap();
        assert!(!greedy.server.is_empty() && greedy.server.len() >= greedy.generator.len());
    }

    #[test]
    fn on_one_core_is_also_what_is_started_there_and_afterwards_all_are_back() {
        let before = allowed().unwrap();
        let on_one = OnOne::begin().unwrap();
        assert_eq!(std::thread::spawn(|| allowed().unwrap()).join().unwrap(), before[..1]);
        drop(on_one);
        assert_eq!(allowed().unwrap(), before);
    }

    #[test]
    fn core_numbers_are_read_as_they_are_written() {
        assert_eq!(parse_cores(&list(&[0, 3])), Ok(vec![0, 3]));
        assert!(parse_cores("0,x").is_err());
    }
}
