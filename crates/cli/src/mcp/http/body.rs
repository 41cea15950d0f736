//! The body of a reply. Reports whether the connection wrote all of it or broke.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, SizeHint};

use super::super::delivery::Delivery;
use crate::server::Socket;

/// The body of a response.
pub(crate) enum Reply {
    /// A short message of this server.
    Plain(Full<Bytes>),
    /// A reply of the protocol.
    Tracked(TrackedBody),
}

/// A body that reports to its delivery whether it was written.
pub(crate) struct TrackedBody {
    inner: BoxBody<Bytes, Infallible>,
    delivery: Delivery,
    socket: Socket,
    is_written: bool,
}

impl TrackedBody {
    pub(super) fn new(inner: BoxBody<Bytes, Infallible>, delivery: Delivery, socket: Socket) -> TrackedBody {
        TrackedBody { inner, delivery, socket, is_written: false }
    }

    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        match &polled {
            // The system would accept this frame even so, and the runtime may not have noticed yet.
            Poll::Ready(Some(_)) if self.socket.client_has_left() => self.delivery.failed(),
            Poll::Ready(Some(_)) | Poll::Pending => {}
            Poll::Ready(None) => self.is_written = true,
        }
        polled
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
            Reply::Tracked(tracked) => tracked.poll_frame(context),
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

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Passes a reply to the connection, to a client that reads it or has left before. Returns whether it may count as
    /// delivered.
    fn is_delivered(client_leaves: bool) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let socket = Socket::from(listener.accept().await.unwrap().0);
            let client = (!client_leaves).then_some(client);
            while client.is_none() && !socket.client_has_left() {
                std::thread::yield_now();
            }
            let (inner, delivery) = (Full::new(Bytes::from("a result")), Delivery::default());
            let mut body = TrackedBody::new(BoxBody::new(inner), delivery.clone(), socket);
            // The runtime polls nothing else meanwhile.
            let frame = std::future::poll_fn(|context| body.poll_frame(context)).await;
            assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "a result");
            drop(body);
            delivery.is_pending()
        })
    }

    #[test]
    fn a_reply_to_a_client_that_has_left_is_not_delivered() {
        assert!(is_delivered(false));
        assert!(!is_delivered(true));
    }
}
