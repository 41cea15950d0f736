//! Observes one job directory and returns the state of the job. Signals nothing and writes nothing: `recover.rs` does
//! the remaining work of a dead supervisor.

use std::time::Duration;

use homing_core::{
    Finished, FollowUp, Job, JobId, JobState, LostReason, Outcome, OutputSize, Recovery, Started, StateName,
    Timestamp,
};
use homing_supervisor::layout::{Directory, LOCK, RECORD};
use homing_supervisor::output::OutputReader;
use homing_supervisor::platform::{clock, errors, is_on_network};
use homing_supervisor::{
    DiskError, EndedRecord, FinishedRecord, JobLock, Record, RecordContent, Relation, RunBy, START_TIMEOUT,
    Slot, SpecFile, StartedRecord,
};

/// How much later than the deadline of the supervisor a job counts as never started.
const START_MARGIN: Duration = Duration::from_secs(1);

/// How often to observe a job again if its record changed meanwhile.
const MAX_CHANGES: u32 = 5;

/// The state of one job at one moment.
#[derive(Clone, Debug)]
pub(crate) struct JobSnapshot {
    pub(crate) spec: SpecFile,
    pub(crate) started: Option<StartedRecord>,
    /// Its recorded end. If its supervisor died before it recorded the end, the end that is concluded from its files
    /// ([`Recovery::NotRecorded`]).
    pub(crate) finished: Option<FinishedRecord>,
    /// Bytes of output that were kept.
    pub(crate) output_kept: u64,
    /// Whether its supervisor is alive.
    pub(crate) supervisor: SupervisorLiveness,
}

/// Whether the supervisor of a job is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SupervisorLiveness {
    /// It is alive, or has finished its work and recorded the end.
    Alive,
    /// It has not recorded anything yet, but may still appear in time.
    MayAppear,
    /// It is dead and did not record the end.
    Gone(LostReason),
    /// This process cannot see it: it ran on another host, or behind a network file system.
    Unknown,
    /// It is alive and supervises another directory. This one is a copy that was made while the job ran.
    Elsewhere,
}

/// What the caller knows about a supervisor that has not recorded anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartKnowledge {
    /// It may have been started just now.
    MayAppear,
    /// It is known to be dead.
    IsDead,
}

impl JobSnapshot {
    pub(crate) fn state_name(&self) -> StateName {
        match (&self.started, &self.finished) {
            (_, Some(_)) => StateName::Finished,
            (Some(_), None) => StateName::Running,
            (None, None) => StateName::Starting,
        }
    }

    /// The recovery that it still needs.
    pub(crate) fn recovery(&self) -> Option<Recovery> {
        self.finished.as_ref().and_then(|finished| finished.recovery)
    }

    /// The job, with a follow-up in its initial state.
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
            shell: self.spec.shell,
            cwd: self.spec.cwd,
            env_names: self.spec.env_names,
            created_at: Timestamp::from_unix_millis(self.spec.created_at_ms),
            leftovers: self.spec.leftovers,
            follow_up_policy: self.spec.follow_up,
            harness: self.spec.harness,
            sink: self.spec.sink,
            executor: self.spec.executor,
            state,
            output,
            follow_up: FollowUp::waiting(),
        }
    }
}

/// Observes the job `id` from the place `here`; `None` if it does not exist.
///
/// # Errors
/// When its directory cannot be read, or a newer program wrote it ([`DiskError::is_unsupported`]).
pub(crate) fn observe(jobs: &Directory, id: JobId, here: &RunBy) -> Result<Option<JobSnapshot>, DiskError> {
    let Some(directory) = jobs.find_directory(id.as_str())? else { return Ok(None) };
    let Some(spec) = SpecFile::read(&directory)? else { return Ok(None) };
    let mut content = read_record(&directory)?;
    let mut supervisor = SupervisorLiveness::Alive;
    for _ in 0..MAX_CHANGES {
        if content.finished.valid().is_some() {
            break;
        }
        supervisor = liveness(&directory, &spec, &content, here)?;
        // Read after testing the lock: the supervisor may have started or finished in between.
        let after = read_record(&directory)?;
        let is_unchanged = after == content;
        content = after;
        if is_unchanged {
            break;
        }
        supervisor = SupervisorLiveness::Alive;
    }
    let mut finished = content.finished.into_valid();
    let started = content.started.into_valid();
    if let (None, SupervisorLiveness::Gone(reason)) = (&finished, supervisor) {
        let mut concluded = conclude(&directory, started.as_ref(), reason)?;
        concluded.recovery = Some(Recovery::NotRecorded);
        finished = Some(concluded);
    }
    let output_kept = match &finished {
        Some(_) => OutputReader::open(directory)?.kept_bytes()?,
        None => 0,
    };
    Ok(Some(JobSnapshot { spec, started, finished, output_kept, supervisor }))
}

/// The content of a job's record.
///
/// # Errors
/// When it cannot be read, or a newer program wrote it.
pub(crate) fn read_record(directory: &Directory) -> Result<RecordContent, DiskError> {
    let missing = || directory.error("open", RECORD, errors::not_found());
    let record = Record::open_to_read(directory)?.ok_or_else(missing)?;
    let content = record.read().map_err(|e| directory.error("read", RECORD, e))?;
    if content.is_unsupported() {
        Err(DiskError::unsupported(directory.path().join(RECORD)))
    } else {
        Ok(content)
    }
}

/// Returns the directory of a job and the content of its record; `None` if the record cannot be read.
pub(crate) fn record_of(jobs: &Directory, id: JobId) -> Option<(Directory, RecordContent)> {
    let directory = jobs.open_job(id).ok()?;
    let content = Record::open_to_read(&directory).ok()??.read().ok()?;
    Some((directory, content))
}

/// Whether the supervisor of a job is a process that can be seen from `here`, and [supervises](is_supervised) this directory.
///
/// # Errors
/// When the lock file cannot be opened.
pub(crate) fn runs_here(
    directory: &Directory,
    started: &StartedRecord,
    here: &RunBy,
) -> Result<bool, DiskError> {
    Ok(here.relation_to(&started.run_by, false) == Relation::SamePidNamespace
        && is_supervised(directory, started)?)
}

/// Whether the supervisor of a job runs, and supervises this directory. For a copy of a home it supervises the original.
///
/// # Errors
/// When the lock file cannot be opened.
pub(crate) fn is_supervised(directory: &Directory, started: &StartedRecord) -> Result<bool, DiskError> {
    Ok(started.supervisor.is_running() && JobLock::is_held(directory)?)
}

/// Whether a job without a recorded end has a live supervisor.
fn liveness(
    directory: &Directory,
    spec: &SpecFile,
    content: &RecordContent,
    here: &RunBy,
) -> Result<SupervisorLiveness, DiskError> {
    if JobLock::is_held(directory)? {
        return Ok(SupervisorLiveness::Alive);
    }
    Ok(liveness_without_lock(directory, spec, content, here, StartKnowledge::MayAppear))
}

/// Returns the liveness of a supervisor if the lock of its job is free or held by the caller. On one kernel, a free lock
/// proves that the supervisor is dead, in any pid namespace. A lock file that was removed or is on a network file system
/// proves nothing.
pub(crate) fn liveness_without_lock(
    directory: &Directory,
    spec: &SpecFile,
    content: &RecordContent,
    here: &RunBy,
    knowledge: StartKnowledge,
) -> SupervisorLiveness {
    if spec.executor.is_some() {
        // An executor that is not heard of is not lost. Its end is known when it is recorded.
        return SupervisorLiveness::Alive;
    }
    let lock_proves = directory.contains(LOCK) && !is_on_network(directory.handle());
    let started = content.started.valid();
    let gone = || match &content.started {
        Slot::Valid(_) | Slot::Torn | Slot::Unsupported => {
            SupervisorLiveness::Gone(LostReason::SupervisorDied)
        }
        Slot::Empty if knowledge == StartKnowledge::IsDead => {
            SupervisorLiveness::Gone(LostReason::NeverStarted)
        }
        Slot::Empty if clock::uptime() < start_deadline(spec) => SupervisorLiveness::MayAppear,
        Slot::Empty => SupervisorLiveness::Gone(LostReason::NeverStarted),
    };
    match relation(spec, started, here, is_on_network(directory.handle())) {
        Relation::SamePidNamespace if started.is_some_and(|started| started.supervisor.is_running()) => {
            SupervisorLiveness::Elsewhere
        }
        Relation::SamePidNamespace => gone(),
        Relation::SameKernel if lock_proves || started.is_none() => gone(),
        Relation::EarlierBoot => SupervisorLiveness::Gone(LostReason::Reboot),
        Relation::SameKernel | Relation::OtherHost => SupervisorLiveness::Unknown,
    }
}

/// How the place where a job ran, or was launched, relates to `here`.
pub(crate) fn relation(
    spec: &SpecFile,
    started: Option<&StartedRecord>,
    here: &RunBy,
    on_network: bool,
) -> Relation {
    match started.map(|started| &started.run_by).or(spec.launched_from.as_ref()) {
        Some(place) => here.relation_to(place, on_network),
        // Only the boot is known.
        None => here.relation_to(&RunBy { boot_id: spec.boot_id.clone(), ..here.clone() }, on_network),
    }
}

/// Concludes the end of a job with a dead supervisor from its files.
pub(crate) fn conclude(
    directory: &Directory,
    started: Option<&StartedRecord>,
    reason: LostReason,
) -> Result<FinishedRecord, DiskError> {
    let now_ms = clock::wall_millis();
    let mut finished = FinishedRecord::bare(Outcome::Lost { reason }, now_ms);
    match started {
        // The main process had ended, and that was recorded before the supervisor died.
        Some(StartedRecord { ended: Some(ended), .. }) => finished.end = ended.clone(),
        // It was being ended for a reason that was recorded.
        Some(StartedRecord { decided: Some(outcome), .. }) => {
            finished.end = EndedRecord { outcome: outcome.clone(), ended_at_ms: now_ms, duration_ms: None };
        }
        Some(_) | None => {}
    }
    finished.output_total_bytes = OutputReader::open(Directory::open(directory.path())?)?.end()?;
    Ok(finished)
}

/// When a job without a supervisor begins to count as never started, on the clock that does not jump
/// ([`clock::uptime`]).
pub(crate) fn start_deadline(spec: &SpecFile) -> Duration {
    Duration::from_micros(spec.created_uptime_us).saturating_add(start_timeout())
}

fn start_timeout() -> Duration {
    homing_supervisor::injected_millis("start_grace").unwrap_or(START_TIMEOUT + START_MARGIN)
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
        recovery: finished.recovery,
    }
}
