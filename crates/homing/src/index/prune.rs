//! Retention: expires follow-ups that are undelivered for weeks, and deletes finished and acknowledged jobs. Works in
//! batches. Only the monitor, `recover` and `prune` call it, never a launch or a reader.

use std::io;
use std::time::Duration;

use homing_core::{BUDGET_WINDOW, JobId};
use homing_supervisor::layout::{Directory, SPEC};
use homing_supervisor::platform::group::remove_abandoned;
use homing_supervisor::{DiskError, SpecFile, crash_point};

use crate::Result;
use crate::context::Context;
use crate::ledger::{Launch, Ledger, Prunable};
use crate::store::recover::RecoverOptions;

/// Jobs that are deleted, and follow-ups that expire, in one transaction.
const BATCH: u32 = 500;

/// How often retention is applied automatically.
const EVERY: Duration = Duration::from_secs(86_400);

/// The result of pruning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PruneReport {
    /// The deleted jobs; with [`PruneOptions::dry_run`], the jobs that would be deleted.
    pub removed: Vec<JobId>,
    /// Jobs that are due but have left a process running.
    pub kept_running: Vec<JobId>,
    /// Jobs that are due but whose files cannot be deleted, and why. They stay in the ledger.
    pub failed: Vec<(JobId, String)>,
    /// Follow-ups that were undelivered for too long (`retention.undelivered`) and are dead now; with
    /// [`PruneOptions::dry_run`], those that would be.
    pub expired: usize,
}

/// Options for pruning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneOptions {
    /// Prunes jobs that ended longer ago than this. The default is `retention.finished` of the configuration.
    pub older_than: Option<Duration>,
    /// Deletes nothing, and reports what would be deleted.
    pub dry_run: bool,
}

/// The progress of one application of retention. It tries each job once, even if the job cannot be deleted.
#[derive(Debug)]
pub(crate) struct PrunePass {
    before_ms: i64,
    undelivered_before_ms: i64,
    expires: bool,
    /// The end time and number of the last job that was tried.
    after: (i64, i64),
    dry_run: bool,
}

impl Context {
    /// Deletes every job that ended longer than `older_than` ago and whose result needs no delivery. Never deletes a job
    /// with an open follow-up.
    pub(crate) fn prune(&self, older_than: Duration) -> Result<PruneReport> {
        self.prune_with(&PruneOptions { older_than: Some(older_than), dry_run: false })
    }

    /// As [`Homing::prune`](crate::Homing::prune), with options. First expires follow-ups that are undelivered for longer than
    /// `retention.undelivered` (30 days).
    pub(crate) fn prune_with(&self, options: &PruneOptions) -> Result<PruneReport> {
        if options.dry_run {
            self.sync()?;
        } else {
            self.recover_all(RecoverOptions::default())?;
        }
        self.prune_known(options)
    }

    /// As [`Homing::prune_with`](crate::Homing::prune_with), for a ledger that is up to date.
    pub(crate) fn prune_known(&self, options: &PruneOptions) -> Result<PruneReport> {
        let mut report = PruneReport::default();
        let mut pass = self.begin_pruning(options);
        while !self.prune_batch(&mut pass, &mut report)? {}
        Ok(report)
    }

    /// Begins to apply retention. Returns `None` if it was applied within the last day.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(crate) fn pruning_due(&self) -> Result<Option<PrunePass>> {
        let last = self.with_ledger(|ledger| ledger.pruned_at())?;
        let every = i64::try_from(EVERY.as_millis()).unwrap_or(i64::MAX);
        // After the clock was set back, the last time may be in the future: do not wait for it.
        let is_fresh = last.is_some_and(|last| (0..every).contains(&(self.now().as_unix_millis() - last)));
        Ok((!is_fresh).then(|| self.begin_pruning(&PruneOptions::default())))
    }

    fn begin_pruning(&self, options: &PruneOptions) -> PrunePass {
        let retention = &self.config().retention;
        let before = |age: Duration| self.now().saturating_sub(age).as_unix_millis();
        PrunePass {
            before_ms: before(options.older_than.unwrap_or(retention.finished)),
            undelivered_before_ms: before(retention.undelivered),
            expires: true,
            after: (i64::MIN, i64::MIN),
            dry_run: options.dry_run,
        }
    }

    /// Prunes the next batch. Returns whether it was the last.
    ///
    /// # Errors
    /// As [`Homing::prune_with`](crate::Homing::prune_with).
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
            match self.store.has_live_supervisor(job.id) {
                Ok(true) => report.kept_running.push(job.id),
                Ok(false) if pass.dry_run => removed.push(job),
                // Delete the directory before the row. Otherwise the job would look new, and its result be delivered again.
                Ok(false) => match self.remove_finished_job(&job) {
                    Ok(()) => removed.push(job),
                    Err(error) => report.failed.push((job.id, error.to_string())),
                },
                Err(error) => report.failed.push((job.id, error.to_string())),
            }
        }
        if !pass.dry_run {
            crash_point("prune/files_removed");
            // If a power cut restored the directory after its row was deleted, the job would look new.
            self.store.home.jobs.sync()?;
            self.with_ledger(|ledger| ledger.forget(&removed))?;
        }
        report.removed.extend(removed.into_iter().map(|job| job.id));
        Ok(false)
    }

    /// Expires the next follow-ups that are undelivered for too long. Returns whether there may be more.
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
        self.store.clear_abandoned_launches()?;
        // The budget counts the wakes of the last hour.
        let within_budget = self.now().saturating_sub(BUDGET_WINDOW).as_unix_millis();
        self.with_ledger(|ledger| ledger.forget_wakes(pass.before_ms.min(within_budget)))?;
        // Events are also deleted while others are recorded. This applies a limit that was lowered.
        while self.with_ledger(Ledger::trim_events)? {}
        let now_ms = self.now().as_unix_millis();
        self.with_ledger(|ledger| ledger.set_pruned_at(now_ms))
    }

    /// Deletes the directory of a finished job, the spec first: without a spec it is not a job. Deletes nothing if the
    /// directory contains a foreign entry that is not a file. Keeps a newer job that was launched under the same key.
    pub(crate) fn remove_finished_job(&self, job: &Prunable) -> Result<(), DiskError> {
        let (jobs, name) = (&self.store.home.jobs, job.id.as_str());
        let Some(directory) = jobs.find_directory(name)? else { return Ok(()) };
        if SpecFile::read(&directory)?.is_some_and(|spec| Launch::of(&spec) != job.launch) {
            return Ok(());
        }
        let names = directory.names()?;
        if let Some(folder) = names.iter().find(|name| is_directory(&directory, name)) {
            let planted =
                io::Error::new(io::ErrorKind::IsADirectory, "it is a directory that homing did not create");
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
