//! `acknowledge_jobs`: marks results as read by the session. Listed only where a sink needs it.

use homing::JobId;

use super::super::answer::{Answer, ToolError};
use super::super::arguments::check_job_ids;
use super::super::facts::Facts;
use super::super::request::Request;
use super::JobIds;
use crate::server::blocking;

pub(super) async fn call(arguments: JobIds, request: &Request) -> Result<Answer, ToolError> {
    let (scope, named) = (request.job_scope(), check_job_ids(arguments.job_ids)?);
    let homing = request.homing.for_session(&request.origin.session);
    let jobs = blocking(move || {
        let ids: Vec<JobId> = scope.find_all(&named)?.iter().map(|job| job.id).collect();
        Ok::<_, ToolError>(homing.acknowledge(&ids)?)
    })
    .await?;
    let ids: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
    let text = format!("Acknowledged: {}. You will not be notified of them again.\n", ids.join(", "));
    Ok(Answer::new(text, &Facts::without_output(&jobs)))
}
