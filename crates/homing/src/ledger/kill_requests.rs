//! Records who asks jobs to end. The record of a job has only the kind of the origin.

use std::time::Duration;

use homing_core::{EventKind, JobId, SessionId};

use super::Ledger;
use super::writer::NewEvent;

/// How long a kill waits for a ledger that another process has locked. Then it ends the jobs without the event.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

impl Ledger {
    /// Records that these jobs are about to be asked to end.
    pub(crate) fn record_kill_requests(&mut self, jobs: &[(JobId, SessionId)]) -> rusqlite::Result<()> {
        self.connection.busy_timeout(self.busy_timeout.min(LOCK_TIMEOUT))?;
        let recorded = self.try_record(jobs);
        self.connection.busy_timeout(self.busy_timeout)?;
        recorded
    }

    fn try_record(&mut self, jobs: &[(JobId, SessionId)]) -> rusqlite::Result<()> {
        let writer = self.begin()?;
        for (job, session) in jobs {
            writer.record(&NewEvent::of_job(EventKind::JobKillRequested, job.as_str(), session.as_str()))?;
        }
        writer.commit()
    }
}
