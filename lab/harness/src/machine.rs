//! Where the figures were measured: without it they mean nothing to anybody else.

use std::fs;
use std::path::Path;
use std::thread;

use nix::sys::resource::{Resource, getrlimit};
use procfs::{CpuInfo, Current};
use serde::{Deserialize, Serialize};

/// Kernel settings that change what is measured, by their names in sysctl(8).
const SYSCTLS: [&str; 9] = [
    "net.core.somaxconn",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.ip_local_port_range",
    "kernel.threads-max",
    "kernel.pid_max",
    "vm.overcommit_memory",
];

/// Other files that say how the machine is set up: what they are called here, and where they are.
const FILES: [(&str, &str); 4] = [
    ("CPU frequency governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
    ("simultaneous multithreading", "/sys/devices/system/cpu/smt/control"),
    ("transparent huge pages", "/sys/kernel/mm/transparent_hugepage/enabled"),
    ("clock source", "/sys/devices/system/clocksource/clocksource0/current_clocksource"),
];

/// One file for each weakness of the processor, with what the kernel does about it.
const VULNERABILITIES: &str = "/sys/devices/system/cpu/vulnerabilities";

/// The machine, as far as it matters for the figures.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// The processor's name; empty if the kernel does not say.
    pub processor: String,
    /// The kernel's release; empty if unknown.
    pub kernel: String,
    /// The system's name; empty if unknown.
    #[serde(default)]
    pub system: String,
    /// Memory, in bytes; 0 if unknown.
    #[serde(default)]
    pub memory_bytes: u64,
    /// Processes that wanted a core, on average over the minute before the comparison: what others
    /// did to it.
    #[serde(default)]
    pub load_average: f64,
    /// Kernel settings that matter, and their values.
    #[serde(default)]
    pub settings: Vec<(String, String)>,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let processor = CpuInfo::current().ok().and_then(|info| info.model_name(0).map(str::to_owned));
        Self {
            cores: thread::available_parallelism().map_or(1, usize::from),
            processor: processor.unwrap_or_default(),
            kernel: line("/proc/sys/kernel/osrelease").unwrap_or_default(),
            system: system().unwrap_or_default(),
            memory_bytes: procfs::Meminfo::current().map_or(0, |memory| memory.mem_total),
            load_average: procfs::LoadAverage::current().map_or(0.0, |load| f64::from(load.one)),
            settings: settings(),
        }
    }
}

/// Whatever can be read; what this machine does not have is left out.
fn settings() -> Vec<(String, String)> {
    let sysctls = SYSCTLS.iter().filter_map(|name| {
        let value = line(format!("/proc/sys/{}", name.replace('.', "/")))?;
        Some(((*name).to_owned(), value))
    });
    let files = FILES.iter().filter_map(|(name, path)| Some(((*name).to_owned(), line(path)?)));
    let descriptors = getrlimit(Resource::RLIMIT_NOFILE)
        .ok()
        .map(|(soft, hard)| ("open descriptors (soft, hard)".to_owned(), format!("{soft}, {hard}")));
    let mitigations = mitigations().map(|value| ("mitigations".to_owned(), value));
    sysctls.chain(files).chain(descriptors).chain(mitigations).collect()
}

/// What the kernel does about the processor's weaknesses; each such measure makes system calls
/// dearer.
fn mitigations() -> Option<String> {
    let mut active = Vec::new();
    for entry in fs::read_dir(VULNERABILITIES).ok()?.flatten() {
        let state = line(entry.path()).unwrap_or_default();
        if !state.starts_with("Not affected") {
            let state = state.strip_prefix("Mitigation: ").unwrap_or(&state).to_owned();
            active.push(format!("{}: {state}", entry.file_name().to_string_lossy()));
        }
    }
    active.sort();
    Some(if active.is_empty() { "none needed".to_owned() } else { active.join("; ") })
}

fn system() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}

/// The first line of a file, without the space around it.
fn line(path: impl AsRef<Path>) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let words: Vec<&str> = text.lines().next()?.split_whitespace().collect();
    Some(words.join(" "))
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plural = if self.cores == 1 { "" } else { "s" };
        write!(f, "{} core{plural}", self.cores)?;
        if !self.processor.is_empty() {
            write!(f, " ({})", self.processor)?;
        }
        if !self.kernel.is_empty() {
            write!(f, ", Linux {}", self.kernel)?;
        }
        Ok(())
    }
}
