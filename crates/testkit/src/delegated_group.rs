//! A control group (version 2) for one test, in which each job gets its own group. On drop, it checks that no group
//! of a job remains.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long the removal of groups may take.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(10);

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A directory that is delegated to the jobs of one test: pass its path as `HOMING_CGROUP`.
#[derive(Debug)]
pub struct DelegatedGroup {
    path: PathBuf,
}

impl DelegatedGroup {
    /// Creates one: for root anywhere, for other users in a delegated group, such as a systemd scope with
    /// `Delegate=yes`. `None` if the system has no usable control groups of version 2.
    pub fn make() -> Option<DelegatedGroup> {
        let parent = parent()?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("test-homing-{}-{number}", std::process::id()));
        fs::create_dir(&path).ok()?;
        let group = DelegatedGroup { path };
        group.path.join("cgroup.kill").exists().then_some(group)
    }

    /// Returns its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns its directory as the value of an environment variable.
    pub fn value(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    /// Returns the names of the groups in it.
    pub fn groups(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().filter_map(Result::ok);
        entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }
}

fn parent() -> Option<PathBuf> {
    let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
    if rustix::process::geteuid().is_root() {
        return roots.into_iter().find(|root| root.join("cgroup.procs").exists()).map(Path::to_owned);
    }
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let user = rustix::process::geteuid().as_raw();
    roots
        .into_iter()
        .map(|root| root.join(own))
        .find(|path| fs::metadata(path.join("cgroup.procs")).is_ok_and(|file| file.uid() == user))
}

impl Drop for DelegatedGroup {
    fn drop(&mut self) {
        let give_up_at =
            Instant::now() + if std::thread::panicking() { Duration::ZERO } else { REMOVAL_TIMEOUT };
        while !self.groups().is_empty() && Instant::now() < give_up_at {
            std::thread::sleep(Duration::from_millis(5));
        }
        let left_behind = self.groups();
        for name in &left_behind {
            let _ = fs::remove_dir(self.path.join(name));
        }
        let _ = fs::remove_dir(&self.path);
        assert!(
            left_behind.is_empty() || std::thread::panicking(),
            "these control groups were left behind: {left_behind:#?}"
        );
    }
}
