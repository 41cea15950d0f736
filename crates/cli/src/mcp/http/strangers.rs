//! Connections whose clients have not shown the token yet. They are few and short, so that nobody who only connects can
//! hold up a client that has the token.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// Most connections of strangers at once: the oldest is closed for a new one.
const MOST_STRANGERS: usize = 128;

/// How long a client may take until it has shown the token.
const INTRODUCTION_TIMEOUT: Duration = Duration::from_secs(10);

/// The connections of strangers, the oldest first.
pub(super) struct Strangers {
    waiting: VecDeque<Weak<Visitor>>,
    places: Arc<Semaphore>,
}

/// One connection.
pub(super) struct Visitor {
    /// A place among the clients that have shown the token.
    place: OnceLock<OwnedSemaphorePermit>,
    places: Arc<Semaphore>,
    dismissed: Notify,
}

impl Strangers {
    /// With so many places for clients that have shown the token.
    pub(super) fn new(places: usize) -> Strangers {
        Strangers { waiting: VecDeque::new(), places: Arc::new(Semaphore::new(places)) }
    }

    /// Takes in a connection, and dismisses the oldest stranger where there are too many.
    pub(super) fn welcome(&mut self) -> Arc<Visitor> {
        self.waiting.retain(|visitor| visitor.upgrade().is_some_and(|visitor| visitor.place.get().is_none()));
        if self.waiting.len() >= MOST_STRANGERS
            && let Some(oldest) = self.waiting.pop_front().and_then(|oldest| oldest.upgrade())
        {
            oldest.dismissed.notify_one();
        }
        let places = Arc::clone(&self.places);
        let visitor = Arc::new(Visitor { place: OnceLock::new(), places, dismissed: Notify::new() });
        self.waiting.push_back(Arc::downgrade(&visitor));
        visitor
    }
}

impl Visitor {
    /// Notes that the client has shown the token; answers whether there is a place for it.
    pub(super) fn is_known(&self) -> bool {
        if self.place.get().is_none()
            && let Ok(place) = Arc::clone(&self.places).try_acquire_owned()
        {
            let _ = self.place.set(place);
        }
        self.place.get().is_some()
    }

    /// Ends when the connection has to be closed: never, once the client is known.
    pub(super) async fn has_to_go(&self) {
        tokio::select! {
            () = self.dismissed.notified() => {}
            () = sleep(INTRODUCTION_TIMEOUT) => {}
        }
        if self.place.get().is_some() {
            std::future::pending::<()>().await;
        }
    }
}
