//! The control groups of this process (cgroups(7)), of version 2 and 1.

use std::path::PathBuf;

use procfs::ProcessCGroup;
use procfs::process::Process;

/// Where they are mounted.
const ROOT: &str = "/sys/fs/cgroup";

/// The folders of the group that `controller` bounds this process by, and of all above it, each
/// before the one above. None where there are no such groups.
pub fn folders(controller: &str) -> Vec<PathBuf> {
    let groups = Process::myself().and_then(|process| process.cgroups());
    folders_of(groups.into_iter().flatten(), controller)
}

fn folders_of(groups: impl Iterator<Item = ProcessCGroup>, controller: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for group in groups {
        let root = match (group.controllers.iter().any(|name| name == controller), group.hierarchy) {
            (true, _) => PathBuf::from(ROOT).join(controller),
            (false, 0) => PathBuf::from(ROOT),
            (false, _) => continue,
        };
        let own = root.join(group.pathname.trim_matches('/'));
        let above = own.ancestors().take_while(|folder| folder.starts_with(&root));
        folders.extend(above.map(ToOwned::to_owned));
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_groups_above_are_looked_at() {
        let group = |hierarchy, controllers: &[&str], path: &str| ProcessCGroup {
            hierarchy,
            controllers: controllers.iter().map(ToString::to_string).collect(),
            pathname: path.to_owned(),
        };
        let version_1 = || group(12, &["cpu"], "/x");
        let found = folders_of([version_1(), group(0, &[], "/a/b")].into_iter(), "memory");
        assert_eq!(found, ["/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a", "/sys/fs/cgroup"].map(PathBuf::from));
        assert!(folders_of([version_1()].into_iter(), "memory").is_empty());
        let found = folders_of([version_1()].into_iter(), "cpu");
        assert_eq!(found, ["/sys/fs/cgroup/cpu/x", "/sys/fs/cgroup/cpu"].map(PathBuf::from));
    }
}
