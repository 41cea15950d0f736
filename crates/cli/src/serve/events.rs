//! Routes about events: a stream that can be resumed, and polls.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use futures_util::StreamExt;
use homing::{Event, EventCursor, Homing, JobId, ListOptions, SessionId};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::answer::{Answered, json};
use super::app::{App, Grant};
use super::extract::Params;
use super::hub::{EventHub, Filter, MAX_EVENTS, poll as read};
use super::jobs::{duration, limit, parse_ids};
use super::problem::Problem;
use super::sse::{self, Frame, FrameSender};

/// Events of one poll, if the request does not say how many.
const DEFAULT_EVENTS: u32 = 100;

/// Longest time that a poll may wait, in milliseconds.
const MAX_WAIT_MS: u64 = 300_000;

/// The header with which a client resumes a stream.
const LAST_EVENT_ID: &str = "last-event-id";

/// Which events to stream.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[cfg_attr(test, into_params(parameter_in = Query))]
pub(super) struct StreamParams {
    /// The cursor after which to begin, or `oldest`. Default: only new events. The header Last-Event-ID comes first.
    since: Option<String>,
    /// Only events of this session.
    #[cfg_attr(test, param(value_type = Option<String>))]
    session: Option<SessionId>,
    /// Whether each event has the current document of its job. Default: false.
    documents: Option<bool>,
    /// Also report when the outputs of these jobs grow: at most 100 complete ids, separated by commas.
    watch: Option<String>,
}

/// Which events to return.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[cfg_attr(test, into_params(parameter_in = Query))]
pub(super) struct PollParams {
    /// The cursor after which to begin, or `oldest`. Default: only new events.
    since: Option<String>,
    /// Only events of this session.
    #[cfg_attr(test, param(value_type = Option<String>))]
    session: Option<SessionId>,
    /// The maximum number of events, 1 to 500. Default: 100.
    #[cfg_attr(test, param(minimum = 1, maximum = 500))]
    limit: Option<u32>,
    /// How long to wait for an event, in milliseconds, up to 300,000. Default: 0.
    #[cfg_attr(test, param(maximum = 300_000))]
    wait_ms: Option<u64>,
}

#[derive(Serialize)]
struct EventsDocument<'a> {
    events: &'a [Event],
    next: EventCursor,
    truncated: bool,
    has_more: bool,
}

/// A place in the log.
#[derive(Serialize)]
struct CursorDocument {
    cursor: EventCursor,
}

/// The events as a stream.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/events",
    operation_id = "stream_events",
    tag = "events",
    params(
        StreamParams,
        ("Last-Event-ID" = Option<String>, Header, description = "The cursor after which to resume."),
    ),
    responses((status = 200, description = "Messages `homing`, whose id is the cursor and whose data is a `homing.event/1` document; `truncated` if events after the cursor are not known any more; `caught_up` once all earlier events are sent. With `watch`, also messages `output` without an id, whose data is `{\"job\",\"total_bytes\",\"last_output_at\"}`: for each job at the beginning, and later at most once a second when its output grows. A comment each 15 seconds.", body = String, content_type = "text/event-stream")),
))]
pub(super) async fn stream(
    State(app): State<Arc<App>>,
    grant: Grant,
    headers: HeaderMap,
    Params(params): Params<StreamParams>,
) -> Answered {
    let resumed = headers.get(LAST_EVENT_ID).map(|value| value.to_str().unwrap_or_default());
    let since = parse_cursor(resumed.filter(|id| !id.is_empty()).or(params.since.as_deref()))?;
    let session = grant.narrowed(params.session)?;
    let filter = Filter { session, documents: params.documents.unwrap_or(false) };
    let watched = match params.watch.as_deref() {
        None | Some("") => Vec::new(),
        Some(ids) => visible(&app, &grant, parse_ids("watch", ids)?).await?,
    };
    let place = app.stream()?;
    // A client before the first read: no change is missed in between.
    let changes = app.events.subscribe();
    let since = match since {
        Some(since) => since,
        None => app.on_home(|homing| Ok(read(&homing, None, None, 1)?.next)).await?,
    };
    let (sender, response) = sse::stream(app.closing.clone(), place);
    let growth = match watched.is_empty() {
        true => None,
        false => Some(GrowthTask::start(&app.homing().await?, &watched, sender.clone())),
    };
    let follower = Follower { hub: Arc::clone(&app.events), changes, filter, sender, _growth: growth };
    tokio::spawn(follower.run(since));
    Ok(response)
}

/// Those of these jobs that exist and that the client may see.
async fn visible(app: &Arc<App>, grant: &Grant, ids: Vec<JobId>) -> Result<Vec<JobId>, Problem> {
    let options = ListOptions { ids, session: grant.session().cloned(), ..ListOptions::default() };
    app.on_home(move |homing| Ok(homing.list(&options)?.iter().map(|job| job.id).collect())).await
}

/// The events after a cursor. Waits for one if there is none.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/events/poll",
    operation_id = "poll_events",
    tag = "events",
    params(PollParams),
    responses((status = 200, description = "The events, oldest first, and the cursor to continue from.", body = super::schema::EventsDocument)),
))]
pub(super) async fn poll(
    State(app): State<Arc<App>>,
    grant: Grant,
    Params(params): Params<PollParams>,
) -> Answered {
    let mut since = parse_cursor(params.since.as_deref())?;
    let session = grant.narrowed(params.session)?;
    let limit = limit(params.limit, DEFAULT_EVENTS, MAX_EVENTS)?;
    let wait = duration("wait_ms", params.wait_ms.unwrap_or(0), MAX_WAIT_MS)?;
    let deadline = tokio::time::Instant::now() + wait;
    let mut waiting = match wait {
        Duration::ZERO => None,
        _ => Some((app.stream()?, app.events.subscribe())),
    };
    loop {
        if let Some((_, changes)) = &mut waiting {
            changes.borrow_and_update();
        }
        let (session, from) = (session.clone(), since);
        let page = app.on_home(move |homing| read(&homing, from, session, limit)).await?;
        let is_answer = !page.events.is_empty() || page.truncated;
        if let Some((_, changes)) = &mut waiting
            && !is_answer
        {
            // Events that were left out by the filter need not be read again.
            since = Some(page.next);
            tokio::select! {
                changed = timeout(deadline.saturating_duration_since(tokio::time::Instant::now()), changes.changed()) => {
                    if matches!(changed, Ok(Ok(()))) {
                        continue;
                    }
                }
                () = app.closing.begun() => {}
            }
        }
        return Ok(json(&EventsDocument {
            events: &page.events,
            next: page.next,
            truncated: page.truncated,
            has_more: page.has_more,
        }));
    }
}

/// Sends events to one client.
struct Follower {
    hub: Arc<EventHub>,
    changes: watch::Receiver<u64>,
    filter: Filter,
    sender: FrameSender,
    _growth: Option<GrowthTask>,
}

/// Reports the growth of outputs to one client, until it is dropped.
struct GrowthTask(JoinHandle<()>);

impl GrowthTask {
    fn start(homing: &Homing, jobs: &[JobId], sender: FrameSender) -> GrowthTask {
        let sizes = homing.output_sizes(jobs);
        GrowthTask(tokio::spawn(async move {
            let mut sizes = pin!(sizes);
            while let Some(grown) = sizes.next().await {
                let mut bytes = Vec::new();
                grown.iter().for_each(|size| Frame::write(&mut bytes, None, "output", size));
                if sender.send(Frame::from_bytes(bytes)).await.is_err() {
                    return;
                }
            }
        }))
    }
}

impl Drop for GrowthTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Follower {
    async fn run(mut self, mut cursor: EventCursor) {
        let mut is_caught_up = false;
        loop {
            self.changes.borrow_and_update();
            // The client connects again after an error, and is told it then.
            let Ok(page) = self.hub.page(cursor, &self.filter).await else { return };
            // Without an id: a client that resumes here must not skip the events behind it.
            if page.truncated
                && self.send(Frame::of("truncated", &CursorDocument { cursor: page.next })).await.is_err()
            {
                return;
            }
            if let Some(frame) = &page.frame
                && self.send(frame.clone()).await.is_err()
            {
                return;
            }
            cursor = page.next;
            if page.has_more {
                continue;
            }
            if !is_caught_up {
                is_caught_up = true;
                if self.send(caught_up(cursor)).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                changed = self.changes.changed() => if changed.is_err() { return },
                () = self.sender.closed() => return,
            }
        }
    }

    async fn send(&self, frame: Frame) -> Result<(), ()> {
        self.sender.send(frame).await.map_err(drop)
    }
}

/// Says that all earlier events are sent. Its id lets a client resume that has received no event yet.
fn caught_up(cursor: EventCursor) -> Frame {
    let mut bytes = Vec::new();
    Frame::write(&mut bytes, Some(&cursor.to_string()), "caught_up", &CursorDocument { cursor });
    Frame::from_bytes(bytes)
}

fn parse_cursor(text: Option<&str>) -> Result<Option<EventCursor>, Problem> {
    Ok(text.map(str::parse).transpose().map_err(homing::Error::from)?)
}
