//! Events as they are recorded, without polling: says when to read on, and ingests the changes of jobs itself, so that it
//! needs no monitor.

use std::sync::Arc;

use homing_core::JobId;
use homing_supervisor::platform::wait::WaitSource;

use super::page::EventOptions;
use crate::Result;
use crate::context::Context;
use crate::index::unfinished_watch::UnfinishedWatch;
use crate::ledger::EventPage;

/// The events of a home from a place on. [`EventWatch::readable`] becomes readable when a job was launched or has changed,
/// or when the ledger was written. Then call [`EventWatch::next_page`]. While nothing happens, nothing wakes up.
///
/// ```
/// # homing::supervise_if_asked();
/// # let folder = tempfile::tempdir()?;
/// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
/// let mut watch = homing.watch_events(homing::EventOptions::default())?;
/// homing.launch(homing::JobSpec::script("true")?)?;
/// let mut types = Vec::new();
/// while !types.contains(&"job.finished") {
///     // … an event loop waits for `watch.readable()` here …
///     types.extend(watch.next_page()?.events.iter().map(|event| event.event.name()));
/// }
/// assert_eq!(types[..3], ["job.seen", "job.started", "job.finished"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EventWatch {
    context: Arc<Context>,
    /// What to read next.
    options: EventOptions,
    watch: UnfinishedWatch,
    /// Whether the next update observes every unfinished job, not only those that have changed: at first, and after an
    /// error.
    observes_all: bool,
}

impl EventWatch {
    pub(crate) fn new(context: Arc<Context>, options: EventOptions) -> Result<EventWatch> {
        let watch = UnfinishedWatch::new(Arc::clone(&context))?;
        let mut events = EventWatch { context, options, watch, observes_all: true };
        // Without a cursor, it begins here.
        if events.options.since.is_none() {
            events.update()?;
            events.options.since = Some(events.context.recorded_events(&events.options)?.next);
        }
        Ok(events)
    }

    /// Returns the events since the last page, and clears [`EventWatch::readable`]; later changes make it readable again.
    /// The page may be empty. If [`EventPage::has_more`] is set, call this again at once.
    ///
    /// # Errors
    /// As [`Homing::events_since`](crate::Homing::events_since), and when the user has no watch left
    /// (`fs.inotify.max_user_watches`). The next call continues at the same place.
    pub fn next_page(&mut self) -> Result<EventPage> {
        self.update()?;
        let page = self.context.recorded_events(&self.options)?;
        self.options.since = Some(page.next);
        Ok(page)
    }

    /// Becomes readable when [`EventWatch::next_page`] may return events.
    pub fn readable(&self) -> WaitSource<'_> {
        self.watch.readable()
    }

    /// Brings the ledger up to date, and watches the jobs that have not finished.
    fn update(&mut self) -> Result<()> {
        let mut new: Vec<JobId> = Vec::new();
        loop {
            let mut changed = self.watch.changed();
            // A job may have changed before it was watched.
            changed.append(&mut new);
            let observes_all = std::mem::replace(&mut self.observes_all, true);
            let updated =
                if observes_all { self.context.sync() } else { self.context.follow_changes(&changed) };
            updated?;
            let unfinished = self.context.with_ledger(|ledger| ledger.unfinished())?;
            new = self.watch.keep(unfinished.into_iter().map(|(job, _)| job).collect())?;
            self.observes_all = false;
            if new.is_empty() {
                return Ok(());
            }
        }
    }
}
