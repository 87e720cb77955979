//! Whether a CPU quota held this process and its children back: it may run in a container that has
//! less than a core.

use std::fs;
use std::path::PathBuf;

use crate::cgroup;

/// How often a control group with a quota was looked at, and how often it had used the quota up
/// before the period was over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Throttled {
    /// Periods that have passed.
    pub periods: u64,
    /// Periods in which it was held back.
    pub throttled: u64,
}

/// What each control group of this process has counted so far, from its own up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted(Vec<Throttled>);

impl Counted {
    /// Until now. Nothing where there are no such groups.
    pub fn so_far() -> Self {
        let stat = |group: &PathBuf| fs::read_to_string(group.join("cpu.stat")).unwrap_or_default();
        Self(cgroup::folders("cpu").iter().map(|group| Throttled::parse(&stat(group))).collect())
    }

    /// What the group that was held back most has counted since.
    pub fn since(&self, before: &Self) -> Throttled {
        let each = self.0.iter().zip(&before.0).map(|(now, before)| Throttled {
            periods: now.periods.saturating_sub(before.periods),
            throttled: now.throttled.saturating_sub(before.throttled),
        });
        each.max_by_key(|since| since.throttled).unwrap_or_default()
    }
}

impl Throttled {
    fn parse(stat: &str) -> Self {
        let of = |name: &str| {
            let line = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
        };
        Self { periods: of("nr_periods"), throttled: of("nr_throttled") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_from_what_the_kernel_writes() {
        let stat = "usage_usec 7\nnr_periods 42\nnr_throttled 38\nthrottled_usec 99\n";
        let now = Throttled::parse(stat);
        assert_eq!(now, Throttled { periods: 42, throttled: 38 });
        let before = Counted(vec![Throttled { periods: 2, throttled: 8 }; 2]);
        let after = Counted(vec![Throttled { periods: 9, throttled: 9 }, now]);
        assert_eq!(after.since(&before), Throttled { periods: 40, throttled: 30 });
        assert_eq!(Throttled::parse("usage_usec 7\n"), Throttled::default());
    }
}
