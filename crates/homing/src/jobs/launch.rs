//! Launches jobs.

use homing_core::{Job, StateName};

use crate::Result;
use crate::context::Context;
use crate::store::launch::{Attachment, Launched};
use crate::store::spec::JobSpec;

/// The result of [`Homing::launch_or_find`](crate::Homing::launch_or_find).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Launch {
    /// The job.
    pub job: Job,
    /// Whether this call started it. `false` if an earlier launch with the same key did.
    pub is_new: bool,
}

impl Context {
    /// Launches a job. Uses the ledger only for a job that an earlier launch with the same key started and that has
    /// finished since.
    pub(crate) fn launch(&self, spec: &JobSpec) -> Result<Job> {
        self.launch_and_attach(spec).map(|(launch, _)| launch.job)
    }

    /// As [`Context::launch`], and says whether the job is new.
    pub(crate) fn launch_or_find(&self, spec: &JobSpec) -> Result<Launch> {
        self.launch_and_attach(spec).map(|(launch, _)| launch)
    }

    /// As [`Context::launch_or_find`], and returns the pipes to the supervisor if the launcher follows the output and this call has
    /// started the job.
    pub(crate) fn launch_and_attach(&self, spec: &JobSpec) -> Result<(Launch, Option<Attachment>)> {
        let launched = match &spec.executor {
            None => self.store.launch(spec)?,
            Some(executor) => self.launch_on(executor, spec)?,
        };
        let (launch, attachment) = match launched {
            Launched::Now(job, attachment) => {
                tracing::info!(job = %job.id, session = %job.session, "launched");
                (Launch { job: *job, is_new: true }, attachment.map(|attachment| *attachment))
            }
            Launched::Before(job) if job.state.name() == StateName::Finished => {
                (Launch { job: self.get(job.id).unwrap_or(*job), is_new: false }, None)
            }
            Launched::Before(job) => (Launch { job: *job, is_new: false }, None),
        };
        Ok((launch, attachment))
    }
}
