//! Launches jobs.

use homing_core::{Job, StateName};

use crate::Result;
use crate::context::Context;
use crate::store::launch::{Attachment, Launched};
use crate::store::spec::JobSpec;

impl Context {
    /// Launches a job. Uses the ledger only for a job that an earlier launch with the same key started and that has
    /// finished since.
    pub(crate) fn launch(&self, spec: &JobSpec) -> Result<Job> {
        self.launch_and_attach(spec).map(|(job, _)| job)
    }

    /// As [`Context::launch`], and returns the pipes to the supervisor if the launcher follows the output and this call has
    /// started the job.
    pub(crate) fn launch_and_attach(&self, spec: &JobSpec) -> Result<(Job, Option<Attachment>)> {
        match self.store.launch(spec)? {
            Launched::Now(job, attachment) => {
                tracing::info!(job = %job.id, session = %job.session, "launched");
                Ok((*job, attachment.map(|attachment| *attachment)))
            }
            Launched::Before(job) if job.state.name() == StateName::Finished => {
                Ok((self.get(job.id).unwrap_or(*job), None))
            }
            Launched::Before(job) => Ok((*job, None)),
        }
    }
}
