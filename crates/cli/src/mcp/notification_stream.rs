//! A request that is answered with a stream of notifications: `events/stream` and `subscriptions/listen`. It ends with its
//! client, and when the client stops reading.

use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    CustomNotification, CustomResult, ErrorCode, ErrorData, GetMeta, JsonObject, ServerNotification,
};
use rmcp::service::RequestContext;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::delivery::Delivery;
use super::request::delivery_of;

/// Most open streams of a server. On standard input and output these are the streams of one client.
const MAX_STREAMS: usize = 128;

/// How long a client may take to read a notification. A client that takes longer has lost its stream, and can continue from
/// its cursor.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);

/// `ResourceExhausted` (SEP-3415): a limit of the server is reached.
const RESOURCE_EXHAUSTED: ErrorCode = ErrorCode(-32025);

/// The key in the metadata of each notification that names its request.
const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// Limits the open streams of a server.
pub(super) struct StreamLimit(Arc<Semaphore>);

impl StreamLimit {
    pub(super) fn new() -> StreamLimit {
        StreamLimit(Arc::new(Semaphore::new(MAX_STREAMS)))
    }
}

/// One open stream.
pub(super) struct NotificationStream {
    context: RequestContext<RoleServer>,
    delivery: Delivery,
    _slot: OwnedSemaphorePermit,
}

/// The stream has ended: its client cancelled it, has disconnected or does not read.
#[derive(Debug)]
pub(super) struct Ended;

impl NotificationStream {
    /// Opens the stream of a request.
    ///
    /// # Errors
    /// `ResourceExhausted` if the server has too many open streams.
    pub(super) fn open(
        context: &RequestContext<RoleServer>,
        limit: &StreamLimit,
    ) -> Result<NotificationStream, ErrorData> {
        let slot = Arc::clone(&limit.0).try_acquire_owned();
        let slot = slot.map_err(|_| exhausted("streams", MAX_STREAMS))?;
        Ok(NotificationStream { context: context.clone(), delivery: delivery_of(context), _slot: slot })
    }

    /// Sends a notification of a method that `rmcp` does not know.
    ///
    /// # Errors
    /// If the stream has ended.
    pub(super) async fn notify(&self, method: &str, params: JsonObject) -> Result<(), Ended> {
        let notification = CustomNotification::new(method, Some(Value::Object(params)));
        self.send(ServerNotification::CustomNotification(notification)).await
    }

    /// Sends a notification with the id of the stream. Completes when the transport has taken it.
    ///
    /// # Errors
    /// If the stream has ended.
    pub(super) async fn send(&self, mut notification: ServerNotification) -> Result<(), Ended> {
        notification.get_meta_mut().set_subscription_id(self.context.id.clone());
        let sending = timeout(SEND_TIMEOUT, self.context.peer.send_notification(notification));
        tokio::select! {
            sent = sending => matches!(sent, Ok(Ok(()))).then_some(()).ok_or(Ended),
            () = self.ended() => Err(Ended),
        }
    }

    /// Completes when the client has cancelled the stream or has disconnected.
    pub(super) async fn ended(&self) {
        tokio::select! {
            () = self.context.ct.cancelled() => {}
            () = self.delivery.lost() => {}
        }
    }

    /// The result that closes the stream.
    pub(super) fn result(&self) -> CustomResult {
        let id = self.context.id.clone().into_json_value();
        CustomResult::new(json!({"resultType": "complete", "_meta": {SUBSCRIPTION_ID: id}}))
    }
}

/// The error of a request that exceeds a limit.
pub(super) fn exhausted(limit: &str, max: usize) -> ErrorData {
    let message = format!("too many {limit}: the server allows {max}");
    ErrorData::new(RESOURCE_EXHAUSTED, message, Some(json!({"limit": limit, "max": max})))
}
