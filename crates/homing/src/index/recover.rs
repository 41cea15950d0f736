//! Recovers jobs whose supervisor died: ends what is left of their processes and records their end. The only place
//! besides a supervisor that signals processes of a job or writes its record, and it does so with the job's lock held. The
//! exception is `kill/last_resort.rs`, which replaces a supervisor that does nothing any more.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use homing_core::{JobId, KilledBy, LeftoverFate, LostReason, Recovery};
use homing_supervisor::layout::{Directory, LOCK, RECORD, SCRIPT, notify_change};
use homing_supervisor::platform::cgroup::remove_abandoned;
use homing_supervisor::platform::{ProcessIdentity, Relation, RunBy, is_on_network};
use homing_supervisor::{
    DiskError, FinishedRecord, JobLock, Record, RecordContent, Slot, SpecFile, StartedRecord, crash_point,
    end_orphans, find_unlinked_supervisors,
};

use crate::homing::Homing;
use crate::store::observe::{
    StartKnowledge, SupervisorLiveness, conclude, liveness_without_lock, read_record, relation,
};
use crate::store::set_aside::Depth;
use crate::{PruneReport, Result};

/// How often, and after which pause, a lock is tried that a reader may hold for a moment.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// How [`Homing::recover`] works. The default concludes only what is certain.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecoverOptions {
    /// Takes supervisors for dead that ran on another host, or behind a network file system, and whose lock is free.
    pub assume_gone: bool,
}

/// What [`Homing::recover`] did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct RecoverReport {
    /// Jobs whose end is recorded now, or whose processes were searched for and ended now.
    pub recovered: Vec<JobId>,
    /// Jobs that ran on although their directory was removed or renamed away, and where that directory is or was:
    /// their supervisor and their processes are ended now.
    pub ended_without_directory: Vec<(JobId, PathBuf)>,
    /// Jobs that this process cannot recover, and why.
    pub left: Vec<(JobId, String)>,
    /// Jobs that could not be read or written.
    pub failed: Vec<(JobId, DiskError)>,
    /// What lay in the home where it does not belong, and where it is now.
    pub set_aside: Vec<(PathBuf, PathBuf)>,
    /// Jobs that retention has removed.
    pub pruned: Vec<JobId>,
}

/// What became of one job.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recovered {
    /// It needs no recovery: somebody looks after it, or everything is done.
    NotNeeded,
    /// Its end is recorded now, or what was left of it was ended.
    Done,
    /// It cannot be recovered here, for this reason.
    Left(String),
}

impl Homing {
    /// Recovers every job whose supervisor died: its processes are ended and named, and its end is recorded as `lost`.
    /// Ends every job that runs on although its directory was removed or renamed away, moves planted files into
    /// `set-aside/`, and applies retention where that was not done for a day. Called by the monitor, and by hosts that live on; reading a home never does this.
    ///
    /// A job that ran in another pid namespace, such as another container, is recorded and its processes are not
    /// searched for; a process in that namespace does this later. About a job of another host nothing is concluded
    /// unless `options` say so.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// let report = homing.recover(homing::RecoverOptions::default())?;
    /// assert!(report.recovered.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the home or the ledger cannot be used. A single job that cannot be recovered is in the report.
    pub fn recover(&self, options: RecoverOptions) -> Result<RecoverReport> {
        let mut report = self.recover_all(options)?;
        let moved = self.set_planted_aside(Depth::Jobs)?;
        report.set_aside = moved.into_iter().map(|(planted, place)| (planted.path, place)).collect();
        if let Some(mut pass) = self.pruning_due()? {
            let mut pruned = PruneReport::default();
            while !self.prune_batch(&mut pass, &mut pruned)? {}
            report.pruned = pruned.removed;
        }
        Ok(report)
    }

    /// As [`Homing::recover`], for jobs alone.
    pub(crate) fn recover_all(&self, options: RecoverOptions) -> Result<RecoverReport> {
        remove_abandoned();
        let unreachable = self.full_scan()?.unreachable;
        let mut jobs = self.with_ledger(|ledger| ledger.needing_recovery())?;
        jobs.extend(unreachable);
        let mut report = self.recover_jobs(&jobs, options)?;
        self.end_unlinked(&mut report);
        Ok(report)
    }

    /// Ends the supervisors whose job directory is not in this home any more, with their jobs.
    fn end_unlinked(&self, report: &mut RecoverReport) {
        let found = find_unlinked_supervisors(&self.home.jobs);
        for supervisor in &found {
            // All are asked before the first is waited for. One that cannot be asked is killed below.
            let _ = supervisor.request_end(KilledBy::Outside);
        }
        for supervisor in found {
            match supervisor.end(KilledBy::Outside) {
                Ok(_) => report.ended_without_directory.push((supervisor.job, supervisor.directory)),
                Err(error) => {
                    let (job, pid) = (supervisor.job, supervisor.process.pid);
                    report
                        .left
                        .push((job, format!("cannot end its supervisor (process {pid}): {error}")));
                }
            }
        }
    }

    /// Recovers those of these jobs that need it, and brings the ledger up to date with them.
    pub(crate) fn recover_jobs(&self, jobs: &[JobId], options: RecoverOptions) -> Result<RecoverReport> {
        let mut report = RecoverReport::default();
        let mut seen = HashSet::new();
        for id in jobs.iter().copied().filter(|id| seen.insert(*id)) {
            match self.recover_job(id, StartKnowledge::MayAppear, options) {
                Ok(Recovered::Done) => report.recovered.push(id),
                Ok(Recovered::Left(reason)) => report.left.push((id, reason)),
                Ok(Recovered::NotNeeded) => {}
                Err(error) => report.failed.push((id, error)),
            }
        }
        if !report.recovered.is_empty() {
            self.sync_jobs(&report.recovered)?;
        }
        Ok(report)
    }

    /// Recovers one job, where it needs that.
    pub(crate) fn recover_job(
        &self,
        id: JobId,
        knowledge: StartKnowledge,
        options: RecoverOptions,
    ) -> Result<Recovered, DiskError> {
        let Some(directory) = self.open_job_if_there(id)? else { return Ok(Recovered::NotNeeded) };
        let Some(spec) = SpecFile::read(&directory)? else { return Ok(Recovered::NotNeeded) };
        // Before the lock is made where it is missing: that it is missing is part of the evidence.
        let content = read_record(&directory)?;
        if needs_nothing(&content) {
            return Ok(Recovered::NotNeeded);
        }
        let here = self.here()?;
        let supervisor = liveness_without_lock(&directory, &spec, &content, here, knowledge);
        if content.finished.valid().is_none() && supervisor == SupervisorLiveness::Alive {
            return Ok(Recovered::NotNeeded);
        }
        let Some(_lock) = lock_with_retries(&directory)? else { return Ok(Recovered::NotNeeded) };
        // Lock before reading: the supervisor may have finished between the look above and the lock.
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
            // Where this fails, the next full scan finds the record.
            let _ = notify_change(&self.home.inbox, id);
        }
        Ok(recovered)
    }
}

fn needs_nothing(content: &RecordContent) -> bool {
    content.finished.valid().is_some_and(|finished| finished.recovery.is_none())
}

/// Takes the job's lock. A reader that looks whether it is held holds it for a moment, so one refusal says nothing.
fn lock_with_retries(directory: &Directory) -> Result<Option<JobLock>, DiskError> {
    for _ in 0..LOCK_TRIES {
        if let Some(lock) = JobLock::try_take(directory)? {
            return Ok(Some(lock));
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    Ok(None)
}

/// Records the end of a job that nobody looks after, and ends what is left of it.
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
                "this directory is a copy: its supervisor is alive and supervises the original"
                    .to_owned(),
            ));
        }
        SupervisorLiveness::Gone(reason) => reason,
    };
    let mut finished = conclude(directory, content.started.valid(), reason)?;
    if reason == LostReason::SupervisorDied {
        let is_here = relation(spec, content.started.valid(), here, is_on_network(directory))
            == Relation::SamePidNamespace;
        if is_here {
            crash_point("recover/before_end");
            finished.leftovers = end_orphans(spec.id, &searchable(content, here));
            crash_point("recover/ended");
        } else {
            finished.recovery = Some(Recovery::NotSearched);
        }
    }
    write_end(directory, &finished)?;
    Ok(Recovered::Done)
}

/// What a job's processes are searched by. Of one whose started slot is torn only its variable is known.
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
            cgroup: None,
            service: None,
            decided: None,
            ended: None,
        },
    }
}

/// Searches for the processes of a job whose end was recorded from another pid namespace.
fn search_later(
    directory: &Directory,
    spec: &SpecFile,
    content: &RecordContent,
    finished: &FinishedRecord,
    here: &RunBy,
) -> Result<Recovered, DiskError> {
    let on_network = is_on_network(directory);
    match (finished.recovery, relation(spec, content.started.valid(), here, on_network)) {
        (Some(_), Relation::SamePidNamespace) => {
            let mut finished = finished.clone();
            finished.leftovers.extend(end_orphans(spec.id, &searchable(content, here)));
            finished.recovery = None;
            write_end(directory, &finished)?;
            Ok(Recovered::Done)
        }
        // Its processes went down with the machine.
        (Some(_), Relation::EarlierBoot) => {
            write_end(directory, &FinishedRecord { recovery: None, ..finished.clone() })?;
            Ok(Recovered::Done)
        }
        (Some(_), Relation::SameKernel | Relation::OtherHost) => Ok(Recovered::Left(
            "its processes ran in another pid namespace; run `homing recover` in that container".to_owned(),
        )),
        (None, _) => Ok(Recovered::NotNeeded),
    }
}

fn write_end(directory: &Directory, finished: &FinishedRecord) -> Result<(), DiskError> {
    let missing = || directory.error("open", RECORD, rustix::io::Errno::NOENT);
    let record = Record::open_to_update(directory)?.ok_or_else(missing)?;
    record.write_finished(finished).map_err(|e| directory.error("write", RECORD, e))?;
    crash_point("recover/recorded");
    // Left lying they cost a block of disk at most, and go with the job.
    let _ = directory.remove_file(SCRIPT);
    if finished.leftovers.iter().all(|leftover| leftover.fate != LeftoverFate::Kept) {
        let _ = directory.remove_file(LOCK);
    }
    Ok(())
}
