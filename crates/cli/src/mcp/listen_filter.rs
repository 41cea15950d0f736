//! Keeps the filter of `subscriptions/listen` as its client sent it. The filter of `rmcp` has no `taskIds` (SEP-2663) and
//! would drop them. A request that `rmcp` cannot parse arrives as a custom request with all of its parameters, so the
//! filter is moved to another name before `rmcp` reads the message.

use std::borrow::Cow;

use bytes::Bytes;
use rmcp::model::JsonObject;
use serde_json::Value;

/// The method.
pub(super) const LISTEN: &str = "subscriptions/listen";

/// The parameter with the filter, and the name under which it is kept.
const FILTER: &str = "notifications";
const KEPT: &str = "homing/notifications";

/// The end of the method's name in a message, also if the writer escapes slashes.
const END_OF_METHOD: &[u8] = b"/listen\"";

/// Longest message that is searched, in bytes. A filter with the most tasks that are accepted is much shorter.
const MAX_BYTES: usize = 64 << 10;

/// The message that `rmcp` is to read in place of this one.
pub(super) fn keep(message: &[u8]) -> Cow<'_, [u8]> {
    kept(message).map_or(Cow::Borrowed(message), Cow::Owned)
}

/// As [`keep`], for the body of a request over HTTP.
pub(super) fn keep_in_body(body: Bytes) -> Bytes {
    kept(&body).map_or(body, Bytes::from)
}

fn kept(message: &[u8]) -> Option<Vec<u8>> {
    // Most messages are not about it: look before parsing.
    if message.len() > MAX_BYTES || !message.windows(END_OF_METHOD.len()).any(|bytes| bytes == END_OF_METHOD)
    {
        return None;
    }
    let mut message: Value = serde_json::from_slice(message).ok()?;
    if message["method"] != LISTEN {
        return None;
    }
    let params = message.get_mut("params")?.as_object_mut()?;
    let filter = params.remove(FILTER)?;
    params.insert(KEPT.to_owned(), filter);
    serde_json::to_vec(&message).ok()
}

/// The filter of a request whose message was read through [`keep`].
pub(super) fn filter(params: Option<&Value>) -> Option<&JsonObject> {
    params?.get(KEPT)?.as_object()
}

#[cfg(test)]
mod tests {
    use rmcp::model::{ClientJsonRpcMessage, ClientRequest, JsonRpcMessage};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_filter_arrives_with_its_task_ids() {
        let message = br#"{"jsonrpc":"2.0","id":7,"method":"subscriptions\/listen","params":{"_meta":{"a":1},"notifications":{"taskIds":["x"]}}}"#;
        let JsonRpcMessage::Request(request) =
            serde_json::from_slice::<ClientJsonRpcMessage>(&keep(message)).unwrap()
        else {
            panic!("not a request")
        };
        let ClientRequest::CustomRequest(request) = request.request else { panic!("{request:?}") };
        assert_eq!(request.method, LISTEN);
        assert_eq!(filter(request.params.as_ref()).unwrap()["taskIds"], json!(["x"]));
    }

    #[test]
    fn other_messages_are_not_changed() {
        for message in [
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"command":"/listen\""}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen"}"#,
            r#"["subscriptions/listen"]"#,
            r#"{"method":"subscriptions/listen""#,
        ] {
            assert!(matches!(keep(message.as_bytes()), Cow::Borrowed(_)), "{message}");
            assert_eq!(keep_in_body(Bytes::from(message)), message);
        }
    }
}
