//! Control groups (version 2): where a directory was delegated to this user, a job's tree gets a group of its own,
//! which the kernel ends as a whole (`cgroup.kill`, Linux 5.14).

use std::fs;
use std::io::{self, Write};
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use homing_core::JobId;

use crate::platform::{clock, procfs, scope};

/// Names a delegated directory explicitly, or with `off` none at all.
pub const CGROUP_VARIABLE: &str = "HOMING_CGROUP";

/// What the names of our groups and scopes begin with.
pub(super) const PREFIX: &str = "homing-";

/// Longest path that is used: it has to fit the record.
const MAX_PATH_BYTES: usize = 400;

/// How long a removal waits for processes that are ending.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Between two attempts to remove a group.
const REMOVAL_PAUSE: Duration = Duration::from_millis(1);

/// How often a group is made again that another process has removed while it was still empty.
const CREATE_ATTEMPTS: usize = 3;

/// The control groups that this process is in, as they were when they were read.
#[derive(Clone, Debug, Default)]
pub struct OwnGroups {
    /// Lines as in `/proc/self/cgroup` (cgroups(7)); empty where the kernel does not show them.
    lines: String,
}

impl OwnGroups {
    /// Reads them.
    pub fn read() -> OwnGroups {
        OwnGroups { lines: procfs::own_cgroups().unwrap_or_default() }
    }

    /// The path in the hierarchy of this kind: `0::` is the unified one, `:name=systemd:` that of systemd in version 1.
    pub(super) fn path_in(&self, hierarchy: &str) -> Option<&str> {
        self.lines.lines().find_map(|line| line.split_once(hierarchy)).map(|(_, path)| path)
    }

    /// The directory of the unified hierarchy that this process is in.
    fn directory(&self) -> Option<PathBuf> {
        let own = self.lines.lines().find_map(|line| line.strip_prefix("0::/"))?;
        ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
            .into_iter()
            .map(|root| Path::new(root).join(own))
            .find(|path| path.join("cgroup.procs").exists())
    }
}

/// The control group of one job, as a path: it may not exist yet, or not any more.
#[derive(Clone, Debug)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// The group that a job will have, where the system lets us make one; `None` where it does not, which is no error.
    /// Nothing is made yet, so that its path can be recorded before it exists.
    pub fn planned(id: JobId, own: &OwnGroups) -> Option<Cgroup> {
        let path = delegated_directory(own)?.join(format!("{PREFIX}{id}"));
        (path.as_os_str().len() <= MAX_PATH_BYTES).then_some(Cgroup { path })
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

    /// Makes it, and moves a process into it.
    ///
    /// # Errors
    /// When the kernel refuses, or cannot end a group as a whole: then there is no group.
    pub fn create_for(&self, pid: u32) -> io::Result<CgroupGuard> {
        let mut attempt = 1;
        loop {
            fs::create_dir(&self.path).or_else(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Ok(()),
                _ => Err(error),
            })?;
            let group = CgroupGuard { group: self.clone() };
            match group.adopt(pid) {
                Ok(()) => return Ok(group),
                // Recovery in another process takes an empty group for one that was left behind.
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < CREATE_ATTEMPTS => {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn adopt(&self, pid: u32) -> io::Result<()> {
        fs::metadata(self.path.join("cgroup.kill"))?;
        // Not fs::write, which asks to make the file: EACCES then, and not ENOENT, where the group was removed.
        let mut members = fs::OpenOptions::new().write(true).open(self.path.join("cgroup.procs"))?;
        members.write_all(pid.to_string().as_bytes())
    }

    /// The processes in it and below it.
    pub fn members(&self) -> Vec<u32> {
        let mut members = Vec::new();
        let mut directories = vec![self.path.clone()];
        while let Some(directory) = directories.pop() {
            let list = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
            members.extend(list.lines().filter_map(|pid| pid.parse::<u32>().ok()));
            let parts = fs::read_dir(directory).into_iter().flatten().flatten();
            directories.extend(
                parts.filter(|part| part.file_type().is_ok_and(|kind| kind.is_dir())).map(|part| part.path()),
            );
        }
        members
    }

    /// Moves this process out of it, where it is in it: who recovers a lost job from inside must live to record its end.
    pub fn step_out(&self) {
        let is_inside = OwnGroups::read().directory().is_some_and(|own| own.starts_with(&self.path));
        if let Some(parent) = self.path.parent().filter(|_| is_inside) {
            // Should the kernel refuse, this process ends with the job, and another one records that.
            let _ = fs::write(parent.join("cgroup.procs"), std::process::id().to_string());
        }
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

    /// Removes it, and the groups that the job has made below it. Waits up to 1 s for processes that are ending; what
    /// still holds processes then stays, and [`remove_abandoned`] takes it later.
    pub fn remove(&self) {
        let give_up_at = clock::monotonic() + REMOVAL_TIMEOUT;
        while is_busy(&remove_with_parts(&self.path)) && clock::monotonic() < give_up_at {
            std::thread::sleep(REMOVAL_PAUSE);
        }
    }
}

fn is_busy(removed: &io::Result<()>) -> bool {
    removed.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy)
}

/// Removes a group from its leaves up: a group with groups below it is busy (cgroups(7)).
fn remove_with_parts(path: &Path) -> io::Result<()> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => return other,
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_with_parts(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}

/// The control group of a job that this process has made. Dropping it removes the group, on every path.
#[derive(Debug)]
pub struct CgroupGuard {
    group: Cgroup,
}

impl CgroupGuard {
    /// Leaves the group to the processes that were kept in it; [`remove_abandoned`] takes it once they have ended.
    pub fn leave(self) {
        std::mem::forget(self);
    }
}

impl Deref for CgroupGuard {
    type Target = Cgroup;

    fn deref(&self) -> &Cgroup {
        &self.group
    }
}

impl Drop for CgroupGuard {
    fn drop(&mut self) {
        self.group.remove();
    }
}

/// Removes the groups of jobs that were left behind empty in the directory that is delegated to this process: by a
/// supervisor that was killed, or by processes that were kept and have ended since.
pub fn remove_abandoned() {
    let entries = delegated_directory(&OwnGroups::read()).and_then(|directory| fs::read_dir(directory).ok());
    for entry in entries.into_iter().flatten().flatten() {
        if entry.file_name().to_str().and_then(job_of_group).is_some() {
            let group = Cgroup { path: entry.path() };
            if !group.is_populated() {
                let _ = remove_with_parts(&group.path);
            }
        }
    }
}

/// The job that a group of this name belongs to.
fn job_of_group(name: &str) -> Option<JobId> {
    name.strip_prefix(PREFIX)?.parse().ok()
}

fn is_group_of_a_job(directory: &Path) -> bool {
    directory.file_name().and_then(|name| name.to_str()).and_then(job_of_group).is_some()
}

/// The directory in which groups may be made: the one named by `HOMING_CGROUP`, or our own where it was delegated.
pub fn delegated_directory(own: &OwnGroups) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(CGROUP_VARIABLE) {
        let path = PathBuf::from(named);
        return (path.is_absolute() && path.join("cgroup.procs").exists()).then_some(path);
    }
    let mut own = own.directory()?;
    // Launched from inside a job: its group is ended with it, ours must not be.
    while is_group_of_a_job(&own) {
        own.pop();
    }
    if scope::is_own_scope(&own) {
        return Some(own);
    }
    // Everything belongs to the superuser, so that says nothing; it names a directory where it wants groups.
    if rustix::process::geteuid().is_root() {
        return None;
    }
    is_delegated(&own).then_some(own)
}

/// Moves this process out of the control group of a job that it was started from: that group is ended with the job,
/// and this process belongs to another. Returns the groups that it is in then.
pub fn leave_foreign_job() -> OwnGroups {
    let own = OwnGroups::read();
    let Some(mut directory) = own.directory().filter(|directory| is_group_of_a_job(directory)) else {
        return own;
    };
    while is_group_of_a_job(&directory) {
        directory.pop();
    }
    // Should the kernel refuse, we end with that job, and whoever syncs next reports ours as lost.
    let _ = fs::write(directory.join("cgroup.procs"), std::process::id().to_string());
    OwnGroups::read()
}

/// Whether it was given to this user to make groups in: it belongs to the user, and so does the list of its processes.
fn is_delegated(path: &Path) -> bool {
    let user = rustix::process::geteuid();
    let owned = |path: &Path| fs::metadata(path).is_ok_and(|metadata| metadata.uid() == user.as_raw());
    owned(path) && owned(&path.join("cgroup.procs"))
}
