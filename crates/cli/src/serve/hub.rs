//! Shares one watch of the events between all clients: a home allows few watches for a user, and clients that follow the same
//! events share what is read and written for them.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use homing::{Event, EventCursor, EventOptions, EventPage, Homing, Job, JobId, ListOptions, SessionId};
use serde::Serialize;
use tokio::sync::{Mutex, watch};
use tokio::time::sleep;

use super::problem::Problem;
use super::sse::Frame;
use crate::server::{HomeHandle, blocking};

/// Events that follow each other within this time share one message. The first one is sent at once.
const BATCH_WINDOW: Duration = Duration::from_millis(50);

/// How long to wait after the watch has failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Most events of one page.
pub(super) const MAX_EVENTS: u32 = 500;

/// Pages that are kept for other clients.
const KEPT_PAGES: usize = 16;

/// Which events a client follows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Filter {
    pub(super) session: Option<SessionId>,
    /// Whether each event has the document of its job.
    pub(super) documents: bool,
}

/// The next events for a client, as they are sent.
#[derive(Clone)]
pub(super) struct Page {
    /// The messages; `None` without events.
    pub(super) frame: Option<Frame>,
    pub(super) next: EventCursor,
    /// Whether events between the cursor and these are not known.
    pub(super) truncated: bool,
    pub(super) has_more: bool,
}

/// A page that is kept for other clients.
struct KeptPage {
    since: EventCursor,
    filter: Filter,
    /// The number of changes before it was read. It is complete until the next one.
    changes: u64,
    page: Arc<Page>,
}

/// Follows the events while somebody listens.
pub(super) struct EventHub {
    home: Arc<HomeHandle>,
    /// Counts the changes. Its receivers are the clients.
    changes: watch::Sender<u64>,
    pages: Mutex<VecDeque<KeptPage>>,
    /// Whether a task follows the events.
    is_following: std::sync::Mutex<bool>,
}

/// One event, as it is sent.
#[derive(Serialize)]
struct EventDocument<'a> {
    #[serde(flatten)]
    event: &'a Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Option<&'a Job>>,
}

impl EventHub {
    pub(super) fn new(home: Arc<HomeHandle>) -> EventHub {
        let (changes, _) = watch::channel(0);
        EventHub { home, changes, pages: Mutex::default(), is_following: std::sync::Mutex::default() }
    }

    /// Becomes a client. Read the events after this, and again after each change.
    pub(super) fn subscribe(self: &Arc<EventHub>) -> watch::Receiver<u64> {
        let receiver = self.changes.subscribe();
        let mut is_following = self.is_following.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !*is_following {
            *is_following = true;
            // Nobody has counted the changes until now.
            self.changes.send_modify(|count| *count += 1);
            tokio::spawn(Arc::clone(self).follow());
        }
        receiver
    }

    /// The events after a cursor, at most [`MAX_EVENTS`].
    ///
    /// # Errors
    /// When the home or the ledger cannot be read.
    pub(super) async fn page(&self, since: EventCursor, filter: &Filter) -> Result<Arc<Page>, Problem> {
        // While one client reads, others that want the same wait for it.
        let mut pages = self.pages.lock().await;
        // Before reading: a change in between makes the page incomplete.
        let changes = *self.changes.borrow();
        if let Some(kept) = pages.iter().find(|kept| kept.since == since && kept.filter == *filter) {
            let is_complete = kept.changes == changes;
            return Ok(match is_complete {
                true => Arc::clone(&kept.page),
                false => Arc::new(Page { has_more: true, ..Page::clone(&kept.page) }),
            });
        }
        let (home, wanted) = (Arc::clone(&self.home), filter.clone());
        let page = blocking(move || read(&home.homing()?, since, &wanted)).await?;
        let page = Arc::new(page);
        // A page without events is complete only until the next change.
        if page.frame.is_some() {
            pages.push_back(KeptPage { since, filter: filter.clone(), changes, page: Arc::clone(&page) });
            if pages.len() > KEPT_PAGES {
                pages.pop_front();
            }
        }
        Ok(page)
    }

    /// Reports changes until no client is left.
    async fn follow(self: Arc<EventHub>) {
        loop {
            tokio::select! {
                () = self.watch() => sleep(RETRY_AFTER).await,
                () = self.changes.closed() => {
                    let mut is_following =
                        self.is_following.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    // A client may have come in between.
                    if self.changes.is_closed() {
                        *is_following = false;
                        return;
                    }
                }
            }
        }
    }

    /// Reports changes until the watch fails.
    async fn watch(&self) {
        let home = Arc::clone(&self.home);
        let Ok(homing) = blocking(move || home.homing()).await else { return };
        let mut events = pin!(homing.event_stream(EventOptions::default()));
        // Clients that have read before the watch began read again.
        self.changes.send_modify(|count| *count += 1);
        while let Some(Ok(_)) = events.next().await {
            self.changes.send_modify(|count| *count += 1);
            sleep(BATCH_WINDOW).await;
        }
    }
}

/// A page of events as documents, for a client that polls.
///
/// # Errors
/// When the home or the ledger cannot be read.
pub(super) fn poll(
    homing: &Homing,
    since: Option<EventCursor>,
    session: Option<SessionId>,
    limit: u32,
) -> Result<EventPage, Problem> {
    Ok(homing.events_since(&EventOptions { since, session, limit: Some(limit) })?)
}

fn read(homing: &Homing, since: EventCursor, filter: &Filter) -> Result<Page, Problem> {
    let page = poll(homing, Some(since), filter.session.clone(), MAX_EVENTS)?;
    let jobs = if filter.documents { documents(homing, &page.events)? } else { HashMap::new() };
    let mut bytes = Vec::new();
    for event in &page.events {
        let document = match event.job {
            Some(job) if filter.documents => Some(jobs.get(&job)),
            _ => None,
        };
        let cursor = event.cursor.to_string();
        Frame::write(&mut bytes, Some(&cursor), "homing", &EventDocument { event, document });
    }
    Ok(Page {
        frame: (!bytes.is_empty()).then(|| Frame::from_bytes(bytes)),
        next: page.next,
        truncated: page.truncated,
        has_more: page.has_more,
    })
}

/// The current documents of the jobs of these events. A job that was deleted has none.
fn documents(homing: &Homing, events: &[Event]) -> Result<HashMap<JobId, Job>, Problem> {
    let mut ids: Vec<JobId> = events.iter().filter_map(|event| event.job).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let jobs = homing.list(&ListOptions { ids, ..ListOptions::default() })?;
    Ok(jobs.into_iter().map(|job| (job.id, job)).collect())
}
