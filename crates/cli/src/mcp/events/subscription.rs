//! What a client subscribes to, and reading its events from the ledger.

use std::time::Duration;

use homing::core::Timestamp;
use homing::core::text::one_line;
use homing::{Event, EventCursor, EventOptions, EventPage, Homing, JobId, SessionId};
use rmcp::model::{ErrorCode, ErrorData, JsonObject};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::answer::ToolError;
use super::super::request::Request;
use super::super::words::now;
use super::types::EventType;
use crate::server::blocking;

/// `NotFound` (SEP-3415).
const NOT_FOUND: ErrorCode = ErrorCode(-32023);

/// Most jobs that one subscription may name.
const MAX_JOBS: usize = 20;

/// Events that are read from the ledger at once.
const PAGE_EVENTS: u32 = 500;

/// Longest name of an unknown event type in an error, in characters.
const MAX_NAME_CHARS: usize = 100;

/// Parameters of `events/poll` and `events/stream`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Params {
    name: String,
    arguments: Option<Arguments>,
    cursor: Option<String>,
    max_age_ms: Option<u64>,
    max_events: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    job_ids: Option<Vec<String>>,
    all_sessions: Option<bool>,
}

/// A subscription.
pub(super) struct Subscription {
    kind: EventType,
    /// `None`: of every session.
    session: Option<SessionId>,
    /// `None`: every job.
    jobs: Option<Vec<JobId>>,
    /// Where the client continues.
    pub(super) start: Start,
    max_age: Option<Duration>,
    /// Most events of one answer, if the client has a limit.
    pub(super) max_events: Option<u32>,
}

/// Where a client continues.
#[derive(Clone, Copy)]
pub(super) enum Start {
    /// It subscribes now.
    Now,
    /// It has everything before this cursor.
    After(EventCursor),
    /// It has a cursor of another program or version, and misses what it cannot name.
    Unknown,
}

impl Start {
    /// The cursor to read from.
    pub(super) fn since(self) -> Option<EventCursor> {
        match self {
            Start::Now => None,
            Start::After(cursor) => Some(cursor),
            Start::Unknown => Some(EventCursor::oldest()),
        }
    }

    /// Whether events may be missing before the first one.
    pub(super) fn is_gap(self) -> bool {
        match self {
            Start::Now | Start::After(_) => false,
            Start::Unknown => true,
        }
    }
}

/// An event of a subscription.
pub(super) struct Occurrence {
    pub(super) cursor: EventCursor,
    /// Everything but the cursor.
    pub(super) fields: JsonObject,
}

/// Events that were read from the ledger.
pub(super) struct Batch {
    /// The place before the first of them.
    pub(super) from: EventCursor,
    pub(super) occurrences: Vec<Occurrence>,
    /// The place after all that was read.
    pub(super) next: EventCursor,
    /// Whether events may be missing before the first one.
    pub(super) truncated: bool,
    /// Whether there is more to read.
    pub(super) has_more: bool,
}

impl Subscription {
    /// Reads the parameters of a request. The jobs that a new subscription names must exist.
    ///
    /// # Errors
    /// `NotFound` for an unknown event type, `InvalidParams` for everything else.
    pub(super) async fn of(params: Option<Value>, request: &Request) -> Result<Subscription, ErrorData> {
        let params: Params = serde_path_to_error::deserialize(params.unwrap_or_else(|| json!({})))
            .map_err(|error| invalid(format!("{}: {}", error.path(), error.inner())))?;
        let kind = EventType::from_name(&params.name).ok_or_else(|| unknown(&params.name))?;
        if params.max_events == Some(0) {
            return Err(invalid("maxEvents is 0; give at least 1"));
        }
        let arguments = params.arguments.unwrap_or_default();
        let all_sessions = arguments.all_sessions.unwrap_or(false);
        if all_sessions && !request.sees_all {
            return Err(invalid("all_sessions: this server shows only the jobs of your session"));
        }
        let start = match params.cursor.as_deref().map(str::parse) {
            None => Start::Now,
            Some(Ok(cursor)) => Start::After(cursor),
            Some(Err(_)) => Start::Unknown,
        };
        let jobs = match arguments.job_ids {
            None => None,
            Some(ids) => Some(jobs(ids, request, all_sessions, start).await?),
        };
        Ok(Subscription {
            kind,
            session: (!all_sessions).then(|| request.origin.session.clone()),
            jobs,
            start,
            max_age: params.max_age_ms.map(Duration::from_millis),
            max_events: params.max_events,
        })
    }

    /// The time before which events are too old for the client. A new subscription has no earlier events.
    pub(super) fn floor(&self) -> Option<Timestamp> {
        self.max_age.map(|age| now().saturating_sub(age))
    }

    /// Reads events from the ledger. Blocks.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub(super) fn read(
        &self,
        homing: &Homing,
        since: Option<EventCursor>,
        floor: Option<Timestamp>,
    ) -> homing::Result<Batch> {
        let page = homing.events_since(&EventOptions {
            since,
            session: self.session.clone(),
            limit: Some(PAGE_EVENTS),
        })?;
        let is_old = |event: &&Event| floor.is_some_and(|floor| event.occurred_at < floor);
        let drops_old = page.events.iter().any(|event| is_old(&event));
        let recent = page.events.iter().filter(|event| !is_old(event));
        Ok(Batch {
            from: match since {
                Some(since) if !page.truncated && since.place().is_some() => since,
                _ => before(&page),
            },
            occurrences: recent.filter_map(|event| self.occurrence(event)).collect(),
            next: page.next,
            truncated: page.truncated || drops_old,
            has_more: page.has_more,
        })
    }

    /// The events of a page of all sessions that come after `position`.
    pub(super) fn select(&self, page: &EventPage, position: EventCursor) -> Vec<Occurrence> {
        let is_new = |event: &&Event| is_after(event.cursor, position);
        page.events.iter().filter(is_new).filter_map(|event| self.occurrence(event)).collect()
    }

    fn occurrence(&self, event: &Event) -> Option<Occurrence> {
        let is_wanted = self.session.as_ref().is_none_or(|session| event.session.as_ref() == Some(session))
            && self.jobs.as_ref().is_none_or(|jobs| event.job.is_some_and(|job| jobs.contains(&job)));
        let data = is_wanted.then(|| self.kind.data(event))??;
        let fields = json!({
            "eventId": event.cursor,
            "name": self.kind.name(),
            "timestamp": event.occurred_at,
            "data": data,
        });
        Some(Occurrence { cursor: event.cursor, fields: fields.as_object().cloned()? })
    }
}

/// Whether a place is behind another one in the same log.
fn is_after(cursor: EventCursor, position: EventCursor) -> bool {
    match (cursor.place(), position.place()) {
        (Some((epoch, seq)), Some((same, before))) => epoch == same && seq > before,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// The later of two places.
pub(super) fn later(position: EventCursor, next: EventCursor) -> EventCursor {
    if is_after(next, position) { next } else { position }
}

/// The place before the first event of a page.
fn before(page: &EventPage) -> EventCursor {
    let first = page.events.first().and_then(|event| event.cursor.place());
    first.map_or(page.next, |(epoch, seq)| EventCursor::after(epoch, seq.saturating_sub(1)))
}

/// The jobs that a subscription names. A client that continues may name jobs that were deleted meanwhile: its cursor shows
/// that they were accepted.
async fn jobs(
    ids: Vec<String>,
    request: &Request,
    all_sessions: bool,
    start: Start,
) -> Result<Vec<JobId>, ErrorData> {
    if !(1..=MAX_JOBS).contains(&ids.len()) {
        return Err(invalid(format!("arguments.job_ids has {} ids; give 1 to {MAX_JOBS}", ids.len())));
    }
    let parsed: Result<Vec<JobId>, _> = ids.iter().map(|id| id.parse()).collect();
    let parsed = parsed.map_err(|error| invalid(format!("arguments.job_ids: {error}")))?;
    if let Start::Now = start {
        let scope = request.job_scope();
        let scope = if all_sessions { scope } else { scope.own() };
        let found = blocking(move || scope.find_all(&ids)).await;
        found.map_err(|error| invalid(format!("arguments.job_ids: {}", error.text())))?;
    }
    Ok(parsed)
}

/// An error of the library, as the protocol reports it.
pub(super) fn internal(error: homing::Error) -> ErrorData {
    ErrorData::internal_error(ToolError::from(error).text(), None)
}

fn invalid(what: impl std::fmt::Display) -> ErrorData {
    ErrorData::invalid_params(format!("invalid parameters: {what}"), None)
}

fn unknown(name: &str) -> ErrorData {
    let name = one_line(name, MAX_NAME_CHARS);
    let message = format!("there is no event type {name:?}; there are {}", EventType::names());
    ErrorData::new(NOT_FOUND, message, Some(json!({"kind": "event"})))
}
