//! Recovers one job whose supervisor died: ends its remaining processes and records its outcome. Besides a supervisor,
//! only this file and `kill/last_resort.rs` signal processes of a job or write its record. This file holds the job's
//! lock; `last_resort` replaces a supervisor that no longer works.

use std::time::Duration;

use homing_core::{JobId, LeftoverFate, LostReason, Recovery};
use homing_supervisor::layout::{Directory, LOCK, RECORD, notify_change};
use homing_supervisor::platform::{ProcessIdentity, errors, is_on_network};
use homing_supervisor::{
    DiskError, FinishedRecord, JobLock, Record, RecordContent, Relation, RunBy, Slot, SpecFile,
    StartedRecord, crash_point, end_orphans,
};

use crate::store::job_store::JobStore;
use crate::store::observe::{
    StartKnowledge, SupervisorLiveness, conclude, liveness_without_lock, read_record, relation,
};

/// How often, and after which pause, to retry a lock that a reader may hold briefly.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Options for [`Homing::recover`](crate::Homing::recover). By default it recovers only jobs whose supervisor has certainly died.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecoverOptions {
    /// Assumes that a supervisor on another host or behind a network file system is dead if its lock is free, and that
    /// executors without a connection are gone for ever.
    pub assume_gone: bool,
}

/// The result for one job.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recovered {
    /// It needs no recovery: its supervisor is alive, or everything is done.
    NotNeeded,
    /// Its outcome was recorded, or its remaining processes were ended.
    Done,
    /// It cannot be recovered here, for this reason.
    Left(String),
}

impl JobStore {
    /// Recovers one job if it needs recovery.
    pub(crate) fn recover_job(
        &self,
        id: JobId,
        knowledge: StartKnowledge,
        options: RecoverOptions,
    ) -> Result<Recovered, DiskError> {
        let Some(directory) = self.find_job(id)? else { return Ok(Recovered::NotNeeded) };
        let Some(spec) = SpecFile::read(&directory)? else { return Ok(Recovered::NotNeeded) };
        // Do this before the lock file is created: a missing lock file is evidence.
        let content = read_record(&directory)?;
        if needs_nothing(&content) {
            return Ok(Recovered::NotNeeded);
        }
        let here = self.here()?;
        let supervisor = match &spec.executor {
            // Its executor knows better, unless the user says that it is gone.
            Some(_) if options.assume_gone => SupervisorLiveness::Unknown,
            Some(_) => return Ok(Recovered::NotNeeded),
            None => liveness_without_lock(&directory, &spec, &content, here, knowledge),
        };
        if content.finished.valid().is_none() && supervisor == SupervisorLiveness::Alive {
            return Ok(Recovered::NotNeeded);
        }
        let Some(_lock) = lock_with_retries(&directory)? else { return Ok(Recovered::NotNeeded) };
        // Lock before reading: the supervisor may have finished between the check above and the lock.
        let content = read_record(&directory)?;
        let recovered = match content.finished.valid() {
            Some(finished) => search_later(&directory, &spec, &content, finished, here)?,
            None => {
                let supervisor = match supervisor {
                    SupervisorLiveness::Unknown if options.assume_gone => {
                        SupervisorLiveness::Gone(LostReason::SupervisorDied)
                    }
                    SupervisorLiveness::Unknown => SupervisorLiveness::Unknown,
                    SupervisorLiveness::Alive
                    | SupervisorLiveness::MayAppear
                    | SupervisorLiveness::Elsewhere
                    | SupervisorLiveness::Gone(_) => {
                        liveness_without_lock(&directory, &spec, &content, here, knowledge)
                    }
                };
                record_end(&directory, &spec, &content, here, supervisor)?
            }
        };
        if recovered == Recovered::Done {
            // If this fails, the next full scan finds the record.
            let _ = notify_change(&self.home.inbox, id);
        }
        Ok(recovered)
    }
}

fn needs_nothing(content: &RecordContent) -> bool {
    content.finished.valid().is_some_and(|finished| finished.recovery.is_none())
}

/// Takes the job's lock. Retries, because a reader that tests the lock holds it briefly.
pub(crate) fn lock_with_retries(directory: &Directory) -> Result<Option<JobLock>, DiskError> {
    for _ in 0..LOCK_TRIES {
        if let Some(lock) = JobLock::try_acquire(directory)? {
            return Ok(Some(lock));
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    Ok(None)
}

/// Records the outcome of a job without a supervisor, and ends its remaining processes.
fn record_end(
    directory: &Directory,
    spec: &SpecFile,
    content: &RecordContent,
    here: &RunBy,
    supervisor: SupervisorLiveness,
) -> Result<Recovered, DiskError> {
    let reason = match supervisor {
        SupervisorLiveness::Alive | SupervisorLiveness::MayAppear => return Ok(Recovered::NotNeeded),
        SupervisorLiveness::Unknown => {
            let place =
                content.started.valid().map(|started| &started.run_by).or(spec.launched_from.as_ref());
            let host = place.map_or("another host", |place| place.host_name.as_str());
            return Ok(Recovered::Left(format!(
                "it ran on {host}, where its supervisor may be alive; run `homing recover` there, or \
                 `homing recover --assume-gone` if that host is gone"
            )));
        }
        SupervisorLiveness::Elsewhere => {
            return Ok(Recovered::Left(
                "this directory is a copy: its supervisor is alive and supervises the original".to_owned(),
            ));
        }
        SupervisorLiveness::Gone(reason) => reason,
    };
    let mut finished = conclude(directory, content.started.valid(), reason)?;
    if reason == LostReason::SupervisorDied {
        let is_here = relation(spec, content.started.valid(), here, is_on_network(directory.handle()))
            == Relation::SamePidNamespace;
        if is_here {
            crash_point("recover/before_end");
            finished.leftovers = end_orphans(spec.id, &searchable(content, here));
            crash_point("recover/ended");
        } else {
            finished.recovery = Some(Recovery::NotSearched);
        }
    }
    write_end(directory, spec, &finished)?;
    Ok(Recovered::Done)
}

/// The fields to search a job's processes by. If the started slot is torn, only the environment variable is known.
fn searchable(content: &RecordContent, here: &RunBy) -> StartedRecord {
    const NOBODY: ProcessIdentity = ProcessIdentity { pid: u32::MAX, start_ticks: u64::MAX };
    match &content.started {
        Slot::Valid(started) => started.clone(),
        Slot::Empty | Slot::Torn | Slot::Unsupported => StartedRecord {
            main: NOBODY,
            supervisor: NOBODY,
            run_by: here.clone(),
            started_at_ms: 0,
            output_pipe: 0,
            error_pipe: None,
            group: None,
            service: None,
            decided: None,
            ended: None,
        },
    }
}

/// Ends the processes of a job whose outcome was recorded from another pid namespace.
fn search_later(
    directory: &Directory,
    spec: &SpecFile,
    content: &RecordContent,
    finished: &FinishedRecord,
    here: &RunBy,
) -> Result<Recovered, DiskError> {
    let on_network = is_on_network(directory.handle());
    match (finished.recovery, relation(spec, content.started.valid(), here, on_network)) {
        (Some(_), Relation::SamePidNamespace) => {
            let mut finished = finished.clone();
            finished.leftovers.extend(end_orphans(spec.id, &searchable(content, here)));
            finished.recovery = None;
            write_end(directory, spec, &finished)?;
            Ok(Recovered::Done)
        }
        // Its processes ended when the machine rebooted.
        (Some(_), Relation::EarlierBoot) => {
            write_end(directory, spec, &FinishedRecord { recovery: None, ..finished.clone() })?;
            Ok(Recovered::Done)
        }
        (Some(_), Relation::SameKernel | Relation::OtherHost) => Ok(Recovered::Left(
            "its processes ran in another pid namespace; run `homing recover` in that container".to_owned(),
        )),
        (None, _) => Ok(Recovered::NotNeeded),
    }
}

fn write_end(directory: &Directory, spec: &SpecFile, finished: &FinishedRecord) -> Result<(), DiskError> {
    let missing = || directory.error("open", RECORD, errors::not_found());
    let record = Record::open_to_update(directory)?.ok_or_else(missing)?;
    record.write_finished(finished).map_err(|e| directory.error("write", RECORD, e))?;
    crash_point("recover/recorded");
    // If this fails, the files use at most one disk block each until the job is deleted.
    let _ = directory.remove_file(spec.shell.script_name());
    if finished.leftovers.iter().all(|leftover| leftover.fate != LeftoverFate::Kept) {
        let _ = directory.remove_file(LOCK);
    }
    Ok(())
}
