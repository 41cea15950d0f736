//! Control groups (version 2): where a directory was delegated to this user, a job's tree gets a group of its own,
//! which the kernel ends as a whole (`cgroup.kill`, Linux 5.14).

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use homing_core::JobId;

/// Names a delegated directory explicitly, or with `off` none at all.
pub const CGROUP_VARIABLE: &str = "HOMING_CGROUP";

const PREFIX: &str = "homing-";

/// Longest path that is used: it has to fit the record.
const MAX_PATH_BYTES: usize = 400;

/// The control group of one job.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes the group of a job, where the system lets us; `None` where it does not, which is no error.
    pub fn create(id: JobId) -> Option<Cgroup> {
        let path = delegated_directory()?.join(format!("{PREFIX}{id}"));
        if path.as_os_str().len() > MAX_PATH_BYTES {
            return None;
        }
        fs::create_dir(&path).ok()?;
        let group = Cgroup { path };
        if group.path.join("cgroup.kill").exists() {
            Some(group)
        } else {
            group.remove();
            None
        }
    }

    /// The group of a job as its record names it, if it still exists.
    pub fn existing(path: &str, id: JobId) -> Option<Cgroup> {
        let path = PathBuf::from(path);
        let is_ours = path.file_name().is_some_and(|name| name == format!("{PREFIX}{id}").as_str());
        (is_ours && path.join("cgroup.kill").exists()).then_some(Cgroup { path })
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves a process into it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn add(&self, pid: u32) -> io::Result<()> {
        fs::write(self.path.join("cgroup.procs"), pid.to_string())
    }

    /// Sends SIGKILL to every process in it and below it, at once.
    pub fn kill(&self) {
        // Should the kernel refuse, the sweep through the tree that follows does the same more slowly.
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
    }

    /// Whether a process is in it or below it (cgroup.events, cgroups(7)).
    pub fn is_populated(&self) -> bool {
        fs::read_to_string(self.path.join("cgroup.events")).is_ok_and(|events| events.contains("populated 1"))
    }

    /// Removes it, once it is empty. The kernel counts a process as a member until it is reaped.
    pub fn remove(&self) {
        let _ = fs::remove_dir(&self.path);
    }
}

/// The directory in which groups may be made: the one named by `HOMING_CGROUP`, or our own where it was delegated.
pub fn delegated_directory() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(CGROUP_VARIABLE) {
        let path = PathBuf::from(named);
        return (path.is_absolute() && path.join("cgroup.procs").exists()).then_some(path);
    }
    // Everything belongs to the superuser, so that says nothing; it names a directory where it wants groups.
    if rustix::process::geteuid().is_root() {
        return None;
    }
    let mut own = own_directory()?;
    // Launched from inside a job: its group is ended with it, ours must not be.
    while own.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX)) {
        own.pop();
    }
    is_delegated(&own).then_some(own)
}

/// Moves this process out of the control group of a job that it was started from: that group is ended with the job,
/// and this process belongs to another.
pub fn leave_foreign_job() {
    let Some(mut directory) = own_directory() else { return };
    let is_of_a_job = |directory: &Path| {
        directory.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX))
    };
    if !is_of_a_job(&directory) {
        return;
    }
    while is_of_a_job(&directory) {
        directory.pop();
    }
    // Should the kernel refuse, we end with that job, and whoever syncs next reports ours as lost.
    let _ = fs::write(directory.join("cgroup.procs"), std::process::id().to_string());
}

/// Where this process is in the unified hierarchy (cgroups(7)).
fn own_directory() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .into_iter()
        .map(|root| Path::new(root).join(own))
        .find(|path| path.join("cgroup.procs").exists())
}

/// Whether it was given to this user to make groups in: it belongs to the user, and so does the list of its processes.
fn is_delegated(path: &Path) -> bool {
    let user = rustix::process::geteuid();
    let owned = |path: &Path| fs::metadata(path).is_ok_and(|metadata| metadata.uid() == user.as_raw());
    owned(path) && owned(&path.join("cgroup.procs"))
}
