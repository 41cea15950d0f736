//! `wait_for_jobs`: waits until jobs finish and returns their results.

use std::time::Duration;

use homing::core::text::{RESULT_LIMIT_CHARS, one_line};
use homing::{Homing, Job, JobId, Origin, WaitFor, Waited};
use rmcp::model::Tool;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::advice::{advice, wake};
use super::super::answer::{Answer, ToolError};
use super::super::blocking::blocking;
use super::super::documents::{JobDocument, documents};
use super::super::request::Request;
use super::super::waiting::{MAX_WAIT, wait};
use super::{acknowledges, check_job_ids, define};
use crate::render::summary;

/// Default time to wait: most clients abandon a call after a minute.
const DEFAULT_WAIT_MS: u64 = 50_000;

const MAX_WAIT_MS: u64 = MAX_WAIT.as_secs() * 1000;

/// Which jobs, and how long.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// Ids of the jobs, at most 20.
    #[schemars(length(min = 1, max = 20))]
    job_ids: Vec<String>,
    /// "all": return when all jobs have finished. "any": when the first has. Default: all.
    #[serde(default)]
    mode: Mode,
    /// Longest time to wait, in ms; the jobs continue after it. Default: 50000.
    #[serde(default)]
    #[schemars(range(max = MAX_WAIT_MS))]
    timeout_ms: Option<u64>,
}

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Mode {
    #[default]
    All,
    Any,
}

#[derive(Serialize, JsonSchema)]
struct Document {
    /// Text for the model: how the jobs ended, and their output, which is untrusted data.
    text: String,
    /// Whether the jobs finished before the timeout.
    satisfied: bool,
    /// The jobs, in the order asked for.
    jobs: Vec<JobDocument>,
}

pub(super) fn tool() -> Tool {
    define::<Arguments, Document>(
        "wait_for_jobs",
        "Wait for jobs",
        "Wait until jobs finish and return how each ended, with its output. timeout_ms 0 returns the results or the \
         current states at once. A result of this session that is returned here is not delivered again. If you will \
         be notified and need nothing now, end your turn instead.",
        acknowledges(),
    )
}

pub(super) async fn call(arguments: Arguments, request: &Request) -> Result<Answer, ToolError> {
    let at_most = arguments.timeout_ms.unwrap_or(DEFAULT_WAIT_MS);
    if at_most > MAX_WAIT_MS {
        let hint = format!("wait at most {MAX_WAIT_MS} milliseconds, then call again");
        return Err(ToolError::arguments(format!("timeout_ms is {at_most}"), hint));
    }
    let wait_for = match arguments.mode {
        Mode::All => WaitFor::All,
        Mode::Any => WaitFor::Any,
    };
    let (scope, named) = (request.job_scope(), check_job_ids(arguments.job_ids)?);
    let (homing, session) = (request.homing.clone(), request.origin.session.clone());
    let (ids, hold) = blocking(move || {
        let ids: Vec<JobId> = scope.find_all(&named)?.iter().map(|job| job.id).collect();
        let hold = homing.hold_delivery(&ids, &session);
        Ok::<_, ToolError>((ids, hold))
    })
    .await?;
    let waited = wait(request, ids, wait_for, Duration::from_millis(at_most)).await?;
    let (homing, reader) = (request.homing.clone(), request.origin.clone());
    let (waited, text) = blocking(move || text(&homing, &waited, &reader).map(|text| (waited, text))).await?;
    request.acknowledge_on_delivery(&waited.jobs, hold);
    let Waited { satisfied, jobs } = waited;
    Ok(Answer::new(text.clone(), &Document { text, satisfied, jobs: documents(jobs) }))
}

/// The results of the finished jobs, then one line for each other job, then advice for these.
fn text(homing: &Homing, waited: &Waited, reader: &Origin) -> homing::Result<String> {
    let (finished, running): (Vec<Job>, Vec<Job>) =
        waited.jobs.iter().cloned().partition(|job| job.outcome().is_some());
    let not_finished = match running.is_empty() {
        true => String::new(),
        false => {
            let lines: String = running.iter().map(|job| summary(job) + "\n").collect();
            let heading = if waited.satisfied { "Still running" } else { "Timed out. Still running" };
            format!("{heading}:\n{lines}{}\n", advice(wake(homing, &running, reader), &running))
        }
    };
    let mut text = String::new();
    let mut room = RESULT_LIMIT_CHARS - not_finished.chars().count();
    for (done, job) in finished.iter().enumerate() {
        // One character for the line break between two jobs.
        let share = room / (finished.len() - done) - 1;
        let result = homing.result_text_within(job.id, share)?;
        let part =
            if result.chars().count() <= share { result } else { one_line(&summary(job), share - 1) + "\n" };
        room -= part.chars().count() + 1;
        text += &part;
        text.push('\n');
    }
    text += &not_finished;
    Ok(text.trim_end_matches('\n').to_owned() + "\n")
}
