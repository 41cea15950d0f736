//! A list of jobs that a front end keeps up to date: says when to list again, without polling.

use std::io;
use std::sync::Arc;

use homing_core::JobId;
use homing_supervisor::DiskError;
use homing_supervisor::platform::wait::WaitSource;

use crate::Result;
use crate::context::Context;
use crate::index::query::{ListOptions, Listing};
use crate::ledger::Ledger;
use crate::store::watch::JobWatch;

/// A list of jobs that is kept up to date. [`ListWatch::readable`] becomes readable when a job was launched or has changed,
/// or when the ledger was written, for example by an acknowledgement. Then call [`ListWatch::list`].
///
/// ```
/// # homing::supervise_if_asked();
/// # let folder = tempfile::tempdir()?;
/// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
/// let mut watch = homing.watch_list(homing::ListOptions::default())?;
/// assert_eq!(watch.list()?.jobs.len(), 0);
/// homing.launch(homing::JobSpec::script("true")?)?;
/// while watch.list()?.jobs.iter().all(|job| job.outcome().is_none()) {
///     // … an event loop waits for `watch.readable()` here …
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ListWatch {
    context: Arc<Context>,
    options: ListOptions,
    watch: JobWatch,
    /// The unfinished jobs of the last listing.
    watched: Vec<JobId>,
}

impl ListWatch {
    pub(crate) fn new(context: Arc<Context>, options: ListOptions) -> Result<ListWatch> {
        let watch = context.store.watch_list().map_err(|error| cannot_watch(&context, error))?;
        Ok(ListWatch { context, options, watch, watched: Vec::new() })
    }

    /// Lists the jobs as [`Homing::listing`](crate::Homing::listing) does, and clears [`ListWatch::readable`]. Later changes
    /// make it readable again.
    ///
    /// # Errors
    /// As [`Homing::listing`](crate::Homing::listing), and when the user has no watch left
    /// (`fs.inotify.max_user_watches`).
    pub fn list(&mut self) -> Result<Listing> {
        loop {
            // Before listing, so that later changes are reported.
            self.watch.changed();
            // SQLite writes a commit before it is visible, so its writer may not be done. If this fails, the listing
            // finds out why.
            let _ = self.context.with_ledger(Ledger::wait_for_writer);
            let listing = self.context.listing(&self.options)?;
            let unfinished: Vec<JobId> =
                listing.jobs.iter().filter(|job| job.outcome().is_none()).map(|job| job.id).collect();
            self.watched.iter().filter(|id| !unfinished.contains(id)).for_each(|id| self.watch.remove(*id));
            let new: Vec<JobId> =
                unfinished.iter().copied().filter(|id| !self.watched.contains(id)).collect();
            self.watched = unfinished;
            for id in &new {
                self.watch.add(*id).map_err(|error| cannot_watch(&self.context, error))?;
            }
            // A job may have changed before it was watched.
            if new.is_empty() {
                return Ok(listing);
            }
        }
    }

    /// Becomes readable when [`ListWatch::list`] may return something else. Times change without it.
    pub fn readable(&self) -> WaitSource<'_> {
        self.watch.readable()
    }
}

fn cannot_watch(context: &Context, error: io::Error) -> DiskError {
    DiskError::new("watch", context.store.home.root.path(), error)
}
