//! The Events extension (SEP-3415): a client learns what happened to the jobs of its session, by polling or on a stream.
//! An event carries facts and no output, and reading it acknowledges nothing. `events/subscribe` is not offered: the
//! addresses of webhooks come from the operator alone, in the configuration.

mod poll;
mod stream;
mod subscription;
mod types;

pub(super) use poll::poll;
pub(super) use stream::stream;

use rmcp::model::{CustomRequest, CustomResult, ErrorData};
use serde_json::{Value, json};

/// The id of the extension in the capabilities.
pub(super) const EXTENSION: &str = "io.modelcontextprotocol/events";

pub(super) const LIST: &str = "events/list";
pub(super) const POLL: &str = "events/poll";
pub(super) const STREAM: &str = "events/stream";

/// Lists the event types. `all_sessions` says whether the server sees jobs of all sessions.
///
/// # Errors
/// If the request has a cursor: the list has one page.
pub(super) fn list(request: &CustomRequest, all_sessions: bool) -> Result<CustomResult, ErrorData> {
    let cursor = request.params.as_ref().and_then(|params| params.get("cursor"));
    if cursor.is_some_and(|cursor| *cursor != Value::Null) {
        return Err(ErrorData::invalid_params("unknown cursor: the list has one page", None));
    }
    Ok(CustomResult::new(json!({"resultType": "complete", "events": types::listed(all_sessions)})))
}
