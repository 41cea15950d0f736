//! `kill_jobs`: stops jobs and every process they started.

use rmcp::model::{Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::answer::{Answer, ToolError};
use super::super::blocking;
use super::super::documents::{JobsDocument, documents};
use super::super::request::Request;
use super::super::waiting::kill;
use super::{check_job_ids, define};
use crate::render::{already_finished, summary};

/// The jobs.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// Ids of the jobs, at most 20.
    #[schemars(length(min = 1, max = 20))]
    job_ids: Vec<String>,
}

pub(super) fn tool() -> Tool {
    define::<Arguments, JobsDocument>(
        "kill_jobs",
        "Stop jobs",
        "Stop jobs and every process they started (SIGTERM, then SIGKILL after a grace period). Returns when no \
         process is left. You are not notified of jobs that you stop.",
        ToolAnnotations::new().read_only(false).destructive(true).idempotent(true).open_world(false),
    )
}

pub(super) async fn call(arguments: Arguments, request: &Request) -> Result<Answer, ToolError> {
    let (scope, named) = (request.job_scope(), check_job_ids(arguments.job_ids)?);
    let before = blocking(move || scope.find_all(&named)).await?;
    let session = &request.origin.session;
    let jobs = before.iter().map(|job| (job.id, job.killer(session))).collect();
    let grace = before.iter().map(|job| job.limits.grace).max().unwrap_or_default();
    let after = kill(request, jobs, grace).await?;
    let lines = before.iter().zip(&after).map(|(before, after)| {
        let line = if before.outcome().is_some() { already_finished(after) } else { summary(after) };
        format!("{line}\n")
    });
    let text: String = lines.collect();
    Ok(Answer::new(text.clone(), &JobsDocument { text, jobs: documents(after) }))
}
