//! `events/stream`: sends the events of a subscription as they are recorded, until the client ends the stream. It waits for
//! the feed of the server and never asks the ledger whether there is something new.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use homing::core::Timestamp;
use homing::{EventCursor, EventPage, Homing};
use rmcp::model::{CustomResult, ErrorCode, ErrorData, JsonObject};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::super::event_feed::{EventFeed, Fed, Subscriber};
use super::super::notification_stream::{Ended, NotificationStream, StreamLimit};
use super::super::request::Request;
use super::subscription::{Batch, Occurrence, Subscription, internal, later};
use crate::server::blocking;

/// Longest time without a message. A client takes a silent stream for dead; the specification says at least every 30 s.
const HEARTBEAT: Duration = Duration::from_secs(25);

const ACTIVE: &str = "notifications/events/active";
const EVENT: &str = "notifications/events/event";
const HEARTBEAT_METHOD: &str = "notifications/events/heartbeat";
const ERROR: &str = "notifications/events/error";

/// Serves the request until its client ends it. Reading an event acknowledges nothing.
///
/// # Errors
/// If the parameters are invalid, the server has too many streams, or the ledger cannot be read or watched.
pub(in super::super) async fn stream(
    params: Option<Value>,
    request: &Request,
    feed: &EventFeed,
    limit: &StreamLimit,
) -> Result<CustomResult, ErrorData> {
    let subscription = Arc::new(Subscription::of(params, request).await?);
    let out = NotificationStream::open(request.context(), limit)?;
    // Before the ledger is read, so that no event is missed.
    let events = feed.subscribe(&request.homing).await.map_err(internal)?;
    let (homing, since, floor) = (request.homing.clone(), subscription.start.since(), subscription.floor());
    let mut first = read(&homing, &subscription, since, floor).await.map_err(internal)?;
    first.truncated |= subscription.start.is_gap();
    let position = first.from;
    let stream = EventStream { homing, subscription, events, out, position, spoke_at: Instant::now() };
    Ok(stream.serve(first, floor).await)
}

/// An open stream.
struct EventStream {
    homing: Homing,
    subscription: Arc<Subscription>,
    events: Subscriber,
    out: NotificationStream,
    /// The client has all events before this place.
    position: EventCursor,
    /// When the last message was sent.
    spoke_at: Instant,
}

/// Why a stream ends.
enum End {
    /// The client ended it.
    Client,
    /// Events cannot be read any more.
    Failed(String),
}

impl From<Ended> for End {
    fn from(_: Ended) -> End {
        End::Client
    }
}

impl EventStream {
    /// Sends everything until the stream ends.
    async fn serve(mut self, first: Batch, floor: Option<Timestamp>) -> CustomResult {
        let Err(end) = self.send_all(first, floor).await;
        match end {
            End::Client => {}
            // The client continues from its cursor, as after a broken connection.
            End::Failed(why) => drop(self.send_error(&why).await),
        }
        self.out.result()
    }

    async fn send_all(&mut self, first: Batch, floor: Option<Timestamp>) -> Result<Infallible, End> {
        self.activate(first.truncated).await?;
        self.catch_up(first, floor).await?;
        loop {
            let heartbeat_at = self.spoke_at + HEARTBEAT;
            tokio::select! {
                () = self.out.ended() => return Err(End::Client),
                () = sleep_until(heartbeat_at) => self.send_heartbeat().await?,
                fed = self.events.next() => match fed {
                    Fed::Page(page) => self.continue_with(&page).await?,
                    Fed::Missed => self.read_on().await?,
                    Fed::Failed(why) => return Err(End::Failed(why.to_string())),
                },
            }
        }
    }

    /// Sends a batch and what follows it in the ledger.
    async fn catch_up(&mut self, mut batch: Batch, floor: Option<Timestamp>) -> Result<(), End> {
        loop {
            self.send_events(batch.occurrences).await?;
            self.position = batch.next;
            if !batch.has_more {
                return Ok(());
            }
            batch = self.read(floor).await?;
            if batch.truncated {
                self.position = batch.from;
                self.activate(true).await?;
            }
        }
    }

    /// Sends what the ledger has after the position.
    async fn read_on(&mut self) -> Result<(), End> {
        let batch = self.read(None).await?;
        if batch.truncated {
            self.position = batch.from;
            self.activate(true).await?;
        }
        self.catch_up(batch, None).await
    }

    /// Sends the events of a page of the feed.
    async fn continue_with(&mut self, page: &EventPage) -> Result<(), End> {
        let is_same_log = |cursor: EventCursor| {
            cursor.place().map(|place| place.0) == self.position.place().map(|place| place.0)
        };
        if page.truncated || !is_same_log(page.next) {
            return self.read_on().await;
        }
        self.send_events(self.subscription.select(page, self.position)).await?;
        self.position = later(self.position, page.next);
        Ok(())
    }

    async fn read(&self, floor: Option<Timestamp>) -> Result<Batch, End> {
        let read = read(&self.homing, &self.subscription, Some(self.position), floor).await;
        read.map_err(|error| End::Failed(error.to_string()))
    }

    async fn send_events(&mut self, occurrences: Vec<Occurrence>) -> Result<(), End> {
        for Occurrence { cursor, mut fields } in occurrences {
            fields.insert("cursor".to_owned(), json!(cursor));
            self.send(EVENT, fields).await?;
            self.position = cursor;
        }
        Ok(())
    }

    /// Tells the client where it is, first of all and after a gap.
    async fn activate(&mut self, truncated: bool) -> Result<(), End> {
        self.send(ACTIVE, object(json!({"cursor": self.position, "truncated": truncated}))).await
    }

    async fn send_heartbeat(&mut self) -> Result<(), End> {
        if !self.events.is_current() {
            return Err(End::Failed("the home was replaced".to_owned()));
        }
        self.send(HEARTBEAT_METHOD, object(json!({"cursor": self.position}))).await
    }

    async fn send_error(&mut self, why: &str) -> Result<(), End> {
        let error = ErrorData::new(ErrorCode::INTERNAL_ERROR, why.to_owned(), None);
        self.send(ERROR, object(json!({"error": error}))).await
    }

    async fn send(&mut self, method: &str, params: JsonObject) -> Result<(), End> {
        self.out.notify(method, params).await?;
        self.spoke_at = Instant::now();
        Ok(())
    }
}

/// Reads from the ledger beside the protocol.
async fn read(
    homing: &Homing,
    subscription: &Arc<Subscription>,
    since: Option<EventCursor>,
    floor: Option<Timestamp>,
) -> homing::Result<Batch> {
    let (homing, subscription) = (homing.clone(), Arc::clone(subscription));
    blocking(move || subscription.read(&homing, since, floor)).await
}

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    }
}
