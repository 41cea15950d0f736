//! Waits until jobs have finished.

use std::time::{Duration, Instant};

use homing_core::{Job, JobId};

use crate::Result;
use crate::context::Context;
use crate::store::wait::{Interruption, WaitFor, Waiting};

/// The result of a wait.
#[derive(Clone, Debug)]
pub struct Waited {
    /// Whether the condition was met. If not, the wait timed out or was interrupted.
    pub satisfied: bool,
    /// The current state of the jobs, in the requested order.
    pub jobs: Vec<Job>,
}

impl Context {
    /// Waits until jobs have finished, until `timeout` expires, or until it is interrupted.
    pub(crate) fn wait(
        &self,
        ids: &[JobId],
        wait_for: WaitFor,
        timeout: Option<Duration>,
        mut interruption: Option<&mut Interruption<'_>>,
    ) -> Result<Waited> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut waiting = Waiting::new(&self.store.home, ids, wait_for);
        self.start_mirrors()?;
        loop {
            let satisfied = self.is_satisfied(&mut waiting)?;
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if satisfied
                || interruption.as_mut().is_some_and(|interruption| (interruption.came)())
                || left.is_some_and(|left| left.is_zero())
            {
                return Ok(Waited { satisfied, jobs: self.get_all(ids)? });
            }
            waiting.wait(interruption.as_ref().and_then(|interruption| interruption.readable), left);
        }
    }

    /// Whether the condition of the wait is met. Does not wait for jobs.
    pub(crate) fn is_satisfied(&self, waiting: &mut Waiting) -> Result<bool> {
        waiting.check(|id| self.is_finished(id))
    }

    /// Whether a job has finished. Observes the job itself, not the ledger.
    pub(crate) fn is_finished(&self, id: JobId) -> Result<bool> {
        match self.store.is_finished(id)? {
            Some(is_finished) => Ok(is_finished),
            // The ledger may have a job whose directory is gone; it has finished too.
            None => self.get(id).map(|_| true),
        }
    }
}
