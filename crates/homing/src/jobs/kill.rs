//! Ends jobs, and returns their final states.

use homing_core::{Job, JobId, KilledBy, SessionId};

use crate::Result;
use crate::context::Context;
use crate::store::kill::Killing;
use crate::store::observe::observe;
use crate::store::wait::Interruption;

impl Context {
    /// Ends jobs in parallel. Returns them in the requested order, when they have ended or when it is interrupted.
    pub(crate) fn kill(
        &self,
        jobs: &[(JobId, KilledBy)],
        mut interruption: Option<&mut Interruption<'_>>,
    ) -> Result<Vec<Job>> {
        let mut killing = self.store.begin_killing(jobs);
        while !self.has_killed(&mut killing)?
            && !interruption.as_mut().is_some_and(|interruption| (interruption.came)())
        {
            killing.wait(interruption.as_ref().and_then(|interruption| interruption.readable));
        }
        let ids: Vec<JobId> = jobs.iter().map(|(id, _)| *id).collect();
        self.get_all(&ids)
    }

    /// Does the next step. Returns whether all jobs have finished and none of their processes is left.
    pub(crate) fn has_killed(&self, killing: &mut Killing) -> Result<bool> {
        let unasked = killing.unasked();
        let ids: Vec<JobId> = unasked.iter().map(|(id, _)| *id).collect();
        self.record_kill_requests(&ids);
        self.ask_executors_to_kill(&unasked)?;
        self.store.advance_killing(killing, |id| self.exists(id))
    }

    /// Asks a job to end, and returns at once.
    pub(crate) fn request_kill(&self, id: JobId, by: KilledBy) -> Result<()> {
        self.record_kill_requests(&[id]);
        self.ask_executors_to_kill(&[(id, by)])?;
        self.store.request_kill(id, by, |id| self.exists(id))
    }

    /// Records who asks for the end of those of these jobs that have not finished. If that fails, they are ended all the
    /// same.
    fn record_kill_requests(&self, ids: &[JobId]) {
        let jobs: Vec<(JobId, SessionId)> =
            ids.iter().filter_map(|id| Some((*id, self.session_of_unfinished(*id)?))).collect();
        if jobs.is_empty() {
            return;
        }
        if let Err(error) = self.with_ledger(|ledger| ledger.record_kill_requests(&jobs)) {
            tracing::debug!(%error, "the request to end jobs was not recorded");
        }
    }

    fn session_of_unfinished(&self, id: JobId) -> Option<SessionId> {
        let seen = observe(&self.store.home.jobs, id, self.store.here().ok()?).ok()??;
        seen.finished.is_none().then_some(seen.spec.session)
    }
}
