//! Evidence that a process is a job's, and who is spared: supervisors of other jobs and a home's monitor, which end by
//! themselves. Only reads; an argument alone proves nothing.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use homing_core::JobId;
use rustix::fs::{AtFlags, statat};

use crate::layout::{Directory, LOCK, MONITOR_LOCK};
use crate::platform::{ProcessIdentity, own_pid_namespace, procfs};
use crate::record::{Record, StartedRecord};

/// First argument of a supervisor.
pub const SUPERVISE_ARGUMENT: &str = "__supervise";

/// First argument of a monitor that was started on demand.
pub const MONITOR_ARGUMENT: &str = "__monitor";

/// Argument of a supervisor whose job may start later than others ([`Start::Late`](crate::Start::Late)).
pub const LATE_ARGUMENT: &str = "late";

/// Last argument of a supervisor or a monitor that is not to be a child of the process that starts it.
pub const DETACHED_ARGUMENT: &str = "detached";

/// The environment variable that every process of a job carries, unless it was taken away.
pub const JOB_VARIABLE: &str = "HOMING_JOB";

/// Names the home, for everything that homing starts.
const HOME_VARIABLE: &str = "HOMING_HOME";

/// Whether a process is the supervisor of a job or the active monitor of a home: neither belongs to the job that it
/// was started from. It is believed only what the kernel or a record confirms: the record of the job names this very
/// process as its supervisor; or the job has no process yet, and this one holds its lock; or it holds the monitor's lock.
pub(crate) fn is_spared(pid: u32) -> bool {
    let arguments = procfs::arguments(pid);
    match arguments.get(1).map(Vec::as_slice) {
        Some(first) if first == SUPERVISE_ARGUMENT.as_bytes() => {
            arguments.get(2).is_some_and(|directory| supervises(pid, Path::new(OsStr::from_bytes(directory))))
        }
        Some(first) if first == MONITOR_ARGUMENT.as_bytes() => procfs::variable(pid, HOME_VARIABLE)
            .is_some_and(|home| holds_lock_in(pid, Path::new(OsStr::from_bytes(&home)), MONITOR_LOCK)),
        Some(_) | None => false,
    }
}

/// Whether the process is the supervisor of the job in that directory.
fn supervises(pid: u32, directory: &Path) -> bool {
    let Ok(opened) = Directory::open(directory) else { return false };
    let Ok(Some(record)) = Record::open_to_read(&opened) else { return false };
    let Ok(content) = record.read() else { return false };
    match content.started.valid() {
        Some(started) => ProcessIdentity::of(pid) == Some(started.supervisor),
        None => content.finished.valid().is_none() && holds_lock_in(pid, directory, LOCK),
    }
}

fn holds_lock_in(pid: u32, directory: &Path, name: &str) -> bool {
    let Ok(directory) = Directory::open(directory) else { return false };
    statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|file| procfs::holds_lock(pid, (file.st_dev, file.st_ino)))
}

/// How strongly a process is tied to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// It is a process of the job and may be signalled.
    Proof,
    /// It may be one: it is named, and never signalled.
    Suspicion,
}

/// What ties processes to one job.
pub(crate) struct JobEvidence<'a> {
    started: &'a StartedRecord,
    /// `HOMING_JOB=ID`.
    variable: String,
    /// Whether the session that is named after the main process can only be the job's.
    session_is_proof: bool,
}

impl<'a> JobEvidence<'a> {
    /// The evidence for one job. Its processes must be searched in the pid namespace that it ran in.
    pub(crate) fn of(id: JobId, started: &'a StartedRecord) -> JobEvidence<'a> {
        JobEvidence {
            started,
            variable: format!("{JOB_VARIABLE}={id}"),
            session_is_proof: own_pid_namespace().is_some_and(|namespace| {
                namespace.init_start_ticks.is_some() && Some(namespace) == started.run_by.pid_namespace
            }),
        }
    }

    /// What ties this process to the job: it is the main process, carries the job's variable, holds its output pipe,
    /// or is in its session. A session counts only in the same instance of the pid namespace, where its number belongs
    /// to the recorded leader or to nobody: a number that was given anew names the session of a stranger.
    pub(crate) fn about(&self, pid: u32, stat: &procfs::Stat) -> Option<Evidence> {
        let main = self.started.main;
        let is_proved = (pid == main.pid && stat.start_ticks == main.start_ticks)
            || procfs::has_environment(pid, &self.variable)
            || procfs::holds_pipe(pid, self.started.output_pipe);
        if is_proved {
            return Some(Evidence::Proof);
        }
        if stat.session != main.pid || stat.start_ticks < main.start_ticks {
            return None;
        }
        let leader_is_ours =
            procfs::stat(main.pid).is_none_or(|leader| leader.start_ticks == main.start_ticks);
        match (leader_is_ours, self.session_is_proof) {
            (true, true) => Some(Evidence::Proof),
            (true, false) => Some(Evidence::Suspicion),
            // The leader of this session is a stranger, and so is the session.
            (false, _) => None,
        }
    }
}
