//! Launches jobs.

use homing_core::{Job, StateName};

use crate::Result;
use crate::context::Context;
use crate::store::launch::Launched;
use crate::store::spec::JobSpec;

impl Context {
    /// Launches a job. Uses the ledger only for a job that an earlier launch with the same key started and that has
    /// finished since.
    pub(crate) fn launch(&self, spec: &JobSpec) -> Result<Job> {
        match self.store.launch(spec)? {
            Launched::Now(job) => {
                tracing::info!(job = %job.id, session = %job.session, "launched");
                Ok(*job)
            }
            Launched::Before(job) if job.state.name() == StateName::Finished => {
                Ok(self.get(job.id).unwrap_or(*job))
            }
            Launched::Before(job) => Ok(*job),
        }
    }
}
