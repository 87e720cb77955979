//! The control groups of this process (cgroups(7)), of version 2 and 1.

use std::fs;
use std::path::PathBuf;

/// Where they are mounted.
const ROOT: &str = "/sys/fs/cgroup";

/// The folders of the group that `controller` bounds this process by, and of all above it, each
/// before the one above. None where there are no such groups.
pub fn folders(controller: &str) -> Vec<PathBuf> {
    folders_of(&fs::read_to_string("/proc/self/cgroup").unwrap_or_default(), controller)
}

/// Each line is a hierarchy's number, its controllers, and the path of this process's group in it.
fn folders_of(groups: &str, controller: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for group in groups.lines() {
        let mut parts = group.splitn(3, ':');
        let (Some(hierarchy), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let root = match (controllers.split(',').any(|name| name == controller), hierarchy) {
            (true, _) => PathBuf::from(ROOT).join(controller),
            (false, "0") => PathBuf::from(ROOT),
            (false, _) => continue,
        };
        let own = root.join(path.trim_matches('/'));
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
        let both = "12:cpu,cpuacct:/x\n0::/a/b\n";
        let found = folders_of(both, "memory");
        assert_eq!(found, ["/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a", "/sys/fs/cgroup"].map(PathBuf::from));
        assert!(folders_of("12:cpu,cpuacct:/x", "memory").is_empty());
        let found = folders_of("12:cpu,cpuacct:/x", "cpu");
        assert_eq!(found, ["/sys/fs/cgroup/cpu/x", "/sys/fs/cgroup/cpu"].map(PathBuf::from));
        assert!(folders_of("nonsense\n", "cpu").is_empty());
    }
}
