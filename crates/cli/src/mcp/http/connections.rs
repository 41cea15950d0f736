//! Limits connections. A client that has not sent the token yet gets one of a few short-lived connections, so that it
//! cannot block a client that has the token.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// Most unauthenticated connections at once. A new one closes the oldest.
const MAX_UNAUTHENTICATED: usize = 128;

/// How long a client may take to send the token.
const AUTHENTICATION_TIMEOUT: Duration = Duration::from_secs(10);

/// Admits connections, up to a limit.
pub(super) struct ConnectionLimit {
    /// Unauthenticated connections, the oldest first.
    unauthenticated: VecDeque<Weak<Connection>>,
    slots: Arc<Semaphore>,
}

/// One connection.
pub(super) struct Connection {
    /// A slot for an authenticated connection.
    slot: OnceLock<OwnedSemaphorePermit>,
    slots: Arc<Semaphore>,
    evicted: Notify,
}

impl ConnectionLimit {
    /// Allows this many authenticated connections.
    pub(super) fn new(max_authenticated: usize) -> ConnectionLimit {
        let slots = Arc::new(Semaphore::new(max_authenticated));
        ConnectionLimit { unauthenticated: VecDeque::new(), slots }
    }

    /// Admits a connection as unauthenticated. Evicts the oldest unauthenticated one if there are too many.
    pub(super) fn admit(&mut self) -> Arc<Connection> {
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
    pub(super) fn authenticate(&self) -> bool {
        if self.slot.get().is_none()
            && let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned()
        {
            let _ = self.slot.set(slot);
        }
        self.slot.get().is_some()
    }

    /// Completes when the connection must be closed. Never completes for an authenticated connection.
    pub(super) async fn must_close(&self) {
        tokio::select! {
            () = self.evicted.notified() => {}
            () = sleep(AUTHENTICATION_TIMEOUT) => {}
        }
        if self.slot.get().is_some() {
            std::future::pending::<()>().await;
        }
    }
}
