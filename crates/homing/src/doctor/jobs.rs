//! Checks the ledger and the jobs in it.

use std::collections::HashSet;

use homing_core::JobId;

use crate::Result;
use crate::check::{Check, Verdict};
use crate::context::Context;

/// The most unsupported jobs that are listed.
const MAX_UNSUPPORTED: u32 = 20;

impl Context {
    /// Updates the ledger, then checks every job.
    pub(super) fn check_jobs(&self) -> Result<Vec<Check>> {
        let report = self.full_scan()?;
        let damage = self.with_ledger(|ledger| ledger.damage())?;
        let in_ledger: HashSet<JobId> = self.with_ledger(|ledger| ledger.all_ids())?.into_iter().collect();
        let mut checks = Vec::new();
        checks.push(match damage {
            None => Check::new("ledger", Verdict::Ok, format!("{} jobs", in_ledger.len())),
            Some(damage) => Check::new("ledger", Verdict::Problem, damage)
                .hint("move ledger.db away; homing rebuilds it from the job directories"),
        });
        checks.extend(self.check_recovery(report.unreachable.len())?);
        let running = self.with_ledger(|ledger| ledger.unfinished())?;
        let mut held = 0;
        for (id, _) in &running {
            held += usize::from(self.store.has_live_supervisor(*id)?);
        }
        checks.push(Check::new("running", Verdict::Ok, format!("{} jobs, {held} locks held", running.len())));
        checks.push(self.check_strays(&in_ledger)?);
        checks.extend(self.check_undelivered()?);
        checks.extend(self.check_unsupported()?);
        for (id, error) in report.unreadable {
            checks.push(
                Check::new("job", Verdict::Problem, format!("{id}: {error}"))
                    .hint(format!("inspect {}", self.store.home.jobs.path().join(id.as_str()).display())),
            );
        }
        Ok(checks)
    }

    /// Counts the jobs that need recovery, and those that this process cannot observe.
    fn check_recovery(&self, unreachable: usize) -> Result<Vec<Check>> {
        let abandoned = self.with_ledger(|ledger| ledger.needing_recovery())?.len();
        let mut checks = Vec::new();
        if abandoned > 0 {
            checks.push(
                Check::new(
                    "recovery",
                    Verdict::Note,
                    format!("{abandoned} jobs have lost their supervisor; their processes may still run"),
                )
                .hint("run `homing recover` to end the processes and record the outcomes; a running monitor also does this"),
            );
        }
        if unreachable > 0 {
            checks.push(
                Check::new(
                    "hosts",
                    Verdict::Note,
                    format!(
                        "{unreachable} jobs were launched on another host or in another container and may still run there"
                    ),
                )
                .hint("run `homing recover` there, or `homing recover --assume-gone` here if that host is gone"),
            );
        }
        Ok(checks)
    }

    /// Lists the jobs that a newer program wrote.
    fn check_unsupported(&self) -> Result<Vec<Check>> {
        let rows = self.with_ledger(|ledger| ledger.unsupported(MAX_UNSUPPORTED))?;
        Ok(rows
            .into_iter()
            .map(|(id, reason)| {
                let detail = format!("{id} was written by a newer program and is not changed: {reason}");
                Check::new("job", Verdict::Note, detail).hint("update this program")
            })
            .collect())
    }
}
