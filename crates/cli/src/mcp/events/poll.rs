//! `events/poll`: the events after a cursor. The server keeps nothing about its clients: a request contains its place.

use homing::{EventCursor, Homing};
use rmcp::model::{CustomResult, ErrorData};
use serde_json::{Value, json};

use super::super::request::Request;
use super::subscription::{Occurrence, Subscription, internal};
use crate::server::blocking;

/// Suggested time between two polls.
const POLL_INTERVAL_MS: u64 = 2_000;

/// Events of one answer, unless the client asks for fewer.
const MAX_EVENTS: usize = 500;

/// Pages that one request reads to find them: other types and other jobs also take place in the log.
const MAX_PAGES: usize = 20;

/// Answers the request. Reading an event acknowledges nothing.
///
/// # Errors
/// If the parameters are invalid or the ledger cannot be read.
pub(in super::super) async fn poll(
    params: Option<Value>,
    request: &Request,
) -> Result<CustomResult, ErrorData> {
    let subscription = Subscription::of(params, request).await?;
    let homing = request.homing.clone();
    let found = blocking(move || Found::after(&homing, &subscription)).await.map_err(internal)?;
    let events: Vec<Value> =
        found.occurrences.into_iter().map(|occurrence| Value::Object(occurrence.fields)).collect();
    Ok(CustomResult::new(json!({
        "resultType": "complete",
        "events": events,
        "cursor": found.cursor,
        "truncated": found.truncated,
        "hasMore": found.has_more,
        "nextPollMs": POLL_INTERVAL_MS,
    })))
}

struct Found {
    occurrences: Vec<Occurrence>,
    /// Where the client continues.
    cursor: Option<EventCursor>,
    truncated: bool,
    has_more: bool,
}

impl Found {
    /// Reads pages until there are enough events or no more.
    fn after(homing: &Homing, subscription: &Subscription) -> homing::Result<Found> {
        let most = subscription.max_events.map_or(MAX_EVENTS, |most| MAX_EVENTS.min(most as usize));
        let floor = subscription.floor();
        let mut found = Found {
            occurrences: Vec::new(),
            cursor: subscription.start.since(),
            truncated: subscription.start.is_gap(),
            has_more: true,
        };
        for _ in 0..MAX_PAGES {
            let mut batch = subscription.read(homing, found.cursor, floor)?;
            found.truncated |= batch.truncated;
            let room = most - found.occurrences.len();
            let is_cut = batch.occurrences.len() > room;
            batch.occurrences.truncate(room);
            found.cursor = match batch.occurrences.last() {
                Some(last) if is_cut => Some(last.cursor),
                None if is_cut => found.cursor,
                Some(_) | None => Some(batch.next),
            };
            found.has_more = is_cut || batch.has_more;
            found.occurrences.append(&mut batch.occurrences);
            if is_cut || !found.has_more {
                break;
            }
        }
        Ok(found)
    }
}
