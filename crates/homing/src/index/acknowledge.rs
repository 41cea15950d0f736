//! Acknowledging, retrying and dropping follow-ups.

use homing_core::{FollowUpEvent, Job, JobId};
use homing_supervisor::layout::notify_change;

use crate::context::Context;
use crate::ledger::Moved;
use crate::{Error, Result};

impl Context {
    /// Acknowledges the results of these jobs: they were delivered, or the session has read them. They are not delivered
    /// again.
    pub(crate) fn acknowledge(&self, ids: &[JobId]) -> Result<Vec<Job>> {
        self.move_follow_ups(ids, FollowUpEvent::Acknowledged)
    }

    /// Makes follow-ups pending again, including dead and acknowledged ones.
    pub(crate) fn retry(&self, ids: &[JobId]) -> Result<Vec<Job>> {
        let jobs = self.move_follow_ups(ids, FollowUpEvent::Retried)?;
        // Notifies a monitor. If this fails, the monitor finds the follow-ups at its next check.
        for id in ids {
            let _ = notify_change(&self.store.home.inbox, *id);
        }
        Ok(jobs)
    }

    /// Drops follow-ups: the results are not delivered. Also works for jobs that still run.
    pub(crate) fn drop_follow_ups(&self, ids: &[JobId]) -> Result<Vec<Job>> {
        self.move_follow_ups(ids, FollowUpEvent::Dropped)
    }

    fn move_follow_ups(&self, ids: &[JobId], event: FollowUpEvent) -> Result<Vec<Job>> {
        // A follow-up becomes pending only when the ledger knows the outcome.
        self.get_all(ids)?;
        let now = self.now();
        for (id, moved) in self.with_ledger(|ledger| ledger.move_follow_ups(ids, event, now))? {
            match moved {
                Moved::To(_) => {}
                Moved::Unsupported(reason) => return Err(Error::Unsupported { job: id, reason }),
                Moved::NoSuchJob => return Err(Error::NoSuchJob(id.to_string())),
                Moved::Refused(source) => return Err(Error::FollowUpConflict { job: id, source }),
            }
        }
        self.get_all(ids)
    }
}
