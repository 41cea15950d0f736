//! Recovers every job whose supervisor died, and updates the ledger.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use homing_core::{JobId, KilledBy};
use homing_supervisor::platform::group::remove_abandoned;
use homing_supervisor::{DiskError, find_unlinked_supervisors};

use crate::Result;
use crate::context::Context;
use crate::index::prune::PruneReport;
use crate::store::observe::StartKnowledge;
use crate::store::recover::{RecoverOptions, Recovered};
use crate::store::set_aside::Depth;

/// The result of [`Homing::recover`](crate::Homing::recover).
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct RecoverReport {
    /// Jobs whose outcome was recorded, or whose remaining processes were ended.
    pub recovered: Vec<JobId>,
    /// Jobs that kept running after their directory was removed or renamed, with that directory. Their supervisors and
    /// processes were ended.
    pub ended_without_directory: Vec<(JobId, PathBuf)>,
    /// Jobs that this process cannot recover, and why.
    pub left: Vec<(JobId, String)>,
    /// Jobs that could not be read or written.
    pub failed: Vec<(JobId, DiskError)>,
    /// Foreign files of the home, and where they were moved.
    pub set_aside: Vec<(PathBuf, PathBuf)>,
    /// Jobs that retention deleted.
    pub pruned: Vec<JobId>,
}

impl Context {
    /// Recovers every job whose supervisor died: ends and reports its processes, and records the outcome `lost`. Ends every
    /// job that still runs after its directory was removed or renamed. Moves foreign files into `set-aside/`, and applies
    /// retention at most once a day. The monitor and long-running hosts call this; reading a home never does.
    pub(crate) fn recover(&self, options: RecoverOptions) -> Result<RecoverReport> {
        let mut report = self.recover_all(options)?;
        let moved = self.store.set_planted_aside(Depth::Jobs)?;
        report.set_aside = moved.into_iter().map(|(planted, place)| (planted.path, place)).collect();
        if let Some(mut pass) = self.pruning_due()? {
            let mut pruned = PruneReport::default();
            while !self.prune_batch(&mut pass, &mut pruned)? {}
            report.pruned = pruned.removed;
        }
        Ok(report)
    }

    /// As [`Homing::recover`](crate::Homing::recover), for jobs only.
    pub(crate) fn recover_all(&self, options: RecoverOptions) -> Result<RecoverReport> {
        remove_abandoned();
        let unreachable = self.full_scan()?.unreachable;
        let mut jobs = self.with_ledger(|ledger| ledger.needing_recovery())?;
        jobs.extend(unreachable);
        if options.assume_gone {
            jobs.extend(self.jobs_of_unreachable_executors()?);
        }
        let mut report = self.recover_jobs(&jobs, options)?;
        self.end_unlinked(&mut report);
        self.start_mirrors()?;
        Ok(report)
    }

    /// The unfinished jobs of executors to which there is no connection.
    fn jobs_of_unreachable_executors(&self) -> Result<Vec<JobId>> {
        let unfinished = self.with_ledger(|ledger| ledger.unfinished_on_executors())?;
        let is_reached =
            |executor: &str| self.executor_health(executor).is_some_and(|health| health.connected);
        let unreached = unfinished.into_iter().filter(|(_, executor)| !is_reached(executor));
        Ok(unreached.map(|(job, _)| job).collect())
    }

    /// Starts the mirrors of executors that have unfinished jobs and whose mirror has died, for example in a reboot.
    /// Returns one such job, if there is any.
    pub(crate) fn start_mirrors(&self) -> Result<Option<JobId>> {
        if self.config().executors.is_empty() {
            return Ok(None);
        }
        let unfinished = self.with_ledger(|ledger| ledger.unfinished_on_executors())?;
        for executor in unfinished.values().collect::<BTreeSet<_>>() {
            if self.config().executors.contains_key(executor) {
                // The executor goes on without it.
                if let Err(error) = self.start_mirror_if_needed(executor) {
                    tracing::warn!(%executor, %error, "no mirror was started");
                }
            }
        }
        Ok(unfinished.into_keys().next())
    }

    /// Ends the supervisors whose job directory is no longer in this home, and their jobs.
    fn end_unlinked(&self, report: &mut RecoverReport) {
        let found = find_unlinked_supervisors(&self.store.home.jobs);
        for supervisor in &found {
            // Ask all before waiting for the first. A supervisor that cannot be asked is killed below.
            let _ = supervisor.request_end(KilledBy::Outside);
        }
        for supervisor in found {
            match supervisor.end(KilledBy::Outside) {
                Ok(_) => report.ended_without_directory.push((supervisor.job, supervisor.directory)),
                Err(error) => {
                    let (job, pid) = (supervisor.job, supervisor.process.pid);
                    report.left.push((job, format!("cannot end its supervisor (process {pid}): {error}")));
                }
            }
        }
    }

    /// Recovers those of these jobs that need it, and updates the ledger.
    pub(crate) fn recover_jobs(&self, jobs: &[JobId], options: RecoverOptions) -> Result<RecoverReport> {
        let mut report = RecoverReport::default();
        let mut seen = HashSet::new();
        for id in jobs.iter().copied().filter(|id| seen.insert(*id)) {
            match self.store.recover_job(id, StartKnowledge::MayAppear, options) {
                Ok(Recovered::Done) => {
                    tracing::warn!(job = %id, "recovered: its supervisor had died");
                    report.recovered.push(id);
                }
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
}
