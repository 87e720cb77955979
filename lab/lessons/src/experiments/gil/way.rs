//! The ways to do it: the course's two kinds of work, each by all who can do it.

use clap::ValueEnum;

use crate::experiments::name;

/// The work, and who does it.
#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum Way {
    /// One thread computes everything
    ComputeOne,
    /// Threads compute under the lock
    ComputeGil,
    /// Threads compute
    ComputeThreads,
    /// Processes compute
    ComputeProcesses,
    /// Python's threads compute
    ComputePythonThreads,
    /// Python's processes compute
    ComputePythonProcesses,
    /// One thread waits for everything
    WaitOne,
    /// Threads wait, and give the lock away meanwhile
    WaitGil,
    /// Threads wait
    WaitThreads,
    /// Processes wait
    WaitProcesses,
    /// Python's threads wait
    WaitPythonThreads,
    /// Python's processes wait
    WaitPythonProcesses,
}

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Who {
    One,
    Gil,
    Threads,
    Processes,
    PythonThreads,
    PythonProcesses,
}

impl Way {
    pub(super) fn computes(self) -> bool {
        name(self).starts_with("compute")
    }

    pub(super) fn who(self) -> Who {
        match self {
            Self::ComputeOne | Self::WaitOne => Who::One,
            Self::ComputeGil | Self::WaitGil => Who::Gil,
            Self::ComputeThreads | Self::WaitThreads => Who::Threads,
            Self::ComputeProcesses | Self::WaitProcesses => Who::Processes,
            Self::ComputePythonThreads | Self::WaitPythonThreads => Who::PythonThreads,
            Self::ComputePythonProcesses | Self::WaitPythonProcesses => Who::PythonProcesses,
        }
    }
}

impl Who {
    pub(super) const ALL: [Self; 6] =
        [Self::One, Self::Gil, Self::Threads, Self::Processes, Self::PythonThreads, Self::PythonProcesses];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::One => "one thread",
            Self::Gil => "threads under the lock",
            Self::Threads => "threads",
            Self::Processes => "processes",
            Self::PythonThreads => "python's threads",
            Self::PythonProcesses => "python's processes",
        }
    }

    pub(super) fn is_python(self) -> bool {
        matches!(self, Self::PythonThreads | Self::PythonProcesses)
    }
}
