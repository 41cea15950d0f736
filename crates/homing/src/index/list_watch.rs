//! A list of jobs that a front end keeps up to date: says when to list again, without polling.

use std::sync::Arc;

use homing_supervisor::platform::wait::WaitSource;

use crate::Result;
use crate::context::Context;
use crate::index::query::{ListOptions, Listing};
use crate::index::unfinished_watch::UnfinishedWatch;

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
    watch: UnfinishedWatch,
}

impl ListWatch {
    pub(crate) fn new(context: Arc<Context>, options: ListOptions) -> Result<ListWatch> {
        let watch = UnfinishedWatch::new(Arc::clone(&context))?;
        Ok(ListWatch { context, options, watch })
    }

    /// Lists the jobs as [`Homing::listing`](crate::Homing::listing) does, and clears [`ListWatch::readable`]. Later changes
    /// make it readable again.
    ///
    /// # Errors
    /// As [`Homing::listing`](crate::Homing::listing), and when the user has no watch left
    /// (`fs.inotify.max_user_watches`).
    pub fn list(&mut self) -> Result<Listing> {
        loop {
            self.watch.changed();
            let listing = self.context.listing(&self.options)?;
            let unfinished =
                listing.jobs.iter().filter(|job| job.outcome().is_none()).map(|job| job.id).collect();
            if self.watch.keep(unfinished)?.is_empty() {
                return Ok(listing);
            }
        }
    }

    /// Becomes readable when [`ListWatch::list`] may return something else. Times change without it.
    pub fn readable(&self) -> WaitSource<'_> {
        self.watch.readable()
    }
}
