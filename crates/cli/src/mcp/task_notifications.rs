//! `subscriptions/listen` for tasks (SEP-2663): sends `notifications/tasks` when the job of a task has finished. A
//! notification carries the result and acknowledges nothing, because a stream does not show what its client has read.
//! Delivery is held while a client listens, and as long after the notification as after a poll: the client can call
//! `tasks/get`, which acknowledges the result.

use std::collections::HashMap;

use homing::{DeliveryHold, EventKind, EventPage, Homing, Job, JobId};
use rmcp::model::{
    ClientCapabilities, CustomRequest, CustomResult, DetailedTask, ErrorData, JsonObject, ServerNotification,
    TaskStatusNotification, TaskStatusNotificationParams,
};
use serde_json::{Value, json};

use super::event_feed::{EventFeed, Fed};
use super::listen_filter;
use super::notification_stream::{Ended, NotificationStream, exhausted};
use super::request::Request;
use super::tasks;
use crate::server::blocking;

/// Most tasks that one request may name.
const MAX_TASKS: usize = 100;

const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";

/// The tasks that a client listens to, with the hold on the delivery of each unfinished one.
type Holds = HashMap<JobId, DeliveryHold>;

/// The ids of tasks in a filter.
///
/// # Errors
/// If there is no filter, the ids are not a list of texts, there are too many, or the client does not support tasks.
pub(super) fn task_ids(request: &CustomRequest, accepts_tasks: bool) -> Result<Vec<String>, ErrorData> {
    let invalid = |what| ErrorData::invalid_params(format!("invalid parameters: {what}"), None);
    let filter = listen_filter::filter(request.params.as_ref());
    let filter = filter.ok_or_else(|| invalid("notifications is not an object"))?;
    let Some(ids) = filter.get("taskIds").filter(|ids| !ids.is_null()) else { return Ok(Vec::new()) };
    let ids: Option<Vec<String>> =
        ids.as_array().and_then(|ids| ids.iter().map(|id| id.as_str().map(str::to_owned)).collect());
    let ids = ids.ok_or_else(|| invalid("notifications.taskIds is not a list of strings"))?;
    match ids.len() {
        0 => Ok(ids),
        _ if !accepts_tasks => Err(ErrorData::missing_required_client_capability(
            ClientCapabilities::builder().enable_tasks().build(),
        )),
        count if count > MAX_TASKS => Err(exhausted("taskIds", MAX_TASKS)),
        _ => Ok(ids),
    }
}

/// Serves the request until its client ends it. `request` is `None` if the home does not exist.
pub(super) async fn listen(
    ids: Vec<String>,
    request: Option<Request>,
    feed: &EventFeed,
    stream: NotificationStream,
) -> Result<CustomResult, ErrorData> {
    let internal = |error: homing::Error| ErrorData::internal_error(tasks::text_of(error), None);
    let Some(request) = request.filter(|_| !ids.is_empty()) else {
        // Nothing that this server offers: the stream stays silent.
        if acknowledge(&stream, &[]).await.is_ok() {
            stream.ended().await;
        }
        return Ok(stream.result());
    };
    // Before the jobs are read, so that no end is missed.
    let mut events = feed.subscribe(&request.homing).await.map_err(internal)?;
    let jobs = visible(ids, &request).await;
    let mut listener = Listener { homing: request.homing.clone(), holds: hold(&jobs, &request), stream };
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    if acknowledge(&listener.stream, &ids).await.is_err() {
        return Ok(listener.stream.result());
    }
    let mut changed: Vec<JobId> =
        jobs.iter().filter(|job| job.outcome().is_some()).map(|job| job.id).collect();
    loop {
        match listener.report(changed).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(internal(error)),
            Err(Ended) => break,
        }
        changed = tokio::select! {
            () = listener.stream.ended() => break,
            fed = events.next() => match fed {
                Fed::Page(page) => finished_in(&page, &ids),
                Fed::Missed => ids.clone(),
                Fed::Failed(why) => return Err(ErrorData::internal_error(why.to_string(), None)),
            },
        };
    }
    Ok(listener.stream.result())
}

/// The jobs of those tasks that the session may see. Others are left out, also of the acknowledgement.
async fn visible(ids: Vec<String>, request: &Request) -> Vec<Job> {
    let scope = request.job_scope();
    blocking(move || {
        let mut jobs: Vec<Job> = Vec::with_capacity(ids.len());
        for job in ids.iter().filter_map(|id| scope.find(id).ok()) {
            if jobs.iter().all(|known| known.id != job.id) {
                jobs.push(job);
            }
        }
        jobs
    })
    .await
}

/// Holds the delivery of the results that are still to be reported.
fn hold(jobs: &[Job], request: &Request) -> Holds {
    let session = &request.origin.session;
    let unread = jobs.iter().filter(|job| job.outcome().is_none() || job.is_unread());
    unread.map(|job| (job.id, request.homing.hold_delivery(&[job.id], session))).collect()
}

/// The first message: what the server agrees to send.
async fn acknowledge(stream: &NotificationStream, ids: &[JobId]) -> Result<(), Ended> {
    let mut filter = JsonObject::new();
    if !ids.is_empty() {
        filter.insert("taskIds".to_owned(), ids.iter().map(|id| Value::from(id.as_str())).collect());
    }
    let params = JsonObject::from_iter([("notifications".to_owned(), json!(filter))]);
    stream.notify(ACKNOWLEDGED, params).await
}

/// The tasks whose job has finished in these events, or whose outcome was corrected.
fn finished_in(page: &EventPage, ids: &[JobId]) -> Vec<JobId> {
    let is_end = |kind: &EventKind| {
        matches!(kind, EventKind::JobFinished { .. } | EventKind::JobCorrected { outcome: Some(_) })
    };
    let mut finished: Vec<JobId> =
        page.events.iter().filter(|event| is_end(&event.event)).filter_map(|event| event.job).collect();
    finished.retain(|id| ids.contains(id));
    finished.dedup();
    finished
}

struct Listener {
    homing: Homing,
    holds: Holds,
    stream: NotificationStream,
}

impl Listener {
    /// Sends the state of each of these tasks whose job has finished.
    async fn report(&mut self, ids: Vec<JobId>) -> Result<homing::Result<()>, Ended> {
        for id in ids {
            let homing = self.homing.clone();
            let task = match blocking(move || final_state(&homing, id)).await {
                Ok(Some(task)) => task,
                Ok(None) => continue,
                Err(error) => return Ok(Err(error)),
            };
            let notification = TaskStatusNotification::new(TaskStatusNotificationParams::new(task));
            self.stream.send(ServerNotification::TaskStatusNotification(notification)).await?;
            if let Some(hold) = self.holds.remove(&id) {
                tasks::hold_until_next_poll(hold);
            }
        }
        Ok(Ok(()))
    }
}

/// The final state of a task, with its result. `None` if its job has not finished or was deleted.
fn final_state(homing: &Homing, id: JobId) -> homing::Result<Option<DetailedTask>> {
    let job = match homing.get(id) {
        Err(homing::Error::NoSuchJob(_)) => return Ok(None),
        job => job?,
    };
    job.outcome().is_some().then(|| tasks::detailed(homing, &job)).transpose()
}
