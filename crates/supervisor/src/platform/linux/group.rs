//! Groups of processes that the kernel ends as a whole: control groups, version 2 (`cgroup.kill`, Linux 5.14). If a
//! directory is delegated to this user, the process tree of each job gets its own group.

use std::fs;
use std::io::{self, Write};
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use homing_core::JobId;

use super::{clock, procfs, user};

/// The environment variable with the path of a delegated directory, or `off` for no groups.
pub const CGROUP_VARIABLE: &str = "HOMING_CGROUP";

/// Prefix of the names of homing's groups and scopes.
pub(super) const PREFIX: &str = "homing-";

/// Maximum length of a path, so that it fits the record.
const MAX_PATH_BYTES: usize = 400;

/// How long a removal waits for exiting processes.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Pause between two attempts to remove a group.
const REMOVAL_PAUSE: Duration = Duration::from_millis(1);

/// How often to create a group again that another process removed while it was empty.
const CREATE_ATTEMPTS: usize = 3;

/// A snapshot of the control groups that this process is in.
#[derive(Debug)]
pub(super) struct OwnGroups {
    /// The lines of `/proc/self/cgroup` (cgroups(7)); empty if it cannot be read.
    lines: String,
}

impl OwnGroups {
    /// Reads the control groups of this process.
    pub(super) fn read() -> OwnGroups {
        OwnGroups { lines: procfs::own_cgroups().unwrap_or_default() }
    }

    /// Returns the path in the hierarchy with these controllers: the unified one has an empty list, and that of systemd in
    /// version 1 is `name=systemd`. A line is `ID:CONTROLLERS:PATH` (cgroups(7)).
    pub(super) fn path_in(&self, controllers: &str) -> Option<&str> {
        let lines = self.lines.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
        lines.filter(|(found, _)| *found == controllers).map(|(_, path)| path).next()
    }

    /// Returns the directory of this process in the unified hierarchy.
    fn directory(&self) -> Option<PathBuf> {
        let own = self.path_in("")?.strip_prefix('/')?;
        ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
            .into_iter()
            .map(|root| Path::new(root).join(own))
            .find(|path| path.join("cgroup.procs").exists())
    }
}

/// The path of the control group of one job. The group may not exist.
#[derive(Clone, Debug)]
pub struct Group {
    path: PathBuf,
}

impl Group {
    /// Returns the future group of a job; `None` if the system does not allow groups, which is not an error. Does not
    /// create the group, so that its path can be recorded first.
    pub(super) fn planned(id: JobId, own: &OwnGroups) -> Option<Group> {
        let path = delegated_directory(own)?.join(format!("{PREFIX}{id}"));
        (path.as_os_str().len() <= MAX_PATH_BYTES).then_some(Group { path })
    }

    /// Returns the recorded group of a job if it still exists.
    pub fn existing(path: &str, id: JobId) -> Option<Group> {
        let path = PathBuf::from(path);
        let is_group_of_job = path.file_name().is_some_and(|name| name == format!("{PREFIX}{id}").as_str());
        (is_group_of_job && path.join("cgroup.kill").exists()).then_some(Group { path })
    }

    /// Returns its directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Creates it and moves a process into it.
    ///
    /// # Errors
    /// If the kernel refuses, or does not support `cgroup.kill`. Then there is no group.
    pub(super) fn create_for(&self, pid: u32) -> io::Result<OwnedGroup> {
        let mut attempt = 1;
        loop {
            fs::create_dir(&self.path).or_else(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Ok(()),
                _ => Err(error),
            })?;
            let group = OwnedGroup { group: self.clone() };
            match group.adopt(pid) {
                Ok(()) => return Ok(group),
                // Recovery in another process may have removed the group as an abandoned one.
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < CREATE_ATTEMPTS => {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn adopt(&self, pid: u32) -> io::Result<()> {
        fs::metadata(self.path.join("cgroup.kill"))?;
        // Not fs::write, which tries to create the file: if the group was removed, it fails with EACCES, not ENOENT.
        let mut members = fs::OpenOptions::new().write(true).open(self.path.join("cgroup.procs"))?;
        members.write_all(pid.to_string().as_bytes())
    }

    /// Returns the processes in it and below it.
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

    /// Moves this process out of the group if it is inside. A process that recovers a lost job must not be killed
    /// with it.
    pub fn step_out(&self) {
        let is_inside = OwnGroups::read().directory().is_some_and(|own| own.starts_with(&self.path));
        if let Some(parent) = self.path.parent().filter(|_| is_inside) {
            // If the kernel refuses, this process is killed with the job, and another process records the end.
            let _ = fs::write(parent.join("cgroup.procs"), std::process::id().to_string());
        }
    }

    /// Sends SIGKILL to every process in it and below it, atomically.
    pub fn kill(&self) {
        // If the kernel refuses, the caller signals the processes one by one.
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
    }

    /// Whether it contains processes, directly or below it (cgroup.events, cgroups(7)).
    pub fn is_populated(&self) -> bool {
        fs::read_to_string(self.path.join("cgroup.events")).is_ok_and(|events| events.contains("populated 1"))
    }

    /// Removes it, and the groups that the job has created below it. Waits up to 1 s for exiting processes. A group
    /// that still contains processes then stays, and [`remove_abandoned`] removes it later.
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

/// Removes a group, children first: a group with child groups is busy (cgroups(7)).
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

/// A control group that this process has created. Removes the group on drop.
#[derive(Debug)]
pub(super) struct OwnedGroup {
    group: Group,
}

impl OwnedGroup {
    /// Leaves the group to its kept processes; [`remove_abandoned`] removes it after they have ended.
    pub(super) fn leave(self) {
        std::mem::forget(self);
    }
}

impl Deref for OwnedGroup {
    type Target = Group;

    fn deref(&self) -> &Group {
        &self.group
    }
}

impl Drop for OwnedGroup {
    fn drop(&mut self) {
        self.group.remove();
    }
}

/// Removes empty groups of jobs in the delegated directory of this process. They are left by killed supervisors, or
/// by kept processes that have ended since.
pub fn remove_abandoned() {
    let entries = delegated_directory(&OwnGroups::read()).and_then(|directory| fs::read_dir(directory).ok());
    for entry in entries.into_iter().flatten().flatten() {
        if entry.file_name().to_str().and_then(job_of_group).is_some() {
            let group = Group { path: entry.path() };
            if !group.is_populated() {
                let _ = remove_with_parts(&group.path);
            }
        }
    }
}

/// Returns the job that a group with this name belongs to.
fn job_of_group(name: &str) -> Option<JobId> {
    name.strip_prefix(PREFIX)?.parse().ok()
}

fn is_group_of_a_job(directory: &Path) -> bool {
    directory.file_name().and_then(|name| name.to_str()).and_then(job_of_group).is_some()
}

/// Returns the directory for new groups: the value of `HOMING_CGROUP`, or the group of this process if it is
/// delegated.
pub(super) fn delegated_directory(own: &OwnGroups) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(CGROUP_VARIABLE) {
        let path = PathBuf::from(named);
        return (path.is_absolute() && path.join("cgroup.procs").exists()).then_some(path);
    }
    let mut own = own.directory()?;
    // If this process runs inside a job, do not use the job's group: it is killed with the job.
    while is_group_of_a_job(&own) {
        own.pop();
    }
    if is_scope_of_homing(&own) {
        return Some(own);
    }
    // Root owns every group, so ownership does not imply delegation. Root must set the variable.
    if user::is_root() {
        return None;
    }
    is_delegated(&own).then_some(own)
}

/// Whether a directory in `/sys/fs/cgroup` belongs to a scope that `scope` has created.
fn is_scope_of_homing(directory: &Path) -> bool {
    let name = directory.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(".scope"))
}

/// Moves this process out of the control group of another job, if it was started from one: that group is killed with
/// its job. Returns the new groups of this process.
pub(super) fn leave_foreign_job() -> OwnGroups {
    let own = OwnGroups::read();
    let Some(mut directory) = own.directory().filter(|directory| is_group_of_a_job(directory)) else {
        return own;
    };
    while is_group_of_a_job(&directory) {
        directory.pop();
    }
    // If the kernel refuses, this process is killed with that job, and the next sync reports its job as lost.
    let _ = fs::write(directory.join("cgroup.procs"), std::process::id().to_string());
    OwnGroups::read()
}

/// Whether it is delegated to this user: the user owns it and its process list.
fn is_delegated(path: &Path) -> bool {
    let user = user::effective_id();
    let owned = |path: &Path| fs::metadata(path).is_ok_and(|metadata| metadata.uid() == user);
    owned(path) && owned(&path.join("cgroup.procs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_by_the_controllers_of_their_hierarchy() {
        let lines =
            "9:name=systemd:/system.slice/a0::b.service\n4:memory:/m:c\n0::/user.slice/0::x\n".to_owned();
        let own = OwnGroups { lines };
        assert_eq!(own.path_in("name=systemd"), Some("/system.slice/a0::b.service"));
        assert_eq!(own.path_in(""), Some("/user.slice/0::x"));
        assert_eq!((own.path_in("memory"), own.path_in("pids")), (Some("/m:c"), None));
    }
}
