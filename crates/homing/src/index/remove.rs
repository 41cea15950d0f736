//! Deletes single jobs on request: finished and acknowledged ones, never others.

use std::time::{Duration, Instant};

use homing_core::{Job, JobId, LeftoverFate};
use homing_supervisor::crash_point;

use crate::context::Context;
use crate::error::NotRemovable;
use crate::store::recover::RecoverOptions;
use crate::{Error, Result};

/// How long a supervisor may take to exit after it has recorded the outcome.
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest pause between two looks at a supervisor that exits.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

impl Context {
    /// As [`Homing::remove`](crate::Homing::remove).
    pub(crate) fn remove(&self, ids: &[JobId]) -> Result<Vec<Job>> {
        let mut jobs = self.get_all(ids)?;
        let needs_recovery =
            |job: &Job| job.state.finished().is_some_and(|finished| finished.recovery.is_some());
        if jobs.iter().any(needs_recovery) {
            self.recover_jobs(ids, RecoverOptions::default())?;
            jobs = self.get_all(ids)?;
        }
        for job in &jobs {
            if let Some(reason) = self.reason_to_keep(job)? {
                return Err(Error::NotRemovable { job: job.id, reason });
            }
        }
        let removable = self.with_ledger(|ledger| ledger.removable(ids))?;
        let mut removed = Vec::with_capacity(removable.len());
        let mut failed = None;
        for job in removable {
            // The directory before the row, as in `prune`.
            match self.remove_finished_job(&job) {
                Ok(()) => removed.push(job),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        crash_point("remove/files_removed");
        self.store.home.jobs.sync()?;
        self.with_ledger(|ledger| ledger.forget(&removed))?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        jobs.retain(|job| removed.iter().any(|removed| removed.id == job.id));
        Ok(jobs)
    }

    /// Why a job must be kept; `None` if it may be deleted.
    fn reason_to_keep(&self, job: &Job) -> Result<Option<NotRemovable>> {
        let Some(finished) = job.state.finished() else {
            return Ok(Some(NotRemovable::Unfinished(job.state.name())));
        };
        if job.follow_up.state.is_open() {
            return Ok(Some(NotRemovable::Unacknowledged(job.follow_up.state)));
        }
        let keeps_leftovers = finished.leftovers.iter().any(|leftover| leftover.fate == LeftoverFate::Kept);
        if finished.recovery.is_some() || self.stays_supervised(job.id, keeps_leftovers)? {
            return Ok(Some(NotRemovable::ProcessesLeft));
        }
        Ok(None)
    }

    /// Whether a finished job still has a supervisor. A supervisor without leftovers is about to exit, so waits for it.
    fn stays_supervised(&self, id: JobId, keeps_leftovers: bool) -> Result<bool> {
        let give_up_at = Instant::now() + EXIT_TIMEOUT;
        let mut pause = Duration::from_millis(1);
        loop {
            if !self.store.has_live_supervisor(id)? {
                return Ok(false);
            }
            if keeps_leftovers || Instant::now() >= give_up_at {
                return Ok(true);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
