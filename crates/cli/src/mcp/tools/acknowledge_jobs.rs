//! `acknowledge_jobs`: marks results as read by the session.

use homing::JobId;
use rmcp::model::Tool;
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::answer::{Answer, ToolError};
use super::super::blocking::blocking;
use super::super::documents::{JobsDocument, documents};
use super::super::request::Request;
use super::{acknowledges, check_job_ids, define};
use crate::render::follow_up_summary;

/// The jobs.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// Ids of finished jobs, at most 20.
    #[schemars(length(min = 1, max = 20))]
    job_ids: Vec<String>,
}

pub(super) fn tool() -> Tool {
    define::<Arguments, JobsDocument>(
        "acknowledge_jobs",
        "Acknowledge results",
        "Mark the results of these jobs as read, so that you are not notified of them again. wait_for_jobs and \
         get_result do this themselves; use it when a notification asks for it.",
        acknowledges(),
    )
}

pub(super) async fn call(arguments: Arguments, request: &Request) -> Result<Answer, ToolError> {
    let (scope, named) = (request.job_scope(), check_job_ids(arguments.job_ids)?);
    let homing = request.homing.clone();
    let jobs = blocking(move || {
        let ids: Vec<JobId> = scope.find_all(&named)?.iter().map(|job| job.id).collect();
        Ok::<_, ToolError>(homing.acknowledge(&ids)?)
    })
    .await?;
    let text: String = jobs.iter().map(|job| follow_up_summary(job) + "\n").collect();
    Ok(Answer::new(text.clone(), &JobsDocument { text, jobs: documents(jobs) }))
}
