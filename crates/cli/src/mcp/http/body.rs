//! The body of a reply. Reports whether the connection wrote all of it or broke.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, SizeHint};

use super::super::delivery::Delivery;

/// The body of a response.
pub(super) enum Reply {
    /// A short message of this server.
    Plain(Full<Bytes>),
    /// A reply of the protocol.
    Tracked(TrackedBody),
}

/// A body that reports to its delivery whether it was written.
pub(super) struct TrackedBody {
    inner: BoxBody<Bytes, Infallible>,
    delivery: Delivery,
    is_written: bool,
}

impl TrackedBody {
    pub(super) fn new(inner: BoxBody<Bytes, Infallible>, delivery: Delivery) -> TrackedBody {
        TrackedBody { inner, delivery, is_written: false }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Reply::Plain(body) => Pin::new(body).poll_frame(context),
            Reply::Tracked(tracked) => {
                let polled = Pin::new(&mut tracked.inner).poll_frame(context);
                tracked.is_written |= matches!(polled, Poll::Ready(None));
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Reply::Plain(body) => body.is_end_stream(),
            Reply::Tracked(tracked) => tracked.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Reply::Plain(body) => body.size_hint(),
            Reply::Tracked(tracked) => tracked.inner.size_hint(),
        }
    }
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        // A body of known length is not polled for its end.
        if self.is_written || self.inner.is_end_stream() {
            let delivery = self.delivery.clone();
            tokio::spawn(async move { delivery.arrived().await });
        } else {
            self.delivery.failed();
        }
    }
}
