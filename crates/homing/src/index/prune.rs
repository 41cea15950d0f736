//! Retention: gives up follow-ups that nobody took for weeks, and removes jobs that nobody has to be told of. In batches,
//! and never on the way of a launch or a reader: the monitor, `recover` and `prune` call it.

use std::io;
use std::time::Duration;

use homing_core::{BUDGET_WINDOW, JobId};
use homing_supervisor::layout::{Directory, SPEC};
use homing_supervisor::platform::cgroup::remove_abandoned;
use homing_supervisor::{DiskError, SpecFile, crash_point};

use crate::Result;
use crate::homing::Homing;
use crate::index::recover::RecoverOptions;
use crate::ledger::{Launch, Prunable};

/// Jobs that are removed, and follow-ups that are given up, in one transaction.
const BATCH: u32 = 500;

/// How often retention is applied without being asked for.
const EVERY: Duration = Duration::from_secs(86_400);

/// What pruning removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PruneReport {
    /// The jobs that are gone; with [`PruneOptions::dry_run`], those that would be.
    pub removed: Vec<JobId>,
    /// Jobs that are due but keep a process running.
    pub kept_running: Vec<JobId>,
    /// Jobs that are due but whose files cannot be removed, and why. They stay in the ledger.
    pub failed: Vec<(JobId, String)>,
    /// Follow-ups that were undelivered for too long (`retention.undelivered`) and are dead now; with
    /// [`PruneOptions::dry_run`], those that would be.
    pub expired: usize,
}

/// What is pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneOptions {
    /// How long ago a job has to have ended; `retention.finished` of the configuration where this is `None`.
    pub older_than: Option<Duration>,
    /// Only says what would be removed.
    pub dry_run: bool,
}

/// How far one application of retention is. Jobs that cannot be removed are passed over once, not met again and again.
#[derive(Debug)]
pub(crate) struct PrunePass {
    before_ms: i64,
    undelivered_before_ms: i64,
    expires: bool,
    /// The end and number of the last job that was looked at.
    after: (i64, i64),
    dry_run: bool,
}

impl Homing {
    /// Removes every job that ended longer than `older_than` ago and that nobody has to be told of any more. A job
    /// whose follow-up is open is never removed.
    ///
    /// # Errors
    /// As [`Homing::prune_with`].
    pub fn prune(&self, older_than: Duration) -> Result<PruneReport> {
        self.prune_with(&PruneOptions { older_than: Some(older_than), dry_run: false })
    }

    /// As [`Homing::prune`], with more to say about it. Gives up follow-ups first that are undelivered for longer than
    /// `retention.undelivered` (30 days).
    ///
    /// # Errors
    /// When the ledger cannot be read or written, or the jobs' directory cannot be synced. What was removed by then
    /// stays removed. A job whose files cannot be removed is no error: it is in the report.
    pub fn prune_with(&self, options: &PruneOptions) -> Result<PruneReport> {
        if options.dry_run {
            self.sync()?;
        } else {
            self.recover_all(RecoverOptions::default())?;
        }
        self.prune_known(options)
    }

    /// As [`Homing::prune_with`], for a ledger that is up to date.
    pub(crate) fn prune_known(&self, options: &PruneOptions) -> Result<PruneReport> {
        let mut report = PruneReport::default();
        let mut pass = self.begin_pruning(options);
        while !self.prune_batch(&mut pass, &mut report)? {}
        Ok(report)
    }

    /// Begins what retention asks for, where that was not done for a day; `None` where it was.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(crate) fn pruning_due(&self) -> Result<Option<PrunePass>> {
        let last = self.with_ledger(|ledger| ledger.pruned_at())?;
        let every = i64::try_from(EVERY.as_millis()).unwrap_or(i64::MAX);
        // A clock that was set back makes the last time lie ahead; that is no reason to wait for it.
        let is_fresh = last.is_some_and(|last| (0..every).contains(&(self.now().as_unix_millis() - last)));
        Ok((!is_fresh).then(|| self.begin_pruning(&PruneOptions::default())))
    }

    fn begin_pruning(&self, options: &PruneOptions) -> PrunePass {
        let retention = &self.config.retention;
        let before = |age: Duration| self.now().saturating_sub(age).as_unix_millis();
        PrunePass {
            before_ms: before(options.older_than.unwrap_or(retention.finished)),
            undelivered_before_ms: before(retention.undelivered),
            expires: true,
            after: (i64::MIN, i64::MIN),
            dry_run: options.dry_run,
        }
    }

    /// Does the next batch, and answers whether it was the last.
    ///
    /// # Errors
    /// As [`Homing::prune_with`].
    pub(crate) fn prune_batch(&self, pass: &mut PrunePass, report: &mut PruneReport) -> Result<bool> {
        if pass.expires {
            pass.expires = self.expire_batch(pass, report)?;
            return Ok(false);
        }
        let due = self.with_ledger(|ledger| ledger.prunable(pass.before_ms, pass.after, BATCH))?;
        let Some(last) = due.last() else { return self.end_pruning(pass).map(|()| true) };
        pass.after = last.place();
        let mut removed = Vec::with_capacity(due.len());
        for job in due {
            match self.is_looked_after(job.id) {
                Ok(true) => report.kept_running.push(job.id),
                Ok(false) if pass.dry_run => removed.push(job),
                // The directory before the row: found the other way round, the job would look new, and be told again.
                Ok(false) => match self.remove_finished_job(&job) {
                    Ok(()) => removed.push(job),
                    Err(error) => report.failed.push((job.id, error.to_string())),
                },
                Err(error) => report.failed.push((job.id, error.to_string())),
            }
        }
        if !pass.dry_run {
            crash_point("prune/files_removed");
            // A row that is gone while a power cut brings the directory back would make the job new.
            self.home.jobs.sync()?;
            self.with_ledger(|ledger| ledger.forget(&removed))?;
        }
        report.removed.extend(removed.into_iter().map(|job| job.id));
        Ok(false)
    }

    /// Gives up the next follow-ups that are undelivered for too long. Answers whether there may be more.
    fn expire_batch(&self, pass: &PrunePass, report: &mut PruneReport) -> Result<bool> {
        let (before, now) = (pass.undelivered_before_ms, self.now().as_unix_millis());
        if pass.dry_run {
            report.expired = self.with_ledger(|ledger| ledger.expirable(before))?;
            return Ok(false);
        }
        let expired = self.with_ledger(|ledger| ledger.expire(before, now, BATCH))?;
        report.expired += expired;
        Ok(expired == BATCH as usize)
    }

    fn end_pruning(&self, pass: &PrunePass) -> Result<()> {
        if pass.dry_run {
            return Ok(());
        }
        remove_abandoned();
        self.clear_abandoned_launches()?;
        // The last hour's wakes are what the budget counts.
        let within_budget = self.now().saturating_sub(BUDGET_WINDOW).as_unix_millis();
        self.with_ledger(|ledger| ledger.forget_wakes(pass.before_ms.min(within_budget)))?;
        let now_ms = self.now().as_unix_millis();
        self.with_ledger(|ledger| ledger.set_pruned_at(now_ms))
    }

    /// Removes the directory of a job that is over, the spec first: from then on there is no job. Where something lies in
    /// it that is none of ours and cannot be removed like a file, nothing is removed. What was launched under the same key
    /// meanwhile is another job, and stays.
    fn remove_finished_job(&self, job: &Prunable) -> Result<(), DiskError> {
        let (jobs, name) = (&self.home.jobs, job.id.as_str());
        let directory = match jobs.open_job(job.id) {
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        if SpecFile::read(&directory)?.is_some_and(|spec| Launch::of(&spec) != job.launch) {
            return Ok(());
        }
        let names = directory.names()?;
        if let Some(folder) = names.iter().find(|name| is_directory(&directory, name)) {
            let planted = io::Error::new(io::ErrorKind::IsADirectory, "it is a directory that homing did not create");
            return Err(directory.error("remove", folder, planted));
        }
        directory.remove_file(SPEC)?;
        for name in names {
            directory.remove_file(&name)?;
        }
        match jobs.remove_directory(name) {
            Err(error) if directory.is_at(jobs, name) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

fn is_directory(parent: &Directory, name: &str) -> bool {
    parent.open_directory(name).is_ok()
}
