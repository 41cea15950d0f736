//! Server-sent events: a stream of messages in one answer
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use futures_util::Stream;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, Sleep, sleep};

use super::answer::with_type;
use super::closing::Closing;

/// After this time without a message, a comment is sent: it keeps proxies from closing the connection, and finds out that a
/// client is gone.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// Messages that wait for a client. The sender then waits, and a connection that accepts nothing for too long is closed.
const QUEUE: usize = 4;

/// One or several messages as they are sent.
#[derive(Clone, Debug)]
pub(super) struct Frame(Bytes);

/// Sends messages. The stream ends when it is dropped.
pub(super) type FrameSender = mpsc::Sender<Frame>;

/// An answer that is sent while messages arrive.
struct EventStream {
    messages: mpsc::Receiver<Frame>,
    comment: Pin<Box<Sleep>>,
    closing: Pin<Box<dyn Future<Output = ()> + Send>>,
    _place: OwnedSemaphorePermit,
}

/// A stream, and its answer. It ends when the sender is dropped or the server closes.
pub(super) fn stream(closing: Closing, place: OwnedSemaphorePermit) -> (FrameSender, Response) {
    let (sender, messages) = mpsc::channel(QUEUE);
    let stream = EventStream {
        messages,
        comment: Box::pin(sleep(COMMENT_EVERY)),
        closing: Box::pin(async move { closing.begun().await }),
        _place: place,
    };
    let mut response = with_type(StatusCode::OK, "text/event-stream", Body::from_stream(stream));
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would collect the messages.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    (sender, response)
}

impl Frame {
    /// A message with a document.
    pub(super) fn of(event: &str, document: &impl Serialize) -> Frame {
        let mut text = Vec::new();
        Frame::write(&mut text, None, event, document);
        Frame(text.into())
    }

    /// Several messages that were written.
    pub(super) fn from_bytes(bytes: Vec<u8>) -> Frame {
        Frame(bytes.into())
    }

    /// Writes a message. JSON has no line feeds outside of its texts, and escapes those within.
    pub(super) fn write(to: &mut Vec<u8>, id: Option<&str>, event: &str, document: &impl Serialize) {
        if let Some(id) = id {
            to.extend_from_slice(format!("id: {id}\n").as_bytes());
        }
        to.extend_from_slice(format!("event: {event}\ndata: ").as_bytes());
        serde_json::to_writer(&mut *to, document).expect("a document has no part that JSON cannot hold");
        to.extend_from_slice(b"\n\n");
    }
}

impl Stream for EventStream {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let this = &mut *self;
        if this.closing.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(message) = this.messages.poll_recv(context) {
            this.comment.as_mut().reset(Instant::now() + COMMENT_EVERY);
            return Poll::Ready(message.map(|Frame(bytes)| Ok(bytes)));
        }
        if this.comment.as_mut().poll(context).is_ready() {
            this.comment.as_mut().reset(Instant::now() + COMMENT_EVERY);
            // The deadline must be polled again, so that it wakes this task.
            let _ = this.comment.as_mut().poll(context);
            return Poll::Ready(Some(Ok(Bytes::from_static(b":\n\n"))));
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_one_line_of_data() {
        let Frame(bytes) = Frame::of("output", &serde_json::json!({"text": "a\r\nevent: x\u{2028}"}));
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(text, "event: output\ndata: {\"text\":\"a\\r\\nevent: x\u{2028}\"}\n\n");
        let mut with_id = Vec::new();
        Frame::write(&mut with_id, Some("7f3a9c01.1"), "homing", &1);
        assert_eq!(with_id, b"id: 7f3a9c01.1\nevent: homing\ndata: 1\n\n");
    }
}
