//! The Tasks extension over the ledger: a task is a job, and its id the job's. Nothing is kept here, so a task outlives
//! this server, and its client may come back to another one.

use std::sync::Arc;
use std::time::Duration;

use homing::core::as_millis;
use homing::{DeliveryHold, Homing, Job, KilledBy, Outcome, StateName};
use rmcp::model::{DetailedTask, ErrorData, GetTaskResult, Task, TaskPayload, TaskStatus};

use super::answer::{ToolError, document};
use super::blocking;
use super::request::Request;
use super::tools::task_result;
use crate::render::summary;

/// How often a client is to look. A job is seldom over sooner, and asking costs little.
const POLL_INTERVAL_MS: u64 = 2_000;

/// How long after it has looked a client is taken to look again: its session is not woken for a task that it follows.
const FOLLOWED_FOR: Duration = Duration::from_millis(3 * POLL_INTERVAL_MS);

/// The task that a job is.
pub(super) fn of(job: &Job) -> Task {
    let finished = job.state.finished();
    let updated = finished.map(|finished| finished.ended_at);
    let updated = updated.or(job.state.started().map(|started| started.started_at)).unwrap_or(job.created_at);
    Task::new(job.id.as_str(), status(job), job.created_at.to_string(), updated.to_string())
        .with_poll_interval_ms(POLL_INTERVAL_MS)
        .with_status_message(summary(job))
}

/// Holds back the wake for a task until its client has had time to look again.
pub(super) fn keep_for_a_while(hold: DeliveryHold) {
    tokio::spawn(async move {
        tokio::time::sleep(FOLLOWED_FOR).await;
        drop(hold);
    });
}

fn status(job: &Job) -> TaskStatus {
    match job.outcome() {
        None => TaskStatus::Working,
        Some(Outcome::Killed { by: KilledBy::Session }) => TaskStatus::Cancelled,
        // However it ended, that is its result: the request itself did not fail.
        Some(_) => TaskStatus::Completed,
    }
}

/// How far a task is, with its result once there is one. Whoever gets the result has read it.
pub(super) async fn get(id: &str, request: homing::Result<Request>) -> Result<GetTaskResult, ErrorData> {
    let request = request.map_err(|error| refused(error.into()))?;
    let (eyes, id) = (request.job_scope(), id.to_owned());
    let (homing, session) = (Arc::clone(&request.homing), request.origin.session.clone());
    let (job, hold, task) = blocking(move || {
        let job = eyes.find(&id)?;
        let hold = homing.hold_delivery(&[job.id], &session);
        let task = detailed(&homing, &job)?;
        Ok::<_, ToolError>((job, hold, task))
    })
    .await
    .map_err(refused)?;
    if job.outcome().is_none() {
        keep_for_a_while(hold);
    } else {
        request.acknowledge_on_delivery(&[job], hold);
    }
    Ok(GetTaskResult::new(task))
}

fn detailed(homing: &Homing, job: &Job) -> homing::Result<DetailedTask> {
    let mut task = of(job);
    let payload = match task.status {
        TaskStatus::Cancelled => TaskPayload::Cancelled,
        TaskStatus::Completed => {
            let result = document(&task_result(homing, job.clone())?);
            TaskPayload::Completed { result: result.as_object().cloned().unwrap_or_default() }
        }
        _ => TaskPayload::Working,
    };
    if let Some(finished) = job.state.finished() {
        // From then on it may go, once its session has been told.
        let lasted = finished.ended_at.saturating_since(job.created_at);
        task.ttl_ms = Some(as_millis(lasted.saturating_add(homing.config().retention.finished)));
    }
    Ok(DetailedTask::new(task, payload))
}

/// A job never asks for anything, so there is nothing to answer.
pub(super) async fn update(id: &str, request: homing::Result<Request>) -> Result<(), ErrorData> {
    let request = request.map_err(|error| refused(error.into()))?;
    let (eyes, id) = (request.job_scope(), id.to_owned());
    blocking(move || eyes.find(&id)).await.map(drop).map_err(refused)
}

/// Asks for the end of a task's job, and does not wait for it.
pub(super) async fn cancel(id: &str, request: homing::Result<Request>) -> Result<(), ErrorData> {
    let request = request.map_err(|error| refused(error.into()))?;
    let (eyes, id) = (request.job_scope(), id.to_owned());
    let (homing, session) = (Arc::clone(&request.homing), request.origin.session.clone());
    blocking(move || {
        let job = eyes.find(&id)?;
        if job.state.name() != StateName::Finished {
            homing.request_kill(job.id, job.killer(&session))?;
        }
        Ok::<_, ToolError>(())
    })
    .await
    .map_err(refused)
}

/// What names no task is a mistake of the caller; anything else is ours.
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
