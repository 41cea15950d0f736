//! The events of the home as they are recorded, for all streams of a server. All streams share one watch, and without
//! streams nothing is watched.

use std::sync::{Arc, Weak};

use futures_util::StreamExt;
use homing::{Actor, ActorKind, EventOptions, EventPage, Homing};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Mutex, broadcast};
use tokio::task::JoinHandle;

/// Pages that a slow stream may be behind. It reads the ledger if it is behind further.
const BUFFERED_PAGES: usize = 64;

/// Starts the watch when it is needed.
#[derive(Default)]
pub(super) struct EventFeed {
    watch: Mutex<Weak<Watch>>,
}

/// A watch that runs until its last subscriber ends.
struct Watch {
    homing: Homing,
    pages: broadcast::Receiver<Watched>,
    task: JoinHandle<()>,
}

/// A page of events, or why no more follow.
type Watched = Result<Arc<EventPage>, Arc<str>>;

/// A subscriber.
pub(super) struct Subscriber {
    pages: broadcast::Receiver<Watched>,
    watch: Arc<Watch>,
}

/// What a subscriber receives.
pub(super) enum Fed {
    /// The next events.
    Page(Arc<EventPage>),
    /// Events were left out because the subscriber was too slow: read them from the ledger.
    Missed,
    /// No more follow.
    Failed(Arc<str>),
}

impl EventFeed {
    /// Subscribes to all events that are recorded from now on. What is read from the ledger after this and what the
    /// subscriber receives overlap and leave no gap.
    ///
    /// # Errors
    /// If the ledger cannot be read or watched.
    pub(super) async fn subscribe(&self, homing: &Homing) -> homing::Result<Subscriber> {
        let mut current = self.watch.lock().await;
        let running =
            current.upgrade().filter(|watch| !watch.task.is_finished() && watch.homing.is_current());
        let watch = match running {
            Some(watch) => watch,
            None => Arc::new(start(homing.clone()).await?),
        };
        *current = Arc::downgrade(&watch);
        Ok(Subscriber { pages: watch.pages.resubscribe(), watch })
    }
}

async fn start(homing: Homing) -> homing::Result<Watch> {
    // For all sessions: what it ingests is not attributed to the session that subscribed first.
    let homing = homing.with_actor(Actor::of(ActorKind::Process));
    let mut events = Box::pin(homing.event_stream(EventOptions::default()));
    // The first page comes at once. Its events are in the ledger, which subscribers read after this.
    if let Some(first) = events.next().await {
        first?;
    }
    let (sender, pages) = broadcast::channel(BUFFERED_PAGES);
    let task = tokio::spawn(async move {
        while let Some(page) = events.next().await {
            let watched = page.map(Arc::new).map_err(|error| Arc::from(error.to_string()));
            let is_over = watched.is_err();
            // Fails only without a subscriber: then this task is aborted.
            let _ = sender.send(watched);
            if is_over {
                break;
            }
        }
    });
    Ok(Watch { homing, pages, task })
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Subscriber {
    /// The next page.
    pub(super) async fn next(&mut self) -> Fed {
        match self.pages.recv().await {
            Ok(Ok(page)) => Fed::Page(page),
            Ok(Err(why)) => Fed::Failed(why),
            Err(RecvError::Lagged(_)) => Fed::Missed,
            Err(RecvError::Closed) => Fed::Failed(Arc::from("the events are not watched any more")),
        }
    }

    /// Whether the home is still the one that is watched. It is not after it was replaced on disk.
    pub(super) fn is_current(&self) -> bool {
        self.watch.homing.is_current()
    }
}
