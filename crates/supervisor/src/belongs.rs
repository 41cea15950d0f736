//! Evidence that a process belongs to a job, and which processes are spared: supervisors of other jobs and the
//! monitor of a home, which end by themselves. Only reads `/proc` and records. An argument alone is not evidence.

use std::path::Path;

use homing_core::JobId;

use crate::disk::directory::Directory;
use crate::disk::documents::StartedRecord;
use crate::disk::record::Record;
use crate::names::{HOME_VARIABLE, JOB_VARIABLE, LOCK, MONITOR_ARGUMENT, MONITOR_LOCK, SUPERVISE_ARGUMENT};
use crate::platform::process::{self, Stat};
use crate::platform::{ProcessIdentity, own_pid_namespace};

/// Whether a process is the supervisor of a job or the active monitor of a home. Neither belongs to the job that
/// started it. The claim in its arguments must be confirmed: the record of the job names this process as its
/// supervisor; or the job has no process yet and this process holds its lock; or this process holds the monitor's
/// lock.
pub(crate) fn is_spared(pid: u32) -> bool {
    let arguments = process::arguments(pid);
    match arguments.get(1) {
        Some(first) if first == SUPERVISE_ARGUMENT => {
            arguments.get(2).is_some_and(|directory| supervises(pid, Path::new(directory)))
        }
        Some(first) if first == MONITOR_ARGUMENT => process::variable(pid, HOME_VARIABLE)
            .is_some_and(|home| holds_lock_in(pid, Path::new(&home), MONITOR_LOCK)),
        Some(_) | None => false,
    }
}

/// Whether the process is the supervisor of the job in this directory.
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
    directory.identity_of(name).is_some_and(|file| process::holds_lock(pid, file))
}

/// How certain it is that a process belongs to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// It belongs to the job and may be signalled.
    Proof,
    /// It may belong to the job: it is reported and never signalled.
    Suspicion,
}

/// The evidence for the processes of one job.
pub(crate) struct JobEvidence<'a> {
    started: &'a StartedRecord,
    /// `HOMING_JOB=ID`.
    variable: String,
    /// Whether the session with the main process's id can only belong to the job.
    session_is_proof: bool,
}

impl<'a> JobEvidence<'a> {
    /// Creates the evidence for one job. Search its processes only in the pid namespace that it ran in.
    pub(crate) fn of(id: JobId, started: &'a StartedRecord) -> JobEvidence<'a> {
        JobEvidence {
            started,
            variable: format!("{JOB_VARIABLE}={id}"),
            session_is_proof: own_pid_namespace().is_some_and(|namespace| {
                namespace.init_start_ticks.is_some() && Some(namespace) == started.run_by.pid_namespace
            }),
        }
    }

    /// The pipes that only processes of the job write to.
    fn pipes(&self) -> impl Iterator<Item = u64> {
        std::iter::once(self.started.output_pipe).chain(self.started.error_pipe)
    }

    /// Returns the evidence that this process belongs to the job: it is the main process, has the job's variable,
    /// holds a pipe for the job's output, or is in the job's session. A session is proof only in the same instance of the
    /// pid namespace, and only if its leader is the recorded main process or is gone: a reused pid is the session of
    /// another program.
    pub(crate) fn about(&self, pid: u32, stat: &Stat) -> Option<Evidence> {
        let main = self.started.main;
        let is_proved = (pid == main.pid && stat.start_ticks == main.start_ticks)
            || process::has_environment(pid, &self.variable)
            || self.pipes().any(|pipe| process::holds_pipe(pid, pipe));
        if is_proved {
            return Some(Evidence::Proof);
        }
        if stat.session != main.pid || stat.start_ticks < main.start_ticks {
            return None;
        }
        let leader_is_recorded =
            process::stat(main.pid).is_none_or(|leader| leader.start_ticks == main.start_ticks);
        match (leader_is_recorded, self.session_is_proof) {
            (true, true) => Some(Evidence::Proof),
            (true, false) => Some(Evidence::Suspicion),
            // The leader of this session is another program, so the session does not belong to the job.
            (false, _) => None,
        }
    }
}
