//! Removes jobs that are over and told, after a while.

use std::time::Duration;

use homing_core::{BUDGET_WINDOW, JobId};
use homing_supervisor::platform::cgroup::remove_abandoned;

use crate::Result;
use crate::homing::Homing;
use crate::ledger::Launch;
use crate::recover::RecoverOptions;

/// What pruning removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// The jobs that are gone.
    pub removed: Vec<JobId>,
    /// Jobs that are due but keep a process running.
    pub kept_running: Vec<JobId>,
}

impl Homing {
    /// Removes every job that ended longer than `older_than` ago and that nobody has to be told of any more. A job
    /// whose follow-up is open is never removed.
    ///
    /// # Errors
    /// When a directory cannot be removed or the ledger cannot be written. What was removed by then stays removed.
    pub fn prune(&self, older_than: Duration) -> Result<PruneReport> {
        self.recover(RecoverOptions::default())?;
        self.prune_known(older_than)
    }

    /// As [`Homing::prune`], for a ledger that is up to date.
    pub(crate) fn prune_known(&self, older_than: Duration) -> Result<PruneReport> {
        remove_abandoned();
        let before_ms = self.now().saturating_sub(older_than).as_unix_millis();
        self.clear_abandoned_launches()?;
        let due = self.with_ledger(|ledger| ledger.prunable(before_ms))?;
        let mut report = PruneReport::default();
        let mut gone = Vec::new();
        for job in due {
            if self.is_looked_after(job.id)? {
                report.kept_running.push(job.id);
                continue;
            }
            // The directory before the row: found the other way round, the job would look new, and be told again.
            if self.remove_launch(job.id, |spec| Launch::of(spec) == job.launch).is_err() {
                continue;
            }
            report.removed.push(job.id);
            gone.push(job);
        }
        self.with_ledger(|ledger| ledger.forget(&gone))?;
        // The last hour's wakes are what the budget counts.
        let within_budget = self.now().saturating_sub(BUDGET_WINDOW).as_unix_millis();
        self.with_ledger(|ledger| ledger.forget_wakes(before_ms.min(within_budget)))?;
        Ok(report)
    }
}
