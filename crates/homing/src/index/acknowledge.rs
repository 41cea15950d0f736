//! Acknowledging, retrying and dropping follow-ups.

use homing_core::{FollowUpEvent, Job, JobId};
use homing_supervisor::layout::notify_change;

use crate::homing::Homing;
use crate::ledger::Moved;
use crate::{Error, Result};

impl Homing {
    /// Notes that the session was told of these jobs, or has read their results itself: it is not told again.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`]; [`Error::FollowUpConflict`] where one is not over yet. Then none is acknowledged.
    pub fn acknowledge(&self, ids: &[JobId]) -> Result<Vec<Job>> {
        self.move_follow_ups(ids, FollowUpEvent::Acknowledged)
    }

    /// Makes follow-ups pending again, dead and acknowledged ones too.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`]; [`Error::FollowUpConflict`] where one is not over yet. Then none is retried.
    pub fn retry(&self, ids: &[JobId]) -> Result<Vec<Job>> {
        let jobs = self.move_follow_ups(ids, FollowUpEvent::Retried)?;
        // So that a monitor looks at them. Where the bell cannot ring, it finds them when it looks next.
        for id in ids {
            let _ = notify_change(&self.home.inbox, *id);
        }
        Ok(jobs)
    }

    /// Gives follow-ups up: nobody is told. Of a job that still runs too.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`]; then none is dropped.
    pub fn drop_follow_ups(&self, ids: &[JobId]) -> Result<Vec<Job>> {
        self.move_follow_ups(ids, FollowUpEvent::Dropped)
    }

    fn move_follow_ups(&self, ids: &[JobId], event: FollowUpEvent) -> Result<Vec<Job>> {
        // Their ends have to be known before anything can be owed.
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
