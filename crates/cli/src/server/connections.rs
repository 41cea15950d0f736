//! Serves and limits connections. A client that has not sent the token yet gets one of a few short-lived connections, so that it
//! cannot block a client that has the token.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use super::socket::Socket;
use super::stalled::ClosesStalled;

/// Most connections of clients that have sent the token.
pub(crate) const MAX_CONNECTIONS: usize = 512;

/// How long a client may take to send the head of a further request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// Most headers of a request.
const MAX_HEADERS: usize = 100;

/// Most unauthenticated connections at once. A new one closes the oldest.
const MAX_UNAUTHENTICATED: usize = 128;

/// How long a client may take to send the token.
const AUTHENTICATION_TIMEOUT: Duration = Duration::from_secs(10);

/// Admits connections, up to a limit.
pub(crate) struct ConnectionLimit {
    /// Unauthenticated connections, the oldest first.
    unauthenticated: VecDeque<Weak<Connection>>,
    slots: Arc<Semaphore>,
}

/// One connection.
pub(crate) struct Connection {
    /// A slot for an authenticated connection.
    slot: OnceLock<OwnedSemaphorePermit>,
    slots: Arc<Semaphore>,
    evicted: Notify,
}

impl ConnectionLimit {
    /// Allows this many authenticated connections.
    pub(crate) fn new(max_authenticated: usize) -> ConnectionLimit {
        let slots = Arc::new(Semaphore::new(max_authenticated));
        ConnectionLimit { unauthenticated: VecDeque::new(), slots }
    }

    /// Admits a connection as unauthenticated. Evicts the oldest unauthenticated one if there are too many.
    pub(crate) fn admit(&mut self) -> Arc<Connection> {
        let is_unauthenticated = |connection: Arc<Connection>| connection.slot.get().is_none();
        self.unauthenticated.retain(|connection| connection.upgrade().is_some_and(is_unauthenticated));
        if self.unauthenticated.len() >= MAX_UNAUTHENTICATED
            && let Some(oldest) = self.unauthenticated.pop_front().and_then(|oldest| oldest.upgrade())
        {
            oldest.evicted.notify_one();
        }
        let slots = Arc::clone(&self.slots);
        let connection = Arc::new(Connection { slot: OnceLock::new(), slots, evicted: Notify::new() });
        self.unauthenticated.push_back(Arc::downgrade(&connection));
        connection
    }
}

impl Connection {
    /// Marks the connection as authenticated. Returns false if no slot is free.
    pub(crate) fn authenticate(&self) -> bool {
        if self.slot.get().is_none()
            && let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned()
        {
            let _ = self.slot.set(slot);
        }
        self.slot.get().is_some()
    }

    /// Completes when the connection must be closed. Never completes for an authenticated connection.
    pub(crate) async fn must_close(&self) {
        tokio::select! {
            () = self.evicted.notified() => {}
            () = sleep(AUTHENTICATION_TIMEOUT) => {}
        }
        if self.slot.get().is_some() {
            std::future::pending::<()>().await;
        }
    }
}

/// Answers the requests of one connection until it ends. When `closing` completes, finishes the current request first.
pub(crate) async fn serve_connection<B, F>(
    socket: Socket,
    connection: Arc<Connection>,
    closing: impl Future<Output = ()>,
    answer: impl Fn(Request<Incoming>, Arc<Connection>) -> F,
) where
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    F: Future<Output = Response<B>>,
{
    let of_connection = Arc::clone(&connection);
    let service = service_fn(move |request| {
        let answered = answer(request, Arc::clone(&of_connection));
        async move { Ok::<_, Infallible>(answered.await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(ClosesStalled::new(socket)), service);
    let (mut serving, mut closing) = (pin!(serving), pin!(closing));
    // A client may close the connection at any time: that is not an error.
    tokio::select! {
        _ = &mut serving => {}
        () = connection.must_close() => {}
        () = &mut closing => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
}
