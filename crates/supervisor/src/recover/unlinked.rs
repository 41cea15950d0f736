//! Supervisors whose lock file or whole job directory was removed. They are found by their open files, which stay
//! valid after a removal. Without its directory, a job cannot be read, waited for or killed by its id.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use homing_core::{JobId, KilledBy, Leftover};

use crate::disk::directory::Directory;
use crate::disk::documents::StartedRecord;
use crate::disk::record::Record;
use crate::disk::spec::SpecFile;
use crate::failpoints::injected_millis;
use crate::names::{INBOX, JOBS, RECORD, SUPERVISE_ARGUMENT};
use crate::platform::file::{FileIdentity, open_to_read};
use crate::platform::process::{self, OpenFile, Signal, open_files, shares_namespace};
use crate::platform::{ProcessIdentity, errors, events};
use crate::recover::orphans::end_orphans;

/// How long a supervisor may take to end its job, in addition to the job's grace period.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Grace period of a job whose spec is missing.
const ASSUMED_GRACE: Duration = Duration::from_secs(10);

/// A running supervisor whose job directory is not in its home any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlinkedSupervisor {
    /// Its job.
    pub job: JobId,
    /// The process.
    pub process: ProcessIdentity,
    /// Path of the job directory now; its last path if it was removed.
    pub directory: PathBuf,
    link: PathBuf,
}

/// Finds this user's supervisors of jobs in `jobs` (the directory of all jobs of a home) whose job directory was
/// removed or moved away. Reads `/proc` only; never signals a process.
///
/// A supervisor is included if its open job directory was in `jobs`. It is also included if it was started with the
/// path of `jobs` in this mount namespace and its directory is not in any home now. So supervisors of a renamed home
/// are not reported for another home at the old path.
pub fn find_unlinked_supervisors(jobs: &Directory) -> Vec<UnlinkedSupervisor> {
    process::all_pids().into_iter().filter_map(|pid| unlinked_supervisor(jobs, pid)).collect()
}

fn unlinked_supervisor(jobs: &Directory, pid: u32) -> Option<UnlinkedSupervisor> {
    let (started_at, job) = supervisor_arguments(pid)?;
    if !process::is_own_user(pid) {
        return None;
    }
    let process = ProcessIdentity::of(pid)?;
    let mut directories = open_files(pid).ok()?;
    directories.retain(|file| file.link().is_dir());
    let here = jobs.identity()?;
    let named = jobs.identity_of(job.as_str());
    if named.is_some() && directories.iter().any(|directory| directory.identity() == named) {
        return None;
    }
    // A supervisor opens its job directory first, and other directories only briefly.
    let held = directories.into_iter().next()?;
    let was_in_jobs = held.identity_of("..") == Some(here);
    let belongs_to_home = was_in_jobs
        || (shares_namespace(pid, "mnt")
            && started_at.parent().and_then(|jobs| FileIdentity::of_path(jobs).ok()) == Some(here)
            && !is_home_job(&held, job));
    // Check liveness last: it proves that all data above is from this process.
    (belongs_to_home && process.is_alive()).then(|| UnlinkedSupervisor {
        job,
        process,
        directory: held.name.clone(),
        link: held.link().to_owned(),
    })
}

/// Returns the job directory and the job in a supervisor's arguments; `None` if the process is not a supervisor.
fn supervisor_arguments(pid: u32) -> Option<(PathBuf, JobId)> {
    let mut arguments = process::arguments(pid).into_iter().skip(1);
    if arguments.next()? != SUPERVISE_ARGUMENT {
        return None;
    }
    let directory = PathBuf::from(arguments.next()?);
    let job = directory.file_name().and_then(OsStr::to_str)?.parse().ok()?;
    Some((directory, job))
}

/// Whether an open directory is the directory of this job in any home.
fn is_home_job(file: &OpenFile, job: JobId) -> bool {
    let Some(identity) = file.identity() else { return false };
    file.name.parent().and_then(Path::file_name).is_some_and(|name| name == JOBS)
        && file.identity_of(&format!("../{job}")) == Some(identity)
        && file.identity_of(&format!("../../{INBOX}")).is_some()
}

impl UnlinkedSupervisor {
    /// Asks the supervisor to end its job, and continues it if it is stopped. Returns immediately.
    ///
    /// # Errors
    /// If the supervisor cannot be signalled or has ended.
    pub fn request_end(&self, by: KilledBy) -> std::io::Result<()> {
        events::request_kill(&self.process, by)?;
        self.process.signal(Signal::Continue)
    }

    /// Ends the job and its supervisor. Asks the supervisor first, and continues it if it is stopped. If it does not
    /// end within the job's grace period and five seconds, kills it and all processes of the job. Returns the
    /// processes that were ended in this way.
    ///
    /// # Errors
    /// If the supervisor can neither be asked nor killed.
    pub fn end(&self, by: KilledBy) -> std::io::Result<Vec<Leftover>> {
        let Ok(handle) = self.process.open() else { return Ok(Vec::new()) };
        let started = self.started_record();
        let grace = Directory::open(&self.link)
            .and_then(|directory| SpecFile::read(&directory))
            .ok()
            .flatten()
            .map_or(ASSUMED_GRACE, |spec| spec.limits().grace);
        let timeout = injected_millis("unlinked_timeout").unwrap_or(END_TIMEOUT);
        let has_ended_within = |timeout| handle.has_ended_within(timeout).unwrap_or(true);
        if self.request_end(by).is_ok() && has_ended_within(grace.saturating_add(timeout)) {
            return Ok(Vec::new());
        }
        match self.process.signal(Signal::Kill) {
            Err(error) if !errors::is_no_such_process(&error) => return Err(error),
            _ => {}
        }
        has_ended_within(END_TIMEOUT);
        // Pids of another pid namespace are not valid here. The kernel ends at least the main process.
        Ok(started.map_or_else(Vec::new, |started| end_orphans(self.job, &started)))
    }

    /// Reads the started slot through the supervisor's own descriptor, because the file may have been removed.
    fn started_record(&self) -> Option<StartedRecord> {
        if !shares_namespace(self.process.pid, "pid") {
            return None;
        }
        let files = open_files(self.process.pid).ok()?;
        let file = files.iter().find(|file| file.name == self.directory.join(RECORD))?;
        let record = open_to_read(file.link()).ok()?;
        Record::from_file(record).read().ok()?.started.into_valid()
    }
}
