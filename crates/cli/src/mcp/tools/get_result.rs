//! `get_result`: returns how a job ended, and its output.

use homing::core::text::RESULT_LIMIT_CHARS;
use rmcp::model::Tool;
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::advice::{advice, wake};
use super::super::answer::{Answer, ToolError};
use super::super::blocking::blocking;
use super::super::documents::{JobDocument, OneJobDocument};
use super::super::request::Request;
use super::{acknowledges, define};

/// The job.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// Id of the job.
    job_id: String,
}

pub(super) fn tool() -> Tool {
    define::<Arguments, OneJobDocument>(
        "get_result",
        "Get a job's result",
        "Return how a job ended, with the beginning and the end of its output. A result of this session that is \
         returned here is not delivered again. For a running job, returns its current state; do not call it in a \
         loop, use wait_for_jobs.",
        acknowledges(),
    )
}

pub(super) async fn call(arguments: Arguments, request: &Request) -> Result<Answer, ToolError> {
    let scope = request.job_scope();
    let (homing, reader) = (request.homing.clone(), request.origin.clone());
    let (job, hold, text) = blocking(move || {
        // Read the job before its text: a result is acknowledged only if the text contains it.
        let job = scope.find(&arguments.job_id)?;
        let hold = homing.hold_delivery(&[job.id], &reader.session);
        let jobs = std::slice::from_ref(&job);
        let advice = match job.outcome() {
            Some(_) => String::new(),
            None => format!("\n{}\n", advice(wake(&homing, jobs, &reader), jobs)),
        };
        let room = RESULT_LIMIT_CHARS - advice.chars().count();
        let text = homing.result_text_within(job.id, room)? + &advice;
        Ok::<_, ToolError>((job, hold, text))
    })
    .await?;
    request.acknowledge_on_delivery(std::slice::from_ref(&job), hold);
    Ok(Answer::new(text.clone(), &OneJobDocument { text, job: JobDocument(job) }))
}
