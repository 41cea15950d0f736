//! `kill_jobs`: stops jobs and every process they started.

use super::super::answer::{Answer, ToolError};
use super::super::arguments::check_job_ids;
use super::super::facts::Facts;
use super::super::request::Request;
use super::super::waiting::kill;
use super::super::words::stopped_line;
use super::JobIds;
use crate::server::blocking;

pub(super) async fn call(arguments: JobIds, request: &Request) -> Result<Answer, ToolError> {
    let (scope, named) = (request.job_scope(), check_job_ids(arguments.job_ids)?);
    let before = blocking(move || scope.find_all(&named)).await?;
    let session = &request.origin.session;
    let jobs = before.iter().map(|job| (job.id, job.killer(session))).collect();
    let grace = before.iter().map(|job| job.limits.grace).max().unwrap_or_default();
    let after = kill(request, jobs, grace).await?;
    let text: String = before.iter().zip(&after).map(|(before, after)| stopped_line(before, after)).collect();
    Ok(Answer::new(text, &Facts::without_output(&after)))
}
