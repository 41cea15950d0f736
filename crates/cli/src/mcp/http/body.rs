//! The body of a reply, followed until the connection has taken all of it, or has broken off.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, SizeHint};

use super::super::delivery::Delivery;

/// What is answered.
pub(super) enum Reply {
    /// A few words of our own.
    Plain(Full<Bytes>),
    /// What the protocol answers.
    Followed(Followed),
}

/// A body that tells its delivery what became of it.
pub(super) struct Followed {
    inner: BoxBody<Bytes, Infallible>,
    delivery: Delivery,
    is_taken: bool,
}

impl Followed {
    pub(super) fn new(inner: BoxBody<Bytes, Infallible>, delivery: Delivery) -> Followed {
        Followed { inner, delivery, is_taken: false }
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
            Reply::Followed(followed) => {
                let polled = Pin::new(&mut followed.inner).poll_frame(context);
                followed.is_taken |= matches!(polled, Poll::Ready(None));
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Reply::Plain(body) => body.is_end_stream(),
            Reply::Followed(followed) => followed.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Reply::Plain(body) => body.size_hint(),
            Reply::Followed(followed) => followed.inner.size_hint(),
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        // A body whose length is known is not asked for its end.
        if self.is_taken || self.inner.is_end_stream() {
            let delivery = self.delivery.clone();
            tokio::spawn(async move { delivery.arrived().await });
        } else {
            self.delivery.failed();
        }
    }
}
