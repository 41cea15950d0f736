//! The Tasks extension: a task is a job with the same id. This module keeps no state, so a task survives the server,
//! and its client may continue with another server.

use std::time::Duration;

use homing::core::as_millis;
use homing::{DeliveryHold, Homing, Job, KilledBy, Outcome, StateName};
use rmcp::model::{DetailedTask, ErrorData, GetTaskResult, Task, TaskPayload, TaskStatus};

use super::answer::ToolError;
use super::request::Request;
use super::tools::task_result;
use super::words::list_line;
use crate::server::blocking;

/// Suggested poll interval for clients.
const POLL_INTERVAL_MS: u64 = 2_000;

/// How long delivery is held after a poll: a client that polls a task receives the result that way.
const POLL_HOLD: Duration = Duration::from_millis(3 * POLL_INTERVAL_MS);

/// The task for a job.
pub(super) fn of(job: &Job) -> Task {
    let finished = job.state.finished();
    let updated = finished.map(|finished| finished.ended_at);
    let updated = updated.or(job.state.started().map(|started| started.started_at)).unwrap_or(job.created_at);
    Task::new(job.id.as_str(), status(job), job.created_at.to_string(), updated.to_string())
        .with_poll_interval_ms(POLL_INTERVAL_MS)
        .with_status_message(list_line(job).trim_end())
}

/// Holds delivery of the result until the client has had time to poll again.
pub(super) fn hold_until_next_poll(hold: DeliveryHold) {
    tokio::spawn(async move {
        tokio::time::sleep(POLL_HOLD).await;
        drop(hold);
    });
}

fn status(job: &Job) -> TaskStatus {
    match job.outcome() {
        None => TaskStatus::Working,
        Some(Outcome::Killed { by: KilledBy::Session }) => TaskStatus::Cancelled,
        // Every outcome is a result: the request itself did not fail.
        Some(_) => TaskStatus::Completed,
    }
}

/// The state of a task, with the result once the job has finished. Delivering the result acknowledges it.
pub(super) async fn get(id: &str, request: homing::Result<Request>) -> Result<GetTaskResult, ErrorData> {
    let request = request.map_err(|error| refused(error.into()))?;
    let (scope, id) = (request.job_scope(), id.to_owned());
    let (homing, session) = (request.homing.clone(), request.origin.session.clone());
    let (job, hold, task) = blocking(move || {
        let job = scope.find(&id)?;
        let hold = homing.hold_delivery(&[job.id], &session);
        let task = detailed(&homing, &job)?;
        Ok::<_, ToolError>((job, hold, task))
    })
    .await
    .map_err(refused)?;
    if job.outcome().is_none() {
        hold_until_next_poll(hold);
    } else {
        request.acknowledge_on_delivery(&[job], hold);
    }
    Ok(GetTaskResult::new(task))
}

/// The task for a job with its result. Acknowledges nothing.
pub(super) fn detailed(homing: &Homing, job: &Job) -> homing::Result<DetailedTask> {
    let mut task = of(job);
    let payload = match task.status {
        TaskStatus::Cancelled => TaskPayload::Cancelled,
        TaskStatus::Completed => {
            let result = serde_json::to_value(task_result(homing, job)?).unwrap_or_default();
            TaskPayload::Completed { result: result.as_object().cloned().unwrap_or_default() }
        }
        _ => TaskPayload::Working,
    };
    if let Some(finished) = job.state.finished() {
        // The job may be deleted after this time, once it is acknowledged.
        let lifetime = finished.ended_at.saturating_since(job.created_at);
        task.ttl_ms = Some(as_millis(lifetime.saturating_add(homing.config().retention.finished)));
    }
    Ok(DetailedTask::new(task, payload))
}

/// Does nothing: a job never asks for input.
pub(super) async fn update(id: &str, request: homing::Result<Request>) -> Result<(), ErrorData> {
    let request = request.map_err(|error| refused(error.into()))?;
    let (scope, id) = (request.job_scope(), id.to_owned());
    blocking(move || scope.find(&id)).await.map(drop).map_err(refused)
}

/// Requests that the job of a task is stopped. Does not wait for its end.
pub(super) async fn cancel(id: &str, request: homing::Result<Request>) -> Result<(), ErrorData> {
    let request = request.map_err(|error| refused(error.into()))?;
    let (scope, id) = (request.job_scope(), id.to_owned());
    let (homing, session) = (request.homing.clone(), request.origin.session.clone());
    blocking(move || {
        let job = scope.find(&id)?;
        if job.state.name() != StateName::Finished {
            homing.request_kill(job.id, job.killer(&session))?;
        }
        Ok::<_, ToolError>(())
    })
    .await
    .map_err(refused)
}

/// An error of the library as text.
pub(super) fn text_of(error: homing::Error) -> String {
    ToolError::from(error).text()
}

/// An unknown task is an error of the caller; other errors are internal.
fn refused(error: ToolError) -> ErrorData {
    match &error {
        ToolError::Library(inner) => match **inner {
            homing::Error::NoSuchJob(_)
            | homing::Error::InvalidId(_)
            | homing::Error::AmbiguousJob { .. } => {
                ErrorData::invalid_params(format!("no such task: {}", error.text()), None)
            }
            _ => ErrorData::internal_error(error.text(), None),
        },
        ToolError::Arguments { .. } => ErrorData::invalid_params(error.text(), None),
        ToolError::Cancelled => ErrorData::internal_error(error.text(), None),
    }
}
