//! `kill_jobs`: ends jobs with everything they started.

use std::sync::Arc;
use std::time::Duration;

use homing::{JobId, WaitFor};
use rmcp::model::{Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::answer::{Answer, ToolError};
use super::super::blocking;
use super::super::documents::{JobsDocument, documents};
use super::super::request::Request;
use super::super::waiting::wait;
use super::{define, some_jobs};
use crate::render::{already_over, summary};

/// How much longer than its grace time a job may take to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which jobs.
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
        "End jobs",
        "Ends jobs with every process they started (SIGTERM, a grace time, SIGKILL), and returns when nothing of them is \
         left. You are not told again of a job that you ended yourself.",
        ToolAnnotations::new().read_only(false).destructive(true).idempotent(true).open_world(false),
    )
}

pub(super) async fn call(arguments: Arguments, request: &Request) -> Result<Answer, ToolError> {
    let (eyes, named) = (request.eyes(), some_jobs(arguments.job_ids)?);
    let (homing, session) = (Arc::clone(&request.homing), request.origin.session.clone());
    let before = blocking(move || {
        let jobs = eyes.find_all(&named)?;
        // All of them are asked before one is waited for: their times of grace run side by side.
        for job in &jobs {
            homing.request_kill(job.id, job.killer(&session))?;
        }
        Ok::<_, ToolError>(jobs)
    })
    .await?;
    let ids: Vec<JobId> = before.iter().map(|job| job.id).collect();
    let grace = before.iter().map(|job| job.limits.grace).max().unwrap_or_default();
    // Waited for here, where it holds no thread; what is left to do then is quick.
    wait(request, ids, WaitFor::All, grace.saturating_add(PATIENCE)).await?;
    let (homing, session) = (Arc::clone(&request.homing), request.origin.session.clone());
    let (text, after) = blocking(move || {
        let mut text = String::new();
        let mut after = Vec::with_capacity(before.len());
        for job in before {
            let ended = homing.kill(job.id, job.killer(&session))?;
            let line = if job.outcome().is_some() { already_over(&ended) } else { summary(&ended) };
            text += &format!("{line}\n");
            after.push(ended);
        }
        Ok::<_, homing::Error>((text, after))
    })
    .await?;
    Ok(Answer::new(text.clone(), &JobsDocument { text, jobs: documents(after) }))
}
