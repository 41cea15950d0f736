//! Looks at one job directory and says how far the job is. Where nobody looks after it any more, its end is recorded
//! here: what is left of it is ended first, and what cannot be known is said to be unknown.

use std::time::Duration;

use homing_core::{
    Finished, FollowUp, Job, JobId, JobState, LeftoverFate, LostReason, Outcome, OutputSize, Started,
    StateName, Timestamp,
};
use homing_supervisor::layout::{Directory, LOCK, RECORD, SCRIPT};
use homing_supervisor::output::OutputReader;
use homing_supervisor::platform::clock;
use homing_supervisor::{
    DiskError, FinishedRecord, JobLock, Record, RecordContent, SpecFile, StartedRecord, end_orphans,
};

use crate::Result;

/// How long a supervisor has to appear before its job counts as never started.
const START_GRACE: Duration = Duration::from_secs(10);

/// What was seen of one job.
#[derive(Clone, Debug)]
pub(crate) struct Sighting {
    pub(crate) spec: SpecFile,
    pub(crate) started: Option<StartedRecord>,
    pub(crate) finished: Option<FinishedRecord>,
    /// Bytes of output that are there.
    pub(crate) output_kept: u64,
}

impl Sighting {
    pub(crate) fn state_name(&self) -> StateName {
        match (&self.started, &self.finished) {
            (_, Some(_)) => StateName::Finished,
            (Some(_), None) => StateName::Running,
            (None, None) => StateName::Starting,
        }
    }

    /// The job, with a follow-up that nobody has touched yet.
    pub(crate) fn into_job(self) -> Job {
        let output = self.finished.as_ref().map_or(OutputSize::default(), |finished| OutputSize {
            total_bytes: finished.output_total_bytes,
            omitted_bytes: finished
                .output_total_bytes
                .saturating_sub(finished.output_dropped_bytes + self.output_kept),
            dropped_bytes: finished.output_dropped_bytes,
        });
        let state = match (self.finished, &self.started) {
            (Some(finished), started) => JobState::Finished(as_finished(finished, started.as_ref())),
            (None, Some(started)) => JobState::Running(as_started(started)),
            (None, None) => JobState::Starting,
        };
        Job {
            id: self.spec.id,
            limits: self.spec.limits(),
            session: self.spec.session,
            key: self.spec.key,
            name: self.spec.name,
            command: self.spec.command,
            cwd: self.spec.cwd,
            created_at: Timestamp::from_unix_millis(self.spec.created_at_ms),
            leftovers: self.spec.leftovers,
            follow_up_policy: self.spec.follow_up,
            harness: self.spec.harness,
            sink: self.spec.sink,
            state,
            output,
            follow_up: FollowUp::waiting(),
        }
    }
}

/// What is known of a supervisor that has not recorded anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attendance {
    /// It may have been started just now.
    MayStillCome,
    /// It is known to be dead.
    WillNotCome,
}

/// Looks at the job `id`; `None` where there is no such job.
///
/// # Errors
/// When its directory cannot be read, or its end cannot be recorded.
pub(crate) fn look_at(jobs: &Directory, id: JobId, boot_id: &str) -> Result<Option<Sighting>, DiskError> {
    look_closely(jobs, id, boot_id, Attendance::MayStillCome)
}

/// As [`look_at`], for who knows more about the supervisor than the disk says.
///
/// # Errors
/// As [`look_at`].
pub(crate) fn look_closely(
    jobs: &Directory,
    id: JobId,
    boot_id: &str,
    attendance: Attendance,
) -> Result<Option<Sighting>, DiskError> {
    let directory = match jobs.open_job(id) {
        Ok(directory) => directory,
        Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(spec) = SpecFile::read(&directory)? else { return Ok(None) };
    let record = open(&directory)?;
    let mut content = read(&directory, &record)?;
    if content.finished.is_none()
        && let Some(lock) = JobLock::try_take(&directory)?
    {
        content = end_unattended(&directory, &spec, boot_id, attendance)?;
        drop(lock);
    }
    let mut output_kept = 0;
    if let Some(finished) = &content.finished {
        remove_what_is_not_needed_any_more(&directory, finished);
        output_kept = OutputReader::open(directory)?.kept_bytes()?;
    }
    Ok(Some(Sighting { spec, started: content.started, finished: content.finished, output_kept }))
}

fn read(directory: &Directory, record: &Record) -> Result<RecordContent, DiskError> {
    record.read().map_err(|e| directory.error("read", RECORD, e))
}

/// Finds out, with the job's lock held, what became of a job that nobody looks after, and records it.
fn end_unattended(
    directory: &Directory,
    spec: &SpecFile,
    boot_id: &str,
    attendance: Attendance,
) -> Result<RecordContent, DiskError> {
    // Lock before reading: the supervisor may have finished between our look and our lock.
    let mut content = read(directory, &open(directory)?)?;
    if content.finished.is_some() {
        return Ok(content);
    }
    let rebooted = content.started.as_ref().map_or(&spec.boot_id, |started| &started.boot_id) != boot_id;
    let reason = match &content.started {
        _ if rebooted => LostReason::Reboot,
        Some(_) => LostReason::SupervisorDied,
        None if attendance == Attendance::MayStillCome && clock::uptime() < start_deadline(spec) => {
            return Ok(content);
        }
        None => LostReason::NeverStarted,
    };
    let mut finished = FinishedRecord::bare(Outcome::Lost { reason }, clock::wall_millis());
    if let Some(started) = &content.started {
        if !rebooted {
            finished.leftovers = end_orphans(spec.id, started);
        }
        // The main process had ended, and that was recorded before the supervisor died.
        if let Some(ended) = &started.ended {
            finished.end = ended.clone();
        }
    }
    let mut output = OutputReader::open(Directory::open(directory.path())?)?;
    finished.output_total_bytes = output.end()?;
    let no_record = || directory.error("open", RECORD, rustix::io::Errno::NOENT);
    let record = Record::open_to_update(directory)?.ok_or_else(no_record)?;
    record.write_finished(&finished).map_err(|e| directory.error("write", RECORD, e))?;
    content.finished = Some(finished);
    Ok(content)
}

fn open(directory: &Directory) -> Result<Record, DiskError> {
    let no_record = || directory.error("open", RECORD, rustix::io::Errno::NOENT);
    Record::open_to_read(directory)?.ok_or_else(no_record)
}

/// When a job without a supervisor begins to count as never started, on the clock that does not jump
/// ([`clock::uptime`]).
pub(crate) fn start_deadline(spec: &SpecFile) -> Duration {
    Duration::from_micros(spec.created_uptime_us).saturating_add(start_grace())
}

fn start_grace() -> Duration {
    homing_supervisor::injected_millis("start_grace").unwrap_or(START_GRACE)
}

fn remove_what_is_not_needed_any_more(directory: &Directory, finished: &FinishedRecord) {
    // Left lying they cost a block of disk at most, and go with the job.
    let _ = directory.remove_file(SCRIPT);
    // What was kept running is still looked after, and the lock says so.
    if finished.leftovers.iter().all(|leftover| leftover.fate != LeftoverFate::Kept) {
        let _ = directory.remove_file(LOCK);
    }
}

fn as_started(started: &StartedRecord) -> Started {
    Started { pid: started.main.pid, started_at: Timestamp::from_unix_millis(started.started_at_ms) }
}

fn as_finished(finished: FinishedRecord, started: Option<&StartedRecord>) -> Finished {
    // A command that failed to start had a process for a moment, but never ran in it.
    let never_ran = matches!(finished.end.outcome, Outcome::FailedToStart { .. });
    Finished {
        duration: finished.duration(),
        outcome: finished.end.outcome,
        started: started.filter(|_| !never_ran).map(as_started),
        ended_at: Timestamp::from_unix_millis(finished.end.ended_at_ms),
        cpu: finished.cpu_ms.map(Duration::from_millis),
        peak_memory_bytes: finished.peak_memory_bytes,
        leftovers: finished.leftovers,
        leftovers_omitted: finished.leftovers_omitted,
    }
}
