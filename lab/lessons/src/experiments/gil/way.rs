//! The ways to do it: the course's two kinds of work, each by all who can do it, on all processors
//! and on one.

use clap::ValueEnum;

use crate::experiments::name;

/// The work, who does it, and where.
#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Way {
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
    /// Threads of a Python without the lock compute
    ComputeFreePython,
    /// Threads compute under the lock, on one processor
    ComputeGilOnOne,
    /// Threads compute on one processor
    ComputeThreadsOnOne,
    /// Processes compute on one processor
    ComputeProcessesOnOne,
    /// Python's threads compute on one processor
    ComputePythonThreadsOnOne,
    /// Python's processes compute on one processor
    ComputePythonProcessesOnOne,
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
    /// Threads of a Python without the lock wait
    WaitFreePython,
    /// Threads wait on one processor, and give the lock away meanwhile
    WaitGilOnOne,
    /// Threads wait on one processor
    WaitThreadsOnOne,
    /// Processes wait on one processor
    WaitProcessesOnOne,
    /// Python's threads wait on one processor
    WaitPythonThreadsOnOne,
    /// Python's processes wait on one processor
    WaitPythonProcessesOnOne,
}

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Who {
    One,
    Gil,
    Threads,
    Processes,
    PythonThreads,
    PythonProcesses,
    FreePython,
}

impl Way {
    pub(crate) fn computes(self) -> bool {
        name(self).starts_with("compute")
    }

    /// Whether all is done on one processor.
    pub(crate) fn is_on_one(self) -> bool {
        name(self).ends_with("-on-one")
    }

    pub(crate) fn who(self) -> Who {
        match self {
            Self::ComputeOne | Self::WaitOne => Who::One,
            Self::ComputeGil | Self::ComputeGilOnOne | Self::WaitGil | Self::WaitGilOnOne => Who::Gil,
            Self::ComputeThreads | Self::ComputeThreadsOnOne | Self::WaitThreads | Self::WaitThreadsOnOne => {
                Who::Threads
            }
            Self::ComputeProcesses
            | Self::ComputeProcessesOnOne
            | Self::WaitProcesses
            | Self::WaitProcessesOnOne => Who::Processes,
            Self::ComputePythonThreads
            | Self::ComputePythonThreadsOnOne
            | Self::WaitPythonThreads
            | Self::WaitPythonThreadsOnOne => Who::PythonThreads,
            Self::ComputePythonProcesses
            | Self::ComputePythonProcessesOnOne
            | Self::WaitPythonProcesses
            | Self::WaitPythonProcessesOnOne => Who::PythonProcesses,
            Self::ComputeFreePython | Self::WaitFreePython => Who::FreePython,
        }
    }
}

impl Who {
    /// In the order of the table: those that the course compares stand one below the other.
    pub(super) const ALL: [Self; 7] = [
        Self::One,
        Self::Processes,
        Self::Gil,
        Self::Threads,
        Self::PythonProcesses,
        Self::PythonThreads,
        Self::FreePython,
    ];

    pub(super) fn is_python(self) -> bool {
        matches!(self, Self::PythonThreads | Self::PythonProcesses | Self::FreePython)
    }
}
