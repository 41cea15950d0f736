//! Ends jobs, and returns their final states.

use homing_core::{Job, JobId, KilledBy, SessionId};
use homing_supervisor::SpecFile;

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
        self.announce(&killing.unasked())?;
        self.store.advance_killing(killing, |id| self.exists(id))
    }

    /// Asks a job to end, and returns at once.
    pub(crate) fn request_kill(&self, id: JobId, by: KilledBy) -> Result<()> {
        self.announce(&[(id, by)])?;
        self.store.request_kill(id, by, |id| self.exists(id))
    }

    /// Records who asks for the end of those of these jobs that have not finished, and asks their executors. If the record
    /// fails, the jobs are ended all the same.
    fn announce(&self, jobs: &[(JobId, KilledBy)]) -> Result<()> {
        let unfinished: Vec<(SpecFile, KilledBy)> =
            jobs.iter().filter_map(|(id, by)| Some((self.spec_of_unfinished(*id)?, *by))).collect();
        if unfinished.is_empty() {
            return Ok(());
        }
        let sessions: Vec<(JobId, SessionId)> =
            unfinished.iter().map(|(spec, _)| (spec.id, spec.session.clone())).collect();
        if let Err(error) = self.with_ledger(|ledger| ledger.record_kill_requests(&sessions)) {
            tracing::debug!(%error, "the request to end jobs was not recorded");
        }
        self.ask_executors_to_kill(&unfinished)
    }

    fn spec_of_unfinished(&self, id: JobId) -> Option<SpecFile> {
        let seen = observe(&self.store.home.jobs, id, self.store.here().ok()?).ok()??;
        seen.finished.is_none().then_some(seen.spec)
    }
}
